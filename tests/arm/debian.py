"""A folder with the Python of another architecture, from Debian's packages, to run under qemu.

Nothing on this machine changes: apt gets a state, a cache and a list of sources of its own, and
packages are unpacked, not installed. No chroot and no binfmt: qemu's user mode runs one program
and looks for the files that this opens below the folder first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RELEASE = "bookworm"  # Python 3.11, the newest for which there is a tflite-runtime
PYTHON = "3.11"


class UnavailableError(Exception):
    """Something outside the project is missing; the message says what, and what to do."""


@dataclass(frozen=True)
class Architecture:
    """An instruction set.

    Attributes:
        name: of Debian's port.
        emulator: the program of qemu's user mode, from Debian's package qemu-user-static.
        packages: Debian's packages that a root needs; what they depend on comes with them.
        libraries: folders with libraries that Debian's alternatives would link into place.
        cpuinfo: what `/proc/cpuinfo` says; LiteRT crashes when it finds this machine's there.
        platforms: tags of wheels that run there, for pip.
    """

    name: str
    emulator: str
    packages: tuple[str, ...]
    libraries: tuple[str, ...]
    cpuinfo: str
    platforms: tuple[str, ...]


def _cpuinfo(features: str, architecture: int) -> str:
    """One Cortex-A53 core, as Linux describes it."""
    return (
        f"processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: {features}\n"
        f"CPU implementer\t: 0x41\nCPU architecture: {architecture}\nCPU variant\t: 0x0\n"
        "CPU part\t: 0xd03\nCPU revision\t: 4\n\n"
    )


_GLIBC = range(17, 37)  # manylinux tags name the oldest glibc 2.x; bookworm has 2.36

ARM64 = Architecture(
    "arm64",
    "qemu-aarch64-static",
    ("python3", "libstdc++6", "zlib1g"),
    (),
    _cpuinfo("fp asimd evtstrm crc32 cpuid", 8),
    (*(f"manylinux_2_{minor}_aarch64" for minor in _GLIBC), "manylinux2014_aarch64"),
)
ARMHF = Architecture(
    "armhf",
    "qemu-arm-static",
    ("python3", "python3-numpy", "python3-pil"),
    ("usr/lib/arm-linux-gnueabihf/blas", "usr/lib/arm-linux-gnueabihf/lapack"),
    _cpuinfo("half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 crc32", 7),
    tuple(f"manylinux_2_{minor}_armv7l" for minor in _GLIBC),
)


def require_emulator(architecture: Architecture) -> str:
    """Path of the emulator.

    Raises:
        UnavailableError: it is not installed.
    """
    found = shutil.which(architecture.emulator)
    if found is None:
        raise UnavailableError(
            f"{architecture.emulator} is not installed; run `apt-get install qemu-user-static`"
        )
    return found


def build_root(architecture: Architecture, folder: Path) -> None:
    """Fill ``folder`` with Debian's Python and its libraries, and a description of a processor.

    Raises:
        UnavailableError: no apt here, or its mirror does not answer or lacks the release.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise UnavailableError(f"{program} is not installed; this needs Debian or a relative")
    work = folder.with_name(f"{folder.name}.apt")
    shutil.rmtree(work, ignore_errors=True)
    for part in ("state/lists/partial", "cache/archives/partial"):
        (work / part).mkdir(parents=True)
    (work / "status").touch()
    options = _apt_options(architecture, work)
    for mirror in _mirrors():
        (work / "sources.list").write_text(f"deb {mirror} {RELEASE} main\n", encoding="utf-8")
        if _apt(options, "update").returncode == 0:
            break
    else:
        raise UnavailableError(f"no mirror that apt knows of holds {RELEASE} {architecture.name}")
    done = _apt(
        options, "install", "--yes", "--download-only", "--no-install-recommends",
        *architecture.packages,
    )  # fmt: skip
    if done.returncode != 0:
        raise UnavailableError(f"apt-get: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    folder.mkdir(parents=True)
    for package in sorted((work / "cache/archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    (folder / "proc").mkdir(exist_ok=True)
    (folder / "proc/cpuinfo").write_text(architecture.cpuinfo, encoding="ascii")
    shutil.rmtree(work)


def _mirrors() -> list[str]:
    """Addresses from which this machine's own packages come; main is asked for in each."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return list(dict.fromkeys(listed.stdout.split()))


def _apt_options(architecture: Architecture, work: Path) -> list[str]:
    settings = {
        "APT::Architecture": architecture.name,
        "APT::Architectures::": architecture.name,
        "APT::Sandbox::User": "root",  # apt's own user could not write below a private folder
        "APT::Update::Error-Mode": "any",
        "Dir::State": work / "state",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": work / "none",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _apt(options: Sequence[str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", "--quiet", *options, *words], capture_output=True, text=True,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip
