"""Pictures that are drawn, and that no check may let pass: a page, a wall, noise, fabric, skin."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Draw = Callable[[int, np.random.Generator], NDArray[np.uint8]]


def _text_page(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    page = Image.new("RGB", (4 * size, 4 * size), (236, 233, 226))
    draw = ImageDraw.Draw(page)
    letters = np.array(list("abcdefghij klmno pqrst uvw "))
    for line in range(4 * size // 14):
        draw.text((10, 14 * line), "".join(rng.choice(letters, 120)), fill=(30, 30, 34))
    return np.asarray(page.resize((size, size), Image.Resampling.BILINEAR))


def _wall(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    slope = np.linspace(-6, 6, size)[:, None, None] * rng.normal(0, 1)
    grain = rng.normal(0, 2, (size, size, 1))
    return _bytes(rng.uniform(120, 230) + rng.normal(0, 8, 3) + slope + grain)


def _noise(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (size, size, 3)).astype(np.uint8)


def _fabric(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    down, across = np.mgrid[:size, :size] / size * rng.uniform(15, 40) * 2 * np.pi
    weave = np.sin(down) * np.cos(across)
    return _bytes(
        rng.uniform(60, 200, 3) + 25 * weave[..., None] + rng.normal(0, 5, (size, size, 1))
    )


def _skin(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    shade = rng.normal(0, 1, (8, 8))
    smooth = np.kron(shade, np.ones((size // 8 + 1, size // 8 + 1)))[:size, :size]
    grain = rng.normal(0, 3, (size, size, 1))
    return _bytes(np.array([205, 150, 135]) + 2 * smooth[..., None] + grain)


DRAWN: Mapping[str, Draw] = {
    "page of text": _text_page, "plain wall": _wall, "noise": _noise, "woven fabric": _fabric,
    "skin without a lesion": _skin,
}  # fmt: skip
"""By name; each takes the side and gives uint8 of shape (side, side, 3)."""


def _bytes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
