"""A picture of what augmentation does to some images, to be looked at before hours of training."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edge_runtime._files import write_bytes
from train.config import TrainConfig

VERSIONS = 7
"""Augmented versions beside each original."""

_GAP = 6
_FONT_SIZE = 13
_PAPER, _INK = "white", "black"


def write_grid(
    tensors: NDArray[np.uint8], rows: Sequence[int] | NDArray[np.int64], config: TrainConfig,
    path: Path, names: Sequence[str], *, versions: int = VERSIONS,
) -> None:  # fmt: skip
    """Write a PNG with a line for each image: as it is, then as training would show it.

    The versions are those of the pipeline without mixup, of as many epochs, by ``config.seed``.

    Args:
        tensors: uint8 of shape (n, size, size, 3).
        rows: indices of the images to show.
        config: its augmentation and its seed are used.
        path: replaced if it exists.
        names: one for each row, written above its line.
        versions: how many beside each original.

    Raises:
        OSError: the file cannot be written.
    """
    side = tensors.shape[1]
    above = _FONT_SIZE + _GAP
    width, height = side + _GAP, above + side + _GAP
    page = Image.new("RGB", (_GAP + (versions + 1) * width, above + len(rows) * height), _PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(_FONT_SIZE)

    def write(text: str, column: int, y: int) -> None:
        pen.text((_GAP + column * width, y), text, _INK, font)

    for column in range(versions + 1):
        write(f"version {column}" if column else "original", column, 0)
    columns = [tensors[np.asarray(rows, np.int64)], *_versions(tensors, rows, config, versions)]
    for line, name in enumerate(names):
        y = above + line * height
        write(name, 0, y)
        for column, images in enumerate(columns):
            page.paste(Image.fromarray(images[line]), (_GAP + column * width, y + above))
    png = io.BytesIO()
    page.save(png, "PNG")
    write_bytes(path, png.getvalue())


def _versions(
    tensors: NDArray[np.uint8], rows: Sequence[int] | NDArray[np.int64], config: TrainConfig,
    versions: int,
) -> list[NDArray[np.uint8]]:  # fmt: skip
    """The rows in their order, once for each version; each of shape (rows, size, size, 3)."""
    from train.augment import augment

    images = tensors[np.asarray(rows, np.int64)]
    return [
        augment(
            images,
            np.random.default_rng([config.seed, version]),
            config.augmentation,
            config.augment,
        )
        for version in range(versions)
    ]
