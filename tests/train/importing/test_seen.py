"""What a model has seen is said, listed, or taken as never seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge_runtime.errors import (
    TableError,
    UsageError,
)
from tests.train.importing.asking import (
    without_split,
)
from train.data.split import groups_of
from train.data.table import Dataset
from train.importing.parts import divide


def parts_of(data: Dataset, digests: list[str]) -> dict[str, list[str]]:
    """Ids by part; no lesion is in two of them."""
    sides: dict[str, set[str]] = {}
    for record, group in zip(data.records, groups_of(data.records, digests), strict=True):
        sides.setdefault(group, set()).add(str(record.split))
    assert {len(parts) for parts in sides.values()} == {1}
    return {
        part: [record.image_id for record in data.records if record.split == part]
        for part in ("train", "val", "test")
    }


def test_split_of_the_data_says_what_was_trained_on(data: Dataset, digests: list[str]):
    divided = divide(data, digests, seed=0)
    assert divided.data == data
    assert "images of the part train are taken as trained on" in divided.assumed


@pytest.mark.parametrize("whole", ["val", "test"])
def test_one_held_out_part_is_shared_out_and_nothing_is_taken_from_train(
    data: Dataset, digests: list[str], whole: str
):
    given = data.with_records(
        record if record.split == "train" else replace(record, split=whole)
        for record in data.records
    )
    divided = divide(given, digests, seed=0)
    parts, before = parts_of(divided.data, digests), parts_of(given, digests)
    assert parts["train"] == before["train"]
    assert sorted(parts["val"] + parts["test"]) == sorted(before[whole])
    assert 0.4 < len(parts["val"]) / len(before[whole]) < 0.6
    assert f"the part {whole} is shared out" in divided.assumed


def test_data_without_a_split_is_taken_as_never_seen_and_a_fifth_is_kept_for_the_quantizer(
    data: Dataset, digests: list[str]
):
    divided = divide(without_split(data), digests, seed=0)
    shares = {
        part: len(ids) / len(data.records) for part, ids in parts_of(divided.data, digests).items()
    }
    assert shares["train"] == pytest.approx(0.2, abs=0.05)
    assert shares["val"] == pytest.approx(0.4, abs=0.05)
    assert "taken as never seen" in divided.assumed
    assert "name them with --trained-on" in divided.assumed


def test_listed_images_and_their_lesions_are_kept_from_judging(data: Dataset, digests: list[str]):
    records = without_split(data)
    lesions = {record.lesion_id: record for record in data.records}  # one image of each
    listed = {record.file.name for record in [*lesions.values()][:200]}
    divided = divide(records, digests, seed=0, trained_on=listed)
    seen = {record.lesion_id for record in data.records if record.file.name in listed}
    for record in divided.data.records:
        assert (record.split == "train") == (record.lesion_id in seen)
    parts = parts_of(divided.data, digests)
    assert len(parts["train"]) > len(listed)  # a second photograph of some lesions
    assert "more of the same lesions are set aside" in divided.assumed


def test_listed_names_that_match_no_image_are_counted(data: Dataset, digests: list[str]):
    seen = {record.image_id for record in data.records if record.split == "train"}
    divided = divide(without_split(data), digests, seed=0, trained_on={*seen, "x7.jpg", "x8.jpg"})
    assert f"2 of the {len(seen) + 2} listed names match no image (first: x7.jpg, x8.jpg)" in (
        divided.assumed
    )
    divided = divide(without_split(data), digests, seed=0, trained_on=seen)
    assert "match no image" not in divided.assumed


@pytest.mark.parametrize(
    ("change", "trained_on", "error", "sentence"),
    [
        (lambda d: d, {"a"}, UsageError, "brings a split, and --trained-on names images as well"),
        (without_split, {"a"}, TableError, "is in the list of --trained-on .it has, .* a; the"),
        (
            without_split, {"x" * 5000, *map(str, range(1000, 2000))}, TableError,
            "it has, for example, 1000, 1001, 1002; the data has",
        ),
        (without_split, {"x" * 5000}, TableError, "^.{0,300}$"),
        (
            lambda d: d.with_records(replace(r, split="train") for r in d.records), None,
            TableError, "All images are in the part train",
        ),
    ],
)  # fmt: skip
def test_contradictions_about_what_was_seen_are_refused(
    data: Dataset, digests: list[str], change: Any, trained_on: Any, error: Any, sentence: str
):
    with pytest.raises(error, match=sentence):
        divide(change(data), digests, seed=0, trained_on=trained_on)
