"""The picture grid: each image as it is, then as training would show it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from train.augmentation_grid import write_grid
from train.config import TrainConfig

SIDE = 40
NAMES = ["mel, one", "nv, two"]


def tensors() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


def grid(path: Path, config: TrainConfig | None = None, versions: int = 3) -> NDArray[np.uint8]:
    config = config or TrainConfig()
    write_grid(tensors(), [4, 1], config, path / "grid.png", NAMES, versions=versions)
    with Image.open(path / "grid.png") as image:
        assert image.format == "PNG"
        return np.asarray(image)


def times(image: NDArray[np.uint8], page: NDArray[np.uint8]) -> int:
    """How often the image stands on the page, pixel for pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(page, image.shape)[:, :, 0]
    corners = np.argwhere((windows[:, :, 0, 0] == image[0, 0]).all(axis=-1))
    return sum(np.array_equal(windows[y, x], image) for y, x in corners)


def test_grid_shows_the_named_rows_unchanged_once_and_no_others(tmp_path: Path) -> None:
    page = grid(tmp_path)
    assert [times(image, page) for image in tensors()] == [0, 1, 0, 0, 1]


def test_without_augmentation_every_version_is_the_original(tmp_path: Path) -> None:
    page = grid(tmp_path, TrainConfig(augmentation=0), versions=3)
    assert times(tensors()[4], page) == 4


def test_grid_follows_the_seed(tmp_path: Path) -> None:
    first, again = grid(tmp_path), grid(tmp_path)
    other = grid(tmp_path, replace(TrainConfig(), seed=1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_more_versions_make_a_wider_picture(tmp_path: Path) -> None:
    assert grid(tmp_path, versions=5).shape[1] > grid(tmp_path, versions=4).shape[1] + SIDE


def test_folder_that_is_not_there_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="absent"):
        write_grid(tensors(), [0], TrainConfig(), tmp_path / "absent" / "grid.png", ["one"])
    assert list(tmp_path.iterdir()) == []
