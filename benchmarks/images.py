"""The images that a benchmark classifies: the user's own, or generated ones."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_runtime.errors import MissingExtraError, UsageError

GENERATED_SIZE = (600, 450)
"""Width and height of generated images, in pixels: those of the images of HAM10000."""

LESIONS_OF_EACH_CLASS = 1


@dataclass(frozen=True)
class ImageSet:
    """Image files, and where they come from."""

    source: Literal["generated", "files"]
    files: tuple[str, ...]

    def at_most(self, count: int) -> ImageSet:
        """No more than ``count`` of the images, spread evenly over the set."""
        step = -(-len(self.files) // count)
        return ImageSet(self.source, self.files[::step])


def given(paths: Sequence[str]) -> ImageSet:
    """The named files, and all images below the named folders.

    Raises:
        UsageError: a folder holds no image, or nothing is named.
    """
    from edge_runtime.commands.classify import find_images

    files = tuple(find_images(list(paths)))
    if not files:
        raise UsageError("No image was named, expected at least one file or folder.")
    return ImageSet("files", files)


@contextlib.contextmanager
def generated() -> Iterator[ImageSet]:
    """Generated dermoscopy-like JPEG files, always the same ones, in a folder that vanishes.

    Raises:
        MissingExtraError: the generator is not installed.
    """
    try:
        from train.synthetic import LABELS, write_dataset
    except ImportError as error:
        raise MissingExtraError(
            f"Images cannot be generated here ({error}); name some with `--images`, or install "
            "the whole toolkit."
        ) from None
    width, height = GENERATED_SIZE
    with tempfile.TemporaryDirectory(prefix="dermedge-bench-") as scratch:
        folder = write_dataset(
            Path(scratch) / "generated",
            lesions=dict.fromkeys(LABELS, LESIONS_OF_EACH_CLASS),
            width=width,
            height=height,
            processes=1,
        )
        yield ImageSet("generated", tuple(map(str, sorted((folder / "images").iterdir()))))
