"""The studies' protocols: what is torn apart the published way stays together the other way."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from edge_runtime._files import sha256
from edge_runtime.image import decode, read
from train.audit.auditing import audit
from train.reproduction.images import (
    Image,
    at_random,
    audited,
    balancing,
    by_group,
    with_copies,
    written,
)
from train.synthetic import write_dataset


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Image]:
    """The audited images of a small generated set, in which some lesions have two photographs."""
    folder = tmp_path_factory.mktemp("few") / "few"
    write_dataset(folder, lesions={"mel": 16, "nv": 32}, width=48, height=36, processes=1)
    return audited(audit([folder]))


def sides(images: list[Image], of: dict[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for image in images:
        found[of[image.image_id]].add(image.split)
    return found


def test_photographs_of_one_lesion_are_one_group(pictures: list[Image]) -> None:
    assert len({image.image_id for image in pictures}) == len(pictures)
    assert len({image.lesion_id for image in pictures}) <= 48 < len(pictures)


def test_split_by_chance_tears_groups_and_dermedge_cannot_see_it(
    pictures: list[Image], tmp_path: Path
) -> None:
    torn = at_random(pictures, tmp_path / "files")
    of = {image.image_id: image.lesion_id for image in pictures}
    assert max(len(found) for found in sides(torn, of).values()) > 1
    assert {image.lesion_id for image in torn} == set(of)  # every image a group of its own
    assert len({sha256(Path(image.file).read_bytes()) for image in torn}) == len(torn)
    for before, after in zip(pictures[:3], torn[:3], strict=True):
        one, other = decode(read(Path(before.file))), decode(read(Path(after.file)))
        np.testing.assert_array_equal(np.asarray(one.pixels), np.asarray(other.pixels))


def test_split_by_group_tears_none(pictures: list[Image], tmp_path: Path) -> None:
    shared = by_group(pictures, tmp_path / "table.csv", None)
    of = {image.image_id: image.lesion_id for image in pictures}
    assert {len(found) for found in sides(shared, of).values()} == {1}
    assert {image.split for image in shared} == {"train", "val", "test"}


def test_copies_keep_label_and_group_of_their_source(pictures: list[Image], tmp_path: Path) -> None:
    more = with_copies(pictures, tmp_path / "copies", 5)
    copies = more[len(pictures) :]
    assert len(copies) == 10
    labels = {image.lesion_id: image.dx for image in pictures}
    assert all(labels[copy.lesion_id] == copy.dx for copy in copies)
    assert all(Path(copy.file).is_file() for copy in copies)
    again = with_copies(pictures, tmp_path / "copies", 5)
    assert again == more  # a second call uses what is there


def test_balancing_makes_both_classes_equal(pictures: list[Image], tmp_path: Path) -> None:
    more = balancing(pictures, tmp_path / "copies")
    counts = [sum(image.dx == label for image in more) for label in ("mel", "nv")]
    assert counts[0] == counts[1]
    assert more[: len(pictures)] == pictures


def test_table_on_disk_says_the_same(pictures: list[Image], tmp_path: Path) -> None:
    data = written(pictures, tmp_path / "table.csv", None)
    assert [(r.image_id, r.label, r.lesion_id, str(r.file)) for r in data.records] == [
        (image.image_id, image.dx, image.lesion_id, image.file) for image in pictures
    ]
