"""The machine and the software that figures were measured with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from edge_runtime import __version__, backends
from edge_runtime.doctor import machine

BUSY_LOAD = 0.5
"""A load average per core above which other programs disturb the figures."""


@dataclass(frozen=True)
class Environment:
    """What the figures depend on, None where the system does not say.

    Attributes:
        machine: architecture, for example "aarch64".
        cpu: name of the board or processor.
        cores: how many there are; ``usable_cores`` of them may be used by this process.
        governor: how the system chooses the clock rate, for example "ondemand".
        memory_mb: main memory, in megabytes of 10^6 bytes.
        load_average: mean number of busy or waiting threads over the last minute, at the start.
        os: name and kernel.
        python: version.
        versions: of dermedge-runtime, numpy, pillow and the installed interpreters.
    """

    machine: str
    cpu: str | None
    cores: int
    usable_cores: int
    governor: str | None
    memory_mb: int | None
    load_average: float | None
    os: str
    python: str
    versions: Mapping[str, str]


def observe() -> Environment:
    """The environment of this process, now; nothing is imported to find the versions."""
    found = machine.observe()
    return Environment(
        machine=found.architecture,
        cpu=found.name,
        cores=os.cpu_count() or 1,
        usable_cores=found.usable_cores,
        governor=found.governor,
        memory_mb=found.memory_mb,
        load_average=_load_average(),
        os=found.system,
        python=found.python,
        versions=_versions(),
    )


def load_note(environment: Environment) -> str | None:
    """A warning, if other programs were using the machine."""
    load = environment.load_average
    if load is None or load / environment.cores <= BUSY_LOAD:
        return None
    return (
        f"The load average was {load:.1f} on {environment.cores} "
        f"core{'s' if environment.cores > 1 else ''} before anything was measured: other programs "
        "were running, so these figures are not to be trusted; stop them and measure again."
    )


def _versions() -> dict[str, str]:
    packages = [kind.package for kind in backends.BACKENDS if kind.installed]
    versions = {"dermedge-runtime": __version__}
    for package in ("numpy", "pillow", *packages):
        try:
            versions[package.replace("_", "-")] = metadata.version(package)
        except metadata.PackageNotFoundError:  # installed without metadata
            versions[package.replace("_", "-")] = "unknown"
    return versions


def _load_average() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None
