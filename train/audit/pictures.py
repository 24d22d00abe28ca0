"""What is read from every file: facts for the table, and small pictures to compare."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime._files import sha256
from edge_runtime.backends import usable_cores
from edge_runtime.errors import ImageError
from edge_runtime.formats import sniff, wrong_suffix
from edge_runtime.image import Decoded, decode, read
from train.audit import settings

Progress = Callable[[int, int], None]

_CORNER = 0.08  # side of a corner, as a share of the frame
_FLAT = 2.0  # grey levels


@dataclass(frozen=True)
class Facts:
    """One file.

    Attributes:
        sha256: of its content; empty where the file could not be read.
        bytes: its length.
        width, height: of the upright image in pixels; 0 where it could not be decoded.
        format: what its first bytes say; empty where it could not be decoded.
        problem: why it cannot be used, a sentence; None where it can.
        oddities: short names of what is unusual about it, see `ODDITIES`.
        corners: mean brightness of the four corners over that of the middle.
        flat: whether the picture is one colour, so that nothing can be compared.
    """

    sha256: str
    bytes: int
    width: int = 0
    height: int = 0
    format: str = ""
    problem: str | None = None
    oddities: tuple[str, ...] = ()
    corners: float = float("nan")
    flat: bool = False

    @property
    def usable(self) -> bool:
        """Whether the picture could be decoded."""
        return self.problem is None


ODDITIES = {
    "wrong suffix": "the name announces another format than the content",
    "tiny": f"shorter side under {settings.TINY_SIDE} pixels",
    "elongated": f"longer side over {settings.LONGEST_ASPECT:g} times the shorter one",
    "flat": "one colour all over",
    "grey": "no colour",
    "CMYK": "printing colours, converted",
    "16-bit": "16 bits a channel, reduced to 8",
    "palette": "a palette instead of colours",
    "transparent": "transparent pixels, laid over black",
    "turned": "upright only by its EXIF orientation",
    "several frames": "more than one frame; the first is used",
}
"""What can be unusual about a file that can be used."""


@dataclass(frozen=True)
class Pictures:
    """All files, in order.

    Attributes:
        facts: one a file.
        grey: uint8 of shape (n, `settings.THUMBNAIL`, `settings.THUMBNAIL`), whole frames squashed
            to squares; zeros where a file could not be used.
        sketches: uint8 RGB of shape (n, `settings.SKETCH`, `settings.SKETCH`, 3), the same.
        aspects: width over height, shape (n,).
    """

    facts: tuple[Facts, ...]
    grey: NDArray[np.uint8]
    sketches: NDArray[np.uint8]
    aspects: NDArray[np.float64]


def read_pictures(files: Sequence[Path], progress: Progress | None = None) -> Pictures:
    """Read every file on all cores; a file that cannot be used is a fact, not an error."""
    count = len(files)
    grey = np.zeros((count, settings.THUMBNAIL, settings.THUMBNAIL), np.uint8)
    sketches = np.zeros((count, settings.SKETCH, settings.SKETCH, 3), np.uint8)
    facts: list[Facts] = []

    def one(index: int) -> Facts:
        return _read(files[index], grey[index], sketches[index])

    # Reading, decoding and resizing release the interpreter's lock.
    with ThreadPoolExecutor(usable_cores()) as pool:
        for found in pool.map(one, range(count)):
            facts.append(found)
            if progress is not None and (len(facts) % 64 == 0 or len(facts) == count):
                progress(len(facts), count)
    aspects = np.array([f.width / f.height if f.usable else 1.0 for f in facts])
    return Pictures(tuple(facts), grey, sketches, aspects)


def printable(text: str) -> str:
    """``text`` with a question mark for every byte of a file name that is no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _read(file: Path, grey: NDArray[np.uint8], sketch: NDArray[np.uint8]) -> Facts:
    """The facts of one file; its small pictures are written into ``grey`` and ``sketch``."""
    from PIL.Image import Resampling

    try:
        content = read(file)
    except ImageError as error:
        return Facts("", 0, problem=printable(str(error)))
    digest = sha256(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd files; ours are the oddities
            decoded = decode(content, name=file.name, smallest_draft=2 * settings.THUMBNAIL)
    except ImageError as error:
        problem = printable(str(error))
        return Facts(digest, len(content), problem=problem, format=sniff(content) or "")
    sides = (settings.THUMBNAIL, settings.THUMBNAIL)
    small = decoded.pixels.resize(sides, Resampling.BILINEAR, reducing_gap=3)
    grey[:] = np.asarray(small.convert("L"))
    colours = np.asarray(small.resize((settings.SKETCH, settings.SKETCH), Resampling.BILINEAR))
    sketch[:] = colours
    flat = bool(grey.std() < _FLAT)
    oddities = _oddities(file.name, content, decoded, colours, flat)
    return Facts(
        digest, len(content), decoded.width, decoded.height, decoded.format, None, oddities,
        _corner_brightness(grey), flat,
    )  # fmt: skip


def _oddities(
    name: str, content: bytes, decoded: Decoded, colours: NDArray[np.uint8], flat: bool
) -> tuple[str, ...]:
    from PIL import Image

    found = []
    shorter, longer = sorted((decoded.width, decoded.height))
    if wrong_suffix(name, decoded.format):
        found.append("wrong suffix")
    if shorter < settings.TINY_SIDE:
        found.append("tiny")
    if longer > settings.LONGEST_ASPECT * shorter:
        found.append("elongated")
    if flat:
        found.append("flat")
    elif int(np.ptp(colours.astype(np.int16), axis=2).max()) <= 1:
        found.append("grey")
    with Image.open(io.BytesIO(content)) as header:  # the header only
        mode = header.mode
        if mode == "CMYK":
            found.append("CMYK")
        if mode.startswith("I") or header.info.get("bitdepth") == 16:
            found.append("16-bit")
        if mode in ("P", "PA"):
            found.append("palette")
        if mode in ("RGBA", "LA", "PA") or "transparency" in header.info:
            found.append("transparent")
        if header.size != (decoded.width, decoded.height):
            found.append("turned")
        if getattr(header, "n_frames", 1) > 1:
            found.append("several frames")
    return tuple(found)


def _corner_brightness(grey: NDArray[np.uint8]) -> float:
    """Mean of the corners over the mean of the middle third."""
    side = max(1, round(_CORNER * len(grey)))
    ends = (slice(None, side), slice(-side, None))
    corners = np.mean([grey[rows, columns].mean() for rows in ends for columns in ends])
    third = len(grey) // 3
    middle = grey[third:-third, third:-third].mean()
    return float(corners / max(float(middle), 1.0))
