"""Which images a model that was trained elsewhere has seen, and which may judge it.

Nobody can see from a model what it was trained on, so it is said or assumed, in this order:

1. a list (``--trained-on``): these images were trained on, and so were, as far as anyone can tell,
   the others of the same lesions; the rest is held out;
2. the data's own split: the part "train" was trained on, "val" and "test" are held out;
3. neither: the model has seen none of the images.

Held-out images without a part of their own are shared out by lesion between validation, which
calibrates, sets thresholds and judges variants, and test, which reports. Where nothing was trained
on, a fifth of the images becomes the part "train": it tells the quantizer what values to expect,
and judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

from edge_runtime._strict import plain
from edge_runtime.errors import TableError, UsageError
from train.data.split import groups_of, split
from train.data.table import Dataset, Record

QUANTIZER_SHARE = 0.2
"""Of the images, where none was trained on."""

_SHOWN = 3


@dataclass(frozen=True)
class Divided:
    """Data with a part for every image, and what that rests on, as one sentence."""

    data: Dataset
    assumed: str


def divide(
    data: Dataset, digests: Sequence[str], seed: int, trained_on: AbstractSet[str] | None = None
) -> Divided:
    """Give every image its part.

    Args:
        data: the images, with or without a split.
        digests: SHA-256 of their files, in order.
        seed: of what has to be shared out.
        trained_on: ids or file names of images that the model was trained on.

    Raises:
        UsageError: both a list and a split.
        TableError: the list names none of the images, or no image is held out.
        DataError: the images cannot be shared out.
    """
    given = {record.split for record in data.records}
    if trained_on is not None:
        if given != {None}:
            raise UsageError(
                "The data brings a split, and --trained-on names images as well; leave one of the "
                "two out."
            )
        return _by_list(data, digests, seed, trained_on)
    if "train" in given:
        return _by_split(data, digests, seed)
    return _by_assumption(data, digests, seed)


def _by_list(data: Dataset, digests: Sequence[str], seed: int, names: AbstractSet[str]) -> Divided:
    groups = groups_of(data.records, digests)
    listed = [not names.isdisjoint(_names(record)) for record in data.records]
    unmatched = sorted(names - {name for record in data.records for name in _names(record)})
    if not any(listed):
        raise TableError(
            f"None of the {len(listed)} images is in the list of --trained-on (it has, for "
            f"example, {_first(unmatched)}; the data has {plain(data.records[0].image_id)}); "
            "correct it, with one id or file name a line, or leave it out if the model has seen "
            "none of them."
        )
    seen = {group for group, there in zip(groups, listed, strict=True) if there}
    parts = ["train" if group in seen else "" for group in groups]
    parts = _share_out(data, digests, parts, seed)
    beside = parts.count("train") - sum(listed)
    others = f", and {beside} more of the same lesions are set aside" if beside else ""
    lost = (
        f"; {len(unmatched)} of the {len(names)} listed names match no image "
        f"(first: {_first(unmatched)})"
    )
    return Divided(
        _with_parts(data, parts),
        f"{sum(listed)} of the {len(parts)} images are taken as trained on, as listed{others}; the "
        f"others as never seen{lost if unmatched else ''}",
    )


def _by_split(data: Dataset, digests: Sequence[str], seed: int) -> Divided:
    parts = [record.split or "train" for record in data.records]
    held_out = {"val", "test"} & set(parts)
    if not held_out:
        raise TableError(
            "All images are in the part train, so that none is left to judge the model; add some "
            "that it was not trained on, in a part test."
        )
    halved = ""
    if len(held_out) == 1:
        (whole,) = held_out
        parts = ["" if part == whole else part for part in parts]
        parts = _share_out(data, digests, parts, seed)
        halved = f", and the part {whole} is shared out between validation and test"
    return Divided(
        _with_parts(data, parts),
        f"the {parts.count('train')} images of the part train are taken as trained on, the others "
        f"as never seen, as the data's split has it{halved}",
    )


def _by_assumption(data: Dataset, digests: Sequence[str], seed: int) -> Divided:
    judging = (1 - QUANTIZER_SHARE) / 2
    made = split(
        _unsplit(data), digests, seed=seed, val_fraction=judging, test_fraction=QUANTIZER_SHARE
    )
    roles = {"test": "train", "val": "val", "train": "test"}  # the smallest part judges nothing
    parts = [roles[str(record.split)] for record in made.records]
    return Divided(
        _with_parts(data, parts),
        f"the data does not say what the model was trained on, so all {len(parts)} images are "
        f"taken as never seen ({parts.count('train')} of them are kept for the quantizer); if it "
        "has seen some, name them with --trained-on, as the figures are too good otherwise",
    )


def _share_out(data: Dataset, digests: Sequence[str], parts: Sequence[str], seed: int) -> list[str]:
    """Half of the images without a part to validation, half to test, by lesion."""
    open_ = [index for index, part in enumerate(parts) if not part]
    if not open_:
        raise TableError(
            "All images were trained on, so that none is left to judge the model; add some that "
            "it has not seen."
        )
    held_out = _unsplit(data.with_records(data.records[index] for index in open_))
    made = split(held_out, [digests[i] for i in open_], seed=seed, test_fraction=0.5)
    result = list(parts)
    for index, record in zip(open_, made.records, strict=True):
        result[index] = "test" if record.split == "test" else "val"
    return result


def _unsplit(data: Dataset) -> Dataset:
    return data.with_records(replace(record, split=None) for record in data.records)


def _with_parts(data: Dataset, parts: Sequence[str]) -> Dataset:
    pairs = zip(data.records, parts, strict=True)
    return data.with_records(replace(record, split=part) for record, part in pairs)


def _first(names: Sequence[str]) -> str:
    """The first of several names, each in few characters."""
    return ", ".join(plain(name) for name in names[:_SHOWN])


def _names(record: Record) -> set[str]:
    """What a list may call an image."""
    return {record.image_id, Path(record.image_id).stem, record.file.name, record.file.stem}
