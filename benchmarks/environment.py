"""The machine and the software that figures were measured with."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edge_runtime import __version__, backends

BUSY_LOAD = 0.5
"""A load average per core above which other programs disturb the figures."""

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_BOARD = Path("/proc/device-tree/model")
_CPU_KEYS = ("Model", "model name", "Hardware")


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
    return Environment(
        machine=platform.machine(),
        cpu=cpu_name(_text(Path("/proc/cpuinfo"))) or _text(_BOARD) or platform.processor() or None,
        cores=os.cpu_count() or 1,
        usable_cores=backends.usable_cores(),
        governor=_text(_GOVERNOR),
        memory_mb=_memory_mb(),
        load_average=_load_average(),
        os=_system(),
        python=platform.python_version(),
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


def cpu_name(cpuinfo: str | None) -> str | None:
    """The name in the text of `/proc/cpuinfo`, the board's before the processor's.

    A Raspberry Pi says "Model : Raspberry Pi 4 ..."; its "model name", if there is one, says only
    "ARMv7 Processor". On x86 there is only the "model name" ("model" is a number).
    """
    found: dict[str, str] = {}
    for line in (cpuinfo or "").splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    return next((found[key] for key in _CPU_KEYS if found.get(key)), None)


def _versions() -> dict[str, str]:
    packages = [kind.package for kind in backends.BACKENDS if kind.installed]
    versions = {"dermedge-runtime": __version__}
    for package in ("numpy", "pillow", *packages):
        try:
            versions[package.replace("_", "-")] = metadata.version(package)
        except metadata.PackageNotFoundError:  # installed without metadata
            versions[package.replace("_", "-")] = "unknown"
    return versions


def _system() -> str:
    kernel = f"{platform.system()} {platform.release()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def _load_average() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    except (AttributeError, OSError, ValueError):
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None
