"""The machines that are compared: this one, and ARM boards that qemu stands in for.

`prepare` builds in `out/arm` what they need, once; `prepared` finds it again. Folders are named by
a digest of what they were made from, so that a change of the package makes new ones.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.arm import debian, wheels
from tests.arm.debian import ARM64, ARMHF, PYTHON, Architecture, UnavailableError

CACHE = wheels.ROOT / "out" / "arm"
SIZES_FILE = "sizes.json"
CONSTRAINTS, OLDER_CONSTRAINTS = "constraints.txt", "constraints-tflite-runtime.txt"
LONGEST_S = 600


@dataclass(frozen=True)
class Machine:
    """A processor with an environment that holds the wheel of the device package.

    Attributes:
        packages: folder with the wheel and what it needs.
        architecture, root: what is emulated, and its Debian; None for this machine.
    """

    packages: Path
    architecture: Architecture | None = None
    root: Path | None = None

    def python(self, *words: object, cpu: str = "") -> subprocess.CompletedProcess[str]:
        """Run this machine's Python far from the checkout.

        Args:
            words: its arguments.
            cpu: the processor that qemu stands in for, by qemu's name.
        """
        hidden = ("DERMEDGE_MODEL", "VIRTUAL_ENV")
        environment = {key: value for key, value in os.environ.items() if key not in hidden}
        environment["PYTHONPATH"] = str(self.packages)
        environment["QEMU_CPU"] = cpu
        return subprocess.run(
            [*self._interpreter(), *map(str, words)], capture_output=True, text=True,
            cwd=self.packages, env=environment, timeout=LONGEST_S,
        )  # fmt: skip

    def dermedge(self, *words: object, cpu: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command as the wheel installed it."""
        return self.python(self.packages / "bin" / "dermedge", *words, cpu=cpu)

    def _interpreter(self) -> list[str]:
        if self.architecture is None or self.root is None:
            return [sys.executable, "-S"]  # -S: not what else is installed here
        words = [debian.require_emulator(self.architecture), "-L", str(self.root)]
        if self.architecture.libraries:
            folders = ":".join(str(self.root / name) for name in self.architecture.libraries)
            words += ["-E", f"LD_LIBRARY_PATH={folders}"]
        return [*words, str(self.root / "usr" / "bin" / f"python{PYTHON}")]


@dataclass(frozen=True)
class Machines:
    """What is compared.

    Attributes:
        x86_64, aarch64: with what `pip install dermedge-runtime` brings, LiteRT among it.
        x86_64_onnx, aarch64_onnx: with ONNX Runtime beside it.
        aarch64_older: with tflite-runtime and NumPy 1.
        armhf: with tflite-runtime and Debian's own NumPy and Pillow.
    """

    x86_64: Machine
    x86_64_onnx: Machine
    aarch64: Machine
    aarch64_onnx: Machine
    aarch64_older: Machine
    armhf: Machine


def prepare() -> Machines:
    """Build what is missing of the machines; some minutes the first time, seconds later.

    Raises:
        UnavailableError: qemu, apt or a package is missing.
    """
    return _machines(_make)


def prepared() -> Machines:
    """The machines, where `prepare` has built them from the present sources.

    Raises:
        UnavailableError: it has not, or qemu is missing.
    """
    return _machines(_must_exist)


def installed_sizes(packages: Path) -> dict[str, int]:
    """`disk_usage` of a folder with packages, from before anything in it was run."""
    sizes: dict[str, int] = json.loads((packages / SIZES_FILE).read_text("utf-8"))
    return sizes


Maker = Callable[[Path, Callable[[Path], None]], None]


