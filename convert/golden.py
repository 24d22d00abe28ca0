"""Golden inputs: generated images whose answers travel with the bundle, for a self-test."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LESIONS = (("mel", 101), ("nv", 202))  # two unlike answers, so that a constant model is found out


def golden_images(size: int) -> list[NDArray[np.uint8]]:
    """Generated lesions of shape (size, size, 3); never a patient's picture."""
    from train.synthetic import render

    return [render(label, seed, width=size, height=size) for label, seed in _LESIONS]


def golden_png(image: NDArray[np.uint8]) -> bytes:
    """A lossless file of a golden image."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return file.getvalue()
