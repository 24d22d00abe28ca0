"""A split tears no lesion apart, keeps the classes' shares, and says when it cannot."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edge_runtime.errors import ClassError, LeakError
from train.data.description import Description
from train.data.split import check_no_leak, groups_of, split
from train.data.table import Dataset, Record, read_data
from train.data.tensors import digest_files

MALIGNANT = ("mel",)


def dataset(records: Sequence[Record]) -> Dataset:
    described = Description("test", MALIGNANT, "mel")
    codes = {record.label for record in records}
    return Dataset(Path("test"), described, described.labels(codes), tuple(records))


def record(image: str, label: str, lesion: str | None = None, split: str | None = None) -> Record:
    return Record(image, Path(f"{image}.jpg"), label, lesion, split)


def lesions(counts: Mapping[str, int], views: int = 1) -> list[Record]:
    """``views`` images of each of so many lesions a class."""
    return [
        record(f"{label}-{lesion}-{view}", label, f"{label}-{lesion}")
        for label, count in counts.items()
        for lesion in range(count)
        for view in range(views)
    ]


def ids(records: Sequence[Record]) -> list[str]:
    """Stand-ins for digests: every file differs."""
    return [record.image_id for record in records]


def sides(data: Dataset) -> dict[str, str | None]:
    return {record.image_id: record.split for record in data.records}


def shares(data: Dataset) -> dict[str, dict[str, float]]:
    """Share of each class in each part."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for one in data.records:
        counted[str(one.split)][one.label] += 1
    return {
        part: {label: count / sum(labels.values()) for label, count in labels.items()}
        for part, labels in counted.items()
    }


def assert_nothing_is_torn(data: Dataset, digests: Sequence[str]) -> None:
    parts: dict[str, set[str | None]] = defaultdict(set)
    for one, digest in zip(data.records, digests, strict=True):
        parts[f"file {digest}"].add(one.split)
        if one.lesion_id is not None:
            parts[f"lesion {one.lesion_id}"].add(one.split)
    assert [name for name, found in parts.items() if len(found) > 1] == []


# What belongs together


def test_copies_join_the_lesions_they_stand_under() -> None:
    records = [
        record("a1", "nv", "A"), record("a2", "nv", "A"), record("b1", "nv", "B"),
        record("c1", "nv", "C"), record("copy", "nv"), record("alone", "nv"),
    ]  # fmt: skip
    #        a2 and b1 are one file, so A and B are one; c1 has a copy without a lesion
    digests = ["1", "2", "2", "3", "3", "4"]
    a1, a2, b1, c1, copy, alone = groups_of(records, digests)
    assert a1 == a2 == b1
    assert c1 == copy
    assert len({a1, c1, alone}) == 3


def test_chains_of_copies_are_one_group_however_long_and_in_whatever_order() -> None:
    links = [(number, copy) for number in (3, 0, 4, 1, 2) for copy in (number, number + 1)]
    records = [record(f"{n}{copy}", "nv", f"L{n}") for n, copy in links]
    assert len(set(groups_of(records, [f"copy {copy}" for _, copy in links]))) == 1


# A split that is made


def test_made_split_tears_neither_lesions_nor_copies_apart() -> None:
    records = lesions({"mel": 40, "nv": 120}, views=3)
    digests = ids(records)
    for index in range(0, 300, 30):  # copies across lesions
        digests[index + 7] = digests[index]
    for seed in range(5):
        made = split(dataset(records), digests, seed=seed)
        assert_nothing_is_torn(made, digests)
        assert set(sides(made).values()) == {"train", "val", "test"}


def test_made_split_keeps_the_shares_of_classes_and_parts() -> None:
    records = lesions({"mel": 100, "bkl": 200, "nv": 700}, views=2)
    made = split(dataset(records), ids(records), seed=3)
    for part, expected in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        assert len(made.of_split(part)) / len(records) == pytest.approx(expected, abs=0.02)
        assert shares(made)[part] == pytest.approx({"mel": 0.1, "bkl": 0.2, "nv": 0.7}, abs=0.02)


def test_fractions_are_followed() -> None:
    records = lesions({"mel": 200, "nv": 800})
    made = split(dataset(records), ids(records), seed=0, val_fraction=0.3, test_fraction=0.1)
    assert len(made.of_split("test")) == pytest.approx(100, abs=10)
    assert len(made.of_split("val")) == pytest.approx(300, abs=15)