def _machines(make: Maker) -> Machines:
    if platform.machine() != "x86_64":
        raise UnavailableError(f"ARM is compared with x86-64, and this is {platform.machine()}")
    for architecture in (ARM64, ARMHF):
        debian.require_emulator(architecture)
    roots = {
        architecture: _folder(
            make, f"debian-{architecture.name}", repr(architecture).encode(),
            functools.partial(debian.build_root, architecture),
        )
        for architecture in (ARM64, ARMHF)
    }  # fmt: skip
    sources = _sources()
    built = _folder(make, "wheel", sources, _build_wheel)
    here: tuple[str, ...] = ()

    def packages(name: str, wanted: tuple[str, ...], constraints: str,
                 platforms: tuple[str, ...], *, dependencies: bool = True) -> Path:  # fmt: skip
        def fill(folder: Path) -> None:
            (wheel,) = built.glob("*.whl")
            named = [word.replace("WHEEL", str(wheel)) for word in wanted]
            wheels.install(
                folder, named, constraints, platforms=platforms, dependencies=dependencies
            )
            sizes = json.dumps(wheels.disk_usage(folder))
            (folder / SIZES_FILE).write_text(sizes, encoding="utf-8")

        recipe = (wanted, platforms or sys.version_info[:2], dependencies)
        content = (wheels.ROOT / constraints).read_bytes()
        return _folder(make, name, sources + content + repr(recipe).encode(), fill)

    plain, onnx = ("WHEEL",), ("WHEEL[onnxruntime]",)
    # pip would ask this machine's processor, and not the other's, which dependencies are needed.
    older = ("WHEEL", "tflite-runtime", "numpy", "pillow")
    oldest = ("WHEEL", "tflite-runtime")
    return Machines(
        x86_64=Machine(packages("x86_64", plain, CONSTRAINTS, here)),
        x86_64_onnx=Machine(packages("x86_64-onnx", onnx, CONSTRAINTS, here)),
        aarch64=Machine(
            packages("aarch64", plain, CONSTRAINTS, ARM64.platforms), ARM64, roots[ARM64]
        ),
        aarch64_onnx=Machine(
            packages("aarch64-onnx", onnx, CONSTRAINTS, ARM64.platforms), ARM64, roots[ARM64]
        ),
        aarch64_older=Machine(
            packages("aarch64-older", older, OLDER_CONSTRAINTS, ARM64.platforms,
                     dependencies=False), ARM64, roots[ARM64],
        ),
        armhf=Machine(
            packages("armhf", oldest, OLDER_CONSTRAINTS, ARMHF.platforms, dependencies=False),
            ARMHF, roots[ARMHF],
        ),
    )  # fmt: skip


def _folder(make: Maker, name: str, recipe: bytes, fill: Callable[[Path], None]) -> Path:
    folder = CACHE / f"{name}-{hashlib.sha256(recipe).hexdigest()[:12]}"
    if not folder.is_dir():
        make(folder, fill)
    return folder


def _make(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside, then rename it; drop those of the same name from other sources."""
    name = folder.name.rpartition("-")[0]
    print(f"building {name} ...", flush=True)
    beside = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.parent.mkdir(parents=True, exist_ok=True)
    fill(beside)
    for older in folder.parent.glob(f"{name}-" + "[0-9a-f]" * 12):
        shutil.rmtree(older)
    beside.rename(folder)


def _must_exist(folder: Path, fill: Callable[[Path], None]) -> None:
    raise UnavailableError(
        f"{folder.name.rpartition('-')[0]} has not been built from these sources; "
        "run `make test-arm`"
    )


def _build_wheel(folder: Path) -> None:
    folder.mkdir()
    wheels.build_wheel(folder)


def _sources() -> bytes:
    """Everything that the wheel is made from."""
    files = sorted(
        file
        for file in wheels.PACKAGE.rglob("*")
        if file.is_file() and file.suffix in (".py", ".toml", ".md", ".typed")
        and not {"build", "__pycache__"} & set(file.relative_to(wheels.PACKAGE).parts)
    )  # fmt: skip
    return b"".join(file.name.encode() + b"\0" + file.read_bytes() for file in files)


def main() -> int:
    """Build everything; status 1 and a reason where that cannot be."""
    try:
        prepare()
    except UnavailableError as error:
        print(f"ARM cannot be emulated here: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
