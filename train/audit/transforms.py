"""Known transforms of a picture, to measure how many of them the audit sees through."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

Transform = Callable[["Image", np.random.Generator], "Image"]

QUALITIES = (30, 90)
SIZES = (0.4, 1.3)
CROPS = (0.70, 0.95)
TURNS = (5.0, 45.0)
BRIGHTNESS = (0.8, 1.2)
SQUASHES = (3 / 4, 4 / 3)


def resize(image: Image, rng: np.random.Generator) -> Image:
    """To 0.4 to 1.3 times the size."""
    from PIL.Image import Resampling

    factor = rng.uniform(*SIZES)
    size = (max(32, round(image.width * factor)), max(32, round(image.height * factor)))
    return image.resize(size, Resampling.BILINEAR)


def reencode(image: Image, rng: np.random.Generator) -> Image:
    """Through a JPEG of quality 30 to 90."""
    from PIL import Image as pillow

    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(QUALITIES[0], QUALITIES[1] + 1)))
    return pillow.open(buffer).convert("RGB")


def crop_centre(image: Image, rng: np.random.Generator) -> Image:
    """The middle 70% to 95% of either side."""
    return _crop(image, rng, np.array([0.5, 0.5]))


def crop_anywhere(image: Image, rng: np.random.Generator) -> Image:
    """70% to 95% of either side, anywhere."""
    return _crop(image, rng, rng.uniform(size=2))


def quarter_turn(image: Image, rng: np.random.Generator) -> Image:
    """By 90, 180 or 270 degrees."""
    return image.rotate(90 * int(rng.integers(1, 4)), expand=True)


def turn(image: Image, rng: np.random.Generator) -> Image:
    """By 5 to 45 degrees either way, the corners left black."""
    from PIL.Image import Resampling

    angle = rng.uniform(*TURNS) * rng.choice([-1, 1])
    return image.rotate(float(angle), Resampling.BICUBIC)


def flip(image: Image, rng: np.random.Generator) -> Image:
    """Left to right, or top to bottom."""
    from PIL.Image import Transpose

    ways = (Transpose.FLIP_LEFT_RIGHT, Transpose.FLIP_TOP_BOTTOM)
    return image.transpose(ways[int(rng.integers(2))])


def relight(image: Image, rng: np.random.Generator) -> Image:
    """Brightness and contrast by up to 20% each."""
    from PIL import ImageEnhance

    image = ImageEnhance.Brightness(image).enhance(rng.uniform(*BRIGHTNESS))
    return ImageEnhance.Contrast(image).enhance(rng.uniform(*BRIGHTNESS))


def squash(image: Image, rng: np.random.Generator) -> Image:
    """The height by 3/4 or 4/3, as when a 4:3 frame is saved as a square."""
    from PIL.Image import Resampling

    factor = SQUASHES[int(rng.integers(2))]
    return image.resize((image.width, round(image.height * factor)), Resampling.BILINEAR)


def crop_flip_relight(image: Image, rng: np.random.Generator) -> Image:
    """Flip, quarter turn, crop anywhere, relight, resize, JPEG: all of them."""
    for step in (flip, quarter_turn, crop_anywhere, relight, resize, reencode):
        image = step(image, rng)
    return image


def turn_crop_relight(image: Image, rng: np.random.Generator) -> Image:
    """Flip, turn by any angle, crop anywhere, relight, resize, JPEG: all of them."""
    for step in (flip, turn, crop_anywhere, relight, resize, reencode):
        image = step(image, rng)
    return image


TRANSFORMS: dict[str, Transform] = {
    function.__name__.replace("_", " "): function
    for function in (
        resize, reencode, crop_centre, crop_anywhere, quarter_turn, turn, flip, relight, squash,
        crop_flip_relight, turn_crop_relight,
    )
}  # fmt: skip
"""All of them, by name. `relight` does not touch colour balance."""


def _crop(image: Image, rng: np.random.Generator, where: np.ndarray) -> Image:
    share = rng.uniform(*CROPS)
    width, height = round(image.width * share), round(image.height * share)
    left, top = (np.array([image.width - width, image.height - height]) * where).round().astype(int)
    return image.crop((int(left), int(top), int(left) + width, int(top) + height))
