"""What may be handed in as an image: a path, the bytes of a file, a Pillow image, an array."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import UsageError
from edge_runtime.image import Decoded, decode, decode_array, decode_image
from edge_runtime.preprocess import InputRule

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    ImageSource = str | os.PathLike[str] | bytes | Image | NDArray[np.uint8]
    """An image: a path, the bytes of a file, a Pillow image, or uint8 RGB (height, width, 3)."""


def file_of(image: object) -> str | None:
    """The path as it was given, or None for input without one."""
    return os.fspath(image) if isinstance(image, (str, os.PathLike)) else None


def decode_source(image: Any, file: str | None, rule: InputRule, max_pixels: int) -> Decoded:
    """Decode what a caller handed in.

    Args:
        image: the bytes of a file, a Pillow image, or a uint8 RGB array (height, width, 3).
        file: the path that the bytes were read from, for messages.
        rule: the model's input rule, which says how far a JPEG may be reduced.
        max_pixels: larger files are refused from their header.

    Raises:
        ImageError: the image cannot be used.
        UsageError: it is nothing of the kind.
    """
    if isinstance(image, (bytes, bytearray, memoryview)):
        name = "image" if file is None else os.path.basename(file)
        return decode(
            bytes(image), name=name, smallest_draft=rule.smallest_draft, max_pixels=max_pixels
        )
    if isinstance(image, np.ndarray):
        return decode_array(image)
    if hasattr(image, "getexif"):
        return decode_image(image)
    raise UsageError(
        f"The image is a {type(image).__name__}, expected a path, bytes, a Pillow image or an "
        "array of shape (height, width, 3)."
    )
