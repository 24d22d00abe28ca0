"""From a decoded image to the model's input tensor: the one place where this happens.

Training, calibration, evaluation and the device all call `to_input`, so the bytes that a model sees
on a device are the bytes it was trained on. The rule fits in four lines:

    side   = the shorter side of the image
    square = the centre square of that side: left = (width - side) // 2, top = (height - side) // 2
    tensor = the square resized to size x size, bilinear and antialiased (Pillow's BILINEAR)
    bytes  = RGB, 0 to 255, height x width x 3; normalisation is a layer inside the model

Cropping first and resizing once gives what "shorter side to the input size, then the centre square"
describes, without computing pixels that the crop throws away.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edge_runtime._strict import RecordError
from edge_runtime.image import MAX_PIXELS, decode, read

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

SMALLEST_SIZE, LARGEST_SIZE = 16, 1024


@dataclass(frozen=True)
class InputRule:
    """How an image becomes a model's input; it travels in the run and in the bundle.

    Attributes:
        size: side of the model's square input, in pixels.
        crop: which part of the image is used.
        resample: Pillow's filter of that name, which antialiases when it shrinks.
        jpeg_draft: a JPEG may be decoded at 1/2, 1/4 or 1/8 scale as long as its shorter side
            stays at least this many times ``size``; 0 always decodes in full. At 2 the tensor
            changes by less than one grey level on average, and a 12-megapixel JPEG decodes more
            than twice as fast. An image whose colours are converted is reduced alike.
        profile: what an embedded colour profile does; see `edge_runtime.profiles`.
        colour: order of the channels.
        dtype: type of the tensor; the values are bytes even where the model file takes floats.
    """

    size: int
    crop: Literal["centre_square"] = "centre_square"
    resample: Literal["bilinear"] = "bilinear"
    jpeg_draft: int = 2
    profile: Literal["srgb"] = "srgb"
    colour: Literal["RGB"] = "RGB"
    dtype: Literal["uint8"] = "uint8"

    def __post_init__(self) -> None:
        if not SMALLEST_SIZE <= self.size <= LARGEST_SIZE:
            raise RecordError(
                f"input size is {self.size}, expected {SMALLEST_SIZE} to {LARGEST_SIZE} pixels"
            )
        if not 0 <= self.jpeg_draft <= 16:
            raise RecordError(f"jpeg_draft is {self.jpeg_draft}, expected 0 to 16")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the tensor: height, width, channels."""
        return (self.size, self.size, 3)

    @property
    def smallest_draft(self) -> int | None:
        """The shorter side below which a JPEG must not be decoded, or None to decode in full."""
        return self.size * self.jpeg_draft or None


def load_input(
    path: str | os.PathLike[str], rule: InputRule, *, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """The model's input tensor for an image file: read, decode, `to_input`.

    Raises:
        ImageError: the image cannot be used.
    """
    content, name = read(path), os.path.basename(path)
    decoded = decode(content, name=name, smallest_draft=rule.smallest_draft, max_pixels=max_pixels)
    return to_input(decoded.pixels, rule)


def to_input(image: Image, rule: InputRule) -> NDArray[np.uint8]:
    """The model's input tensor for a decoded RGB ``image``.

    Args:
        image: what `edge_runtime.image.decode` returns (mode RGB, upright).
        rule: the model's input rule.

    Returns:
        uint8 array of shape (size, size, 3), RGB.
    """
    from PIL.Image import Resampling

    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    cropped = image.crop((left, top, left + side, top + side))
    square = cropped.resize((rule.size, rule.size), Resampling[rule.resample.upper()])
    tensor: NDArray[Any] = np.asarray(square)
    return tensor
