"""Pictures inside the page: small re-encoded copies, without what a camera writes beside them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_runtime.preprocess import InputRule, load_input

SIDE = 256
QUALITY = 82
HEAT_OPACITY = 0.65
HEAT_COLOURS = "viridis"
"""Of matplotlib; even in lightness, so that any colour vision and a grey print show one order."""


def square(file: Path) -> NDArray[np.uint8]:
    """The part of a photograph that the model sees, larger than the model sees it.

    Returns:
        uint8 of shape (`SIDE`, `SIDE`, 3), RGB.

    Raises:
        ImageError: the file cannot be used.
    """
    return load_input(file, InputRule(SIDE))


def overlay(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A heat map over an image: the stronger, the more opaque and the lighter.

    Args:
        image: uint8 of shape (height, width, 3).
        heat: 0 to 1, of any shape (h, w); it is enlarged smoothly.
    """
    from matplotlib import colormaps

    height, width = image.shape[:2]
    enlarged = Image.fromarray(heat.astype(np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    strength = np.clip(np.asarray(enlarged), 0, 1)
    colours = 255 * colormaps[HEAT_COLOURS](strength)[..., :3]
    opacity = HEAT_OPACITY * strength[..., None]
    blended: NDArray[np.uint8] = np.rint(image * (1 - opacity) + colours * opacity).astype(np.uint8)
    return blended


def data_uri(image: NDArray[np.uint8]) -> str:
    """An image as the content of an ``src`` attribute: a JPEG without metadata."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")
