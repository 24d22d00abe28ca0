"""The small square on which photographs are checked, before a model is asked.

Every check looks at the model's input tensor, brought to `SIDE` pixels. That costs the same for
every camera and every model, and it is what the checks were fitted on: the tensors that the
training cache holds.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 64
_RED, _GREEN, _BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)  # ITU-R BT.601 luma
RING_EDGES = (0.35, 0.7, 1.0)
"""Outer radii of the rings around the middle, in half sides; the last ring is the corners."""


@dataclass(frozen=True)
class Square:
    """A photograph as the checks see it.

    Attributes:
        channels: red, green and blue, uint8 of shape (3, SIDE, SIDE).
        luma: float32 of shape (SIDE, SIDE), 0 to 255.
    """

    channels: NDArray[np.uint8]
    luma: NDArray[np.float32]


def square_of(tensor: NDArray[np.uint8]) -> Square:
    """Reduce a model's input tensor, uint8 of shape (size, size, 3), to the checks' square."""
    from PIL import Image

    image = Image.fromarray(tensor)
    size = tensor.shape[0]
    if size % SIDE:
        small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    else:
        small = image.reduce(size // SIDE)  # the same means, several times faster
    rgb: NDArray[Any] = np.asarray(small)
    channels = np.ascontiguousarray(rgb.transpose(2, 0, 1))
    red, green, blue = channels
    return Square(channels, red * _RED + green * _GREEN + blue * _BLUE)


@functools.cache
def radius() -> NDArray[np.float64]:
    """Distance of every pixel from the middle, in half sides; shape (SIDE, SIDE)."""
    along = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    return np.hypot(along[None], along[:, None])


def halved(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Planes of shape (..., n, n) at half the size: means of 2 x 2 pixels."""
    rows = planes[..., ::2, :] + planes[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)