def test_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    records = lesions({"mel": 50, "nv": 150})
    first, again, other = (
        sides(split(dataset(records), ids(records), seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("counts", [{"mel": 3, "nv": 100}, {"mel": 4, "nv": 5}])
def test_rare_class_is_in_every_part(counts: dict[str, int], seed: int) -> None:
    records = lesions(counts)
    made = split(dataset(records), ids(records), seed=seed)
    for part in ("train", "val", "test"):
        assert {one.label for one in made.of_split(part)} == set(counts)


@pytest.mark.parametrize("views", [1, 10])
def test_too_few_lesions_of_a_class_are_refused_however_many_images(views: int) -> None:
    records = lesions({"mel": 2, "nv": 50}, views)
    with pytest.raises(ClassError, match="class mel has 2 lesions to be shared between 3 parts"):
        split(dataset(records), ids(records), seed=0)


# A split that the data brings


def test_given_test_part_is_kept_and_validation_is_taken_from_training() -> None:
    records = [
        replace(one, split="test" if index % 5 == 0 else "train")
        for index, one in enumerate(lesions({"mel": 60, "nv": 240}))
    ]
    made = sides(split(dataset(records), ids(records), seed=0))
    before = {one.image_id: one.split for one in records}
    assert {name for name, part in made.items() if part == "test"} == {
        name for name, part in before.items() if part == "test"
    }
    assert Counter(made.values())["val"] == pytest.approx(0.15 * 240, abs=8)


def test_given_validation_part_is_kept_and_test_is_taken_from_training() -> None:
    records = [
        replace(one, split="val" if index % 4 == 0 else "train")
        for index, one in enumerate(lesions({"mel": 60, "nv": 240}))
    ]
    made = sides(split(dataset(records), ids(records), seed=0))
    assert all((made[one.image_id] == "val") == (one.split == "val") for one in records)
    assert "test" in made.values()


def test_complete_split_is_left_as_it_is() -> None:
    records = [
        replace(one, split=("train", "val", "test")[index % 3])
        for index, one in enumerate(lesions({"mel": 6, "nv": 6}))
    ]
    assert split(dataset(records), ids(records), seed=0).records == tuple(records)


def test_lesion_on_both_sides_is_refused() -> None:
    records = [
        record("a", "mel", "L", "train"), record("b", "mel", "L", "test"),
        record("c", "nv", "M", "val"), record("d", "nv", "N", "test"),
    ]  # fmt: skip
    with pytest.raises(LeakError, match=r"1 lesions or copied files .* \(first: a, b\)"):
        split(dataset(records), ids(records), seed=0)


def test_copied_file_on_both_sides_is_refused() -> None:
    records = [
        record("a", "mel", None, "train"), record("b", "nv", None, "test"),
        record("c", "nv", None, "val"), record("d", "mel", None, "test"),
    ]  # fmt: skip
    with pytest.raises(LeakError, match=r"2 lesions or copied files"):
        split(dataset(records), ["1", "1", "2", "2"], seed=0)


def test_check_passes_where_nothing_is_torn() -> None:
    records = [record("a", "mel", "L", "train"), record("b", "mel", "M", "test")]
    check_no_leak(records, ["L", "M"])
    with pytest.raises(LeakError, match=r"first: a, b"):
        check_no_leak(records, ["L", "L"])


# Real and generated images


def without_split(data: Dataset) -> Dataset:
    return data.with_records(replace(one, split=None) for one in data.records)


def test_generated_images_bring_a_split_without_a_leak_and_can_be_split_anew(
    generated: Path,
) -> None:
    data = read_data(generated)
    digests = digest_files([one.file for one in data.records])
    assert split(data, digests, seed=0).records == data.records
    made = split(without_split(data), digests, seed=0)
    assert made.records != data.records
    assert_nothing_is_torn(made, digests)


@pytest.mark.data
def test_published_split_of_ham10000_has_no_leak_and_a_made_one_neither(data_root: Path) -> None:
    data = read_data(data_root / "ham10000")
    digests = digest_files([one.file for one in data.records])
    assert_nothing_is_torn(data, digests)
    assert split(data, digests, seed=0).records == data.records
    made = split(without_split(data), digests, seed=0)
    assert_nothing_is_torn(made, digests)
    whole = {
        label: count / 10015 for label, count in Counter(r.label for r in data.records).items()
    }
    for part in ("train", "val", "test"):
        assert shares(made)[part] == pytest.approx(whole, abs=0.03)


@pytest.mark.data
def test_nine_class_collection_as_downloaded_is_refused_and_can_be_split_anew(
    data_root: Path,
) -> None:
    data = read_data(data_root / "isic_9class")
    digests = digest_files([one.file for one in data.records])
    with pytest.raises(LeakError, match="18 lesions or copied files"):
        split(data, digests, seed=0)
    made = split(without_split(data), digests, seed=0)
    assert_nothing_is_torn(made, digests)
