"""Which image a file is that a device has named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from convert.checking.matching import ByName
from train.data.table import Record


def found(files: Sequence[str], asked: str, ids: Sequence[str] | None = None) -> list[str]:
    root = Path("data")
    records = [
        Record(ids[index] if ids else file, root / file, "nv") for index, file in enumerate(files)
    ]
    return [files[index] for index in ByName(records, root).find(asked)]


TWINS = ["Test/mel/1.jpg", "Test/nv/1.jpg", "Train/nv/1.jpg", "Test/nv/2.jpg"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Test/nv/1.jpg", ["Test/nv/1.jpg"]),
        ("./Test/nv/1.jpg", ["Test/nv/1.jpg"]),
        ("/home/pi/Test/nv/1.jpg", ["Test/nv/1.jpg"]),
        ("C:\\photos\\Test\\nv\\1.jpg", ["Test/nv/1.jpg"]),
        ("mel/1.jpg", ["Test/mel/1.jpg"]),
        ("nv/1.jpg", ["Test/nv/1.jpg", "Train/nv/1.jpg"]),
        ("1.jpg", ["Test/mel/1.jpg", "Test/nv/1.jpg", "Train/nv/1.jpg"]),
        ("elsewhere/2.jpg", ["Test/nv/2.jpg"]),
        ("2.png", ["Test/nv/2.jpg"]),
        ("3.jpg", []),
        ("12.jpg", []),
    ],
)
def test_file_is_found_by_path_and_else_by_a_name_that_only_one_image_has(
    asked: str, expected: list[str]
) -> None:
    assert found(TWINS, asked) == expected


def test_file_is_found_by_the_images_id() -> None:
    files, ids = ["images/a.jpg", "images/b.jpg"], ["ISIC_1", "ISIC.2"]
    assert found(files, "/media/ISIC_1.JPG", ids) == ["images/a.jpg"]
    assert found(files, "ISIC.2.png", ids) == ["images/b.jpg"]
    assert found(files, "ISIC.png", ids) == []
