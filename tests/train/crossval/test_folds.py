"""Which images each fold is tested on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from edge_runtime.errors import ClassError, LeakError, TableError, UsageError
from edge_runtime.manifest import Label
from train.crossval.folds import make_folds, without_test_part
from train.data.description import Description
from train.data.split import groups_of
from train.data.table import Dataset, Record


def dataset(lesions: dict[str, int], images: int = 2) -> Dataset:
    """Every lesion photographed ``images`` times."""
    records = [
        Record(f"{code}{lesion}-{image}", Path(f"{code}{lesion}-{image}.jpg"), code,
               f"{code}{lesion}")
        for code, count in lesions.items()
        for lesion in range(count)
        for image in range(images)
    ]  # fmt: skip
    labels = tuple(Label(code, code, code == "mel") for code in sorted(lesions))
    return Dataset(Path("data"), Description("data", malignant=("mel",)), labels, tuple(records))


def digests(data: Dataset) -> list[str]:
    return [record.image_id for record in data.records]


def images_tested(fold: Dataset) -> set[str]:
    return {record.image_id for record in fold.records if record.split == "test"}


def test_every_image_is_tested_once_and_no_lesion_is_torn_apart() -> None:
    data = dataset({"mel": 20, "nv": 40})
    folds = make_folds(data, digests(data), folds=5, seed=3, val_fraction=0.2)
    assert Counter(name for fold in folds for name in images_tested(fold)) == dict.fromkeys(
        digests(data), 1
    )
    for fold in folds:
        parts = {
            part: {r.lesion_id for r in fold.records if r.split == part}
            for part in ("train", "val", "test")
        }
        assert all(parts.values())
        assert sum(map(len, parts.values())) == 60


def test_classes_are_spread_evenly() -> None:
    data = dataset({"mel": 20, "nv": 80})
    for fold in make_folds(data, digests(data), folds=5, seed=0, val_fraction=0.2):
        shares = {
            part: Counter(r.label for r in fold.records if r.split == part)
            for part in ("test", "val")
        }
        assert shares["test"] == {"mel": 8, "nv": 32}
        assert shares["val"]["mel"] / shares["val"].total() == pytest.approx(0.2, abs=0.05)


def test_copies_of_a_file_under_two_lesions_stay_together() -> None:
    data = dataset({"mel": 12, "nv": 12}, images=1)
    copied = digests(data)
    copied[0] = copied[5]
    for fold in make_folds(data, copied, folds=3, seed=0, val_fraction=0.2):
        assert fold.records[0].split == fold.records[5].split


def test_the_seed_decides_and_a_given_split_does_not() -> None:
    data = dataset({"mel": 12, "nv": 12})
    given = data.with_records(replace(record, split="train") for record in data.records)

    def of(data: Dataset, seed: int) -> list[set[str]]:
        folds = make_folds(data, digests(data), folds=3, seed=seed, val_fraction=0.2)
        return [images_tested(fold) for fold in folds]

    assert of(data, 1) == of(data, 1) == of(given, 1)
    assert of(data, 1) != of(data, 2)


def test_the_test_part_of_the_data_is_left_out() -> None:
    data = dataset({"mel": 6, "nv": 6})
    given = data.with_records(
        replace(r, split="test" if r.lesion_id in ("mel0", "nv0") else "val") for r in data.records
    )
    kept, found = without_test_part(given, digests(given))
    assert found == digests(kept)
    assert {r.lesion_id for r in given.records} - {r.lesion_id for r in kept.records} == {
        "mel0", "nv0",
    }  # fmt: skip
    assert {record.split for record in kept.records} == {None}
    assert len(set(groups_of(kept.records, found))) == 10


def test_a_test_part_that_leaks_is_refused() -> None:
    data = dataset({"mel": 6, "nv": 6})
    torn = data.with_records(
        replace(r, split="test" if r.image_id == "mel0-0" else "train") for r in data.records
    )
    with pytest.raises(LeakError, match="mel0-0"):
        without_test_part(torn, digests(torn))
    only = data.with_records(replace(record, split="test") for record in data.records)
    with pytest.raises(TableError, match="--resplit"):
        without_test_part(only, digests(only))


def test_folds_that_cannot_be_are_refused() -> None:
    data = dataset({"mel": 4, "nv": 9})
    with pytest.raises(ClassError, match="mel has 4 lesions, too few for 5 folds; lower --folds"):
        make_folds(data, digests(data), folds=5, seed=0, val_fraction=0.2)
    for folds in (1, 21):
        with pytest.raises(UsageError, match=f"--folds is {folds}, expected 2 to 20"):
            make_folds(data, digests(data), folds=folds, seed=0, val_fraction=0.2)
