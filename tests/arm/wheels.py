"""The device package as a wheel, and folders that hold it with what it needs, by platform."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.arm.debian import PYTHON, UnavailableError

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "edge_runtime"
_NOT_PACKED = shutil.ignore_patterns("*.egg-info", "__pycache__", "build", "dist")


def build_wheel(folder: Path) -> Path:
    """The wheel of the device package, built from a copy of its folder as a release is."""
    shutil.copytree(PACKAGE, folder / "source", ignore=_NOT_PACKED)
    _run("build", "--wheel", "--outdir", str(folder), str(folder / "source"))
    (built,) = folder.glob("*.whl")
    return built


def install(
    folder: Path, wanted: Sequence[str], constraints: str, *,
    platforms: Sequence[str] = (), dependencies: bool = True,
) -> None:  # fmt: skip
    """Let pip put ``wanted`` into ``folder``, as files only; nothing of it is run.

    Args:
        folder: to be put on the module search path.
        wanted: requirements, or paths of wheels.
        constraints: name of the file with exact versions, in the project's folder.
        platforms: tags of another platform, with Python 3.11; by default this one's.
        dependencies: whether what they depend on comes too.

    Raises:
        UnavailableError: pip failed; the message quotes it.
    """
    words = ["--target", str(folder), "--only-binary=:all:", "--no-compile"]
    if platforms:
        words += ["--implementation", "cp", "--python-version", PYTHON]
        words += [word for tag in platforms for word in ("--platform", tag)]
    if not dependencies:
        words.append("--no-deps")
    words += ["--constraint", str(ROOT / constraints), *wanted]
    _run("pip", "install", "--quiet", "--disable-pip-version-check", *words)


def disk_usage(folder: Path) -> dict[str, int]:
    """Bytes on disk of ``folder`` under the key "total", and of every distribution in it."""
    sizes = {}
    for found in importlib.metadata.distributions(path=[str(folder)]):
        files = [folder / str(file) for file in found.files or ()]
        sizes[found.name] = sum(_blocks(file) for file in files if file.is_file())
    counted = subprocess.run(
        ["du", "--summarize", "--block-size=1", folder], capture_output=True, text=True, check=True
    )
    return {"total": int(counted.stdout.split()[0]), **sizes}


def _blocks(file: Path) -> int:
    return file.stat().st_blocks * 512  # POSIX counts in units of 512 bytes


def _run(module: str, *words: str) -> None:
    hidden = ("PYTHONPATH", "VIRTUAL_ENV")
    done = subprocess.run(
        [sys.executable, "-m", module, *words], capture_output=True, text=True,
        env={key: value for key, value in os.environ.items() if key not in hidden},
    )  # fmt: skip
    if done.returncode != 0:
        told = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise UnavailableError(f"{module} failed: {told[-1] if told else 'without a word'}")
