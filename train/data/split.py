"""Splitting by lesion, so that no lesion and no copied file stands on both sides."""

from __future__ import annotations

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from edge_runtime.errors import ClassError, LeakError
from train.data.table import Dataset, Record

_GROUP = "group-{:06d}"
_GROUP_NAME = re.compile(r"group-\d{6,}")


class Photograph(Protocol):
    """An image of a lesion, whose id may be unknown (None or empty)."""

    @property
    def lesion_id(self) -> str | None:
        """Images of one lesion share it."""
        ...


def group_name(number: int) -> str:
    """What the audit calls a picture, or like ones, of which no data set names the lesion."""
    return _GROUP.format(number)


def names_lesion(name: str | None) -> bool:
    """Whether a lesion's id is of the data, and not missing or a `group_name`."""
    return bool(name) and not _GROUP_NAME.fullmatch(name or "")


def groups_of(records: Sequence[Photograph], digests: Sequence[str]) -> list[str]:
    """What must not be torn apart: the lesion where it is known, else the file's content.

    Args:
        records: n images.
        digests: SHA-256 of their files.

    Returns:
        n group names. Copies of one file under two lesions fall into one group, and so do those
        lesions: groups are the connected components.
    """
    parents: dict[str, str] = {}

    def root(node: str) -> str:
        while parents.setdefault(node, node) != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for record, digest in zip(records, digests, strict=True):
        if record.lesion_id:
            parents[root(f"file {digest}")] = root(f"lesion {record.lesion_id}")
    return [root(f"file {digest}") for digest in digests]


def may_part(records: Sequence[Record]) -> str | None:
    """What a split that is made of these images may part, as a note; None where it parts nothing.

    Args:
        records: with the split that they bring, if any.
    """
    made = {"val", "test"} - {record.split for record in records}
    unnamed = sum(not record.lesion_id for record in records)
    if not made or not unnamed:
        return None
    return (
        f"note: {unnamed} of {len(records)} images name no lesion, so the split keeps "
        "their identical files together and nothing else; copies that were resized or saved "
        "again, and other photographs of one lesion, may be in training and test. `dermedge "
        "audit` finds copies, and with --fix keeps them together."
    )


def split(
    data: Dataset, digests: Sequence[str], *, seed: int, val_fraction: float = 0.15,
    test_fraction: float = 0.15,
) -> Dataset:  # fmt: skip
    """Assign every image to "train", "val" or "test", by group and stratified by class.

    A split that the data brings is kept: only parts that are missing are made, the validation part
    out of the training part.

    Args:
        data: the images.
        digests: SHA-256 of their files, in order.
        seed: of the shuffle.
        val_fraction, test_fraction: shares of the images, between 0 and 0.5.

    Raises:
        LeakError: the given split has a lesion, or copies of one file, on two sides.
        ClassError: a class has too few lesions to be split.
    """
    groups = np.array(groups_of(data.records, digests))
    labels = np.array([record.label for record in data.records])
    given = [record.split for record in data.records]
    assigned = np.array([name or "" for name in given], dtype=object)
    assigned[assigned == ""] = "train"
    if "test" not in given:
        parts = 2 if "val" in given else 3
        assigned = _carve(assigned, "test", test_fraction, labels, groups, seed, parts)
    if "val" not in given:
        share = val_fraction / (1 - (test_fraction if "test" not in given else 0))
        assigned = _carve(assigned, "val", share, labels, groups, seed + 1, 2)
    result = data.with_records(
        replace(record, split=str(name))
        for record, name in zip(data.records, assigned, strict=True)
    )
    check_no_leak(result.records, groups.tolist())
    return result


def check_no_leak(records: Sequence[Record], groups: Sequence[str]) -> None:
    """Refuse a split that tears a group apart.

    Raises:
        LeakError: names the first torn group and how many there are.
    """
    sides: dict[str, set[str | None]] = defaultdict(set)
    for record, group in zip(records, groups, strict=True):
        sides[group].add(record.split)
    torn = [group for group, names in sides.items() if len(names) > 1]
    if torn:
        shown = [r.image_id for r, group in zip(records, groups, strict=True) if group == torn[0]]
        raise LeakError(
            f"{len(torn)} lesions or copied files stand on both sides of the split (first: "
            f"{', '.join(shown[:3])}); remove the split column to have one made by lesion, or "
            "correct it."
        )


def _carve(
    assigned: np.ndarray, name: str, share: float, labels: np.ndarray, groups: np.ndarray,
    seed: int, parts: int,
) -> np.ndarray:  # fmt: skip
    """Move about ``share`` of the training part to the part ``name``, whole groups only.

    Every class keeps a lesion for each of the ``parts`` that it still has to be shared between.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    classes = sorted(set(labels))
    index = np.flatnonzero(assigned == "train")
    labels, groups = labels[index], groups[index]
    lesions = _lesions(labels, groups)
    for label in classes:
        if lesions[label] < parts:
            raise ClassError(
                f"The class {label} has {lesions[label]} lesions to be shared between {parts} "
                "parts; add images, or leave the class out."
            )
    folds = max(2, min(round(1 / share), max(Counter(labels).values())))
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # folds without the rarest class: see below
        candidates = [moved for _, moved in splitter.split(index, labels, groups)]
    for moved in candidates:
        taken = _lesions(labels[moved], groups[moved])
        if all(1 <= taken[label] <= lesions[label] - parts + 1 for label in classes):
            result = assigned.copy()
            result[index[moved]] = name
            return result
    raise ClassError(
        f"No choice of lesions gives the part {name} images of every class and leaves some for the "
        "others; add images, or leave the smallest class out."
    )


def _lesions(labels: np.ndarray, groups: np.ndarray) -> Counter[str]:
    """Number of lesions of each class."""
    return Counter(label for label, _ in set(zip(labels, groups, strict=True)))
