"""Which images each fold trains on, watches and is tested on."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge_runtime.errors import ClassError, TableError, UsageError
from train.data.split import check_no_leak, groups_of, split
from train.data.table import Dataset

MOST_FOLDS = 20


def without_test_part(data: Dataset, digests: Sequence[str]) -> tuple[Dataset, list[str]]:
    """The images that may be shared among the folds: all but a test part that the data brings.

    Args:
        data: the images.
        digests: SHA-256 of their files, in order.

    Returns:
        those images, without a split, and the digests of their files.

    Raises:
        LeakError: the test part shares a lesion, or a copied file, with the others.
        TableError: the data brings nothing but a test part.
    """
    sides = [
        replace(record, split="test" if record.split == "test" else "train")
        for record in data.records
    ]
    check_no_leak(sides, groups_of(data.records, digests))
    kept = [
        (replace(record, split=None), digest)
        for record, digest in zip(data.records, digests, strict=True)
        if record.split != "test"
    ]
    if not kept:
        raise TableError(
            f"All {len(sides)} images of {data.root.name} are its test part, so none is left for "
            "the folds; use them all with --resplit."
        )
    return data.with_records(record for record, _ in kept), [digest for _, digest in kept]


def make_folds(
    data: Dataset, digests: Sequence[str], *, folds: int, seed: int, val_fraction: float
) -> tuple[Dataset, ...]:
    """The data set once for every fold, each time with another part as its test part.

    Whole lesions move together, and classes are spread evenly (scikit-learn's
    ``StratifiedGroupKFold``). Every image is in exactly one test part; of a fold's other images,
    ``val_fraction`` validate and the rest trains.

    Args:
        data: the images; a split that they bring is not looked at.
        digests: SHA-256 of their files, in order.
        folds: how many, from 2.
        seed: of the shuffle.
        val_fraction: share of the images that are not tested.

    Raises:
        UsageError: a number of folds that cannot be.
        ClassError: a class has too few lesions.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if not 2 <= folds <= MOST_FOLDS:
        raise UsageError(f"--folds is {folds}, expected 2 to {MOST_FOLDS}.")
    groups = groups_of(data.records, digests)
    labels = [record.label for record in data.records]
    lesions = Counter(label for label, _ in set(zip(labels, groups, strict=True)))
    rarest = min(lesions, key=lambda label: lesions[label])
    if lesions[rarest] < folds:
        raise ClassError(
            f"The class {rarest} has {lesions[rarest]} lesions, too few for {folds} folds; lower "
            "--folds, add images, or leave the class out."
        )
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with more lesions than folds is met
        parts = [tested for _, tested in splitter.split(labels, labels, groups)]
    return tuple(
        split(_tested_on(data, part), digests, seed=seed, val_fraction=val_fraction)
        for part in parts
    )


def _tested_on(data: Dataset, part: np.ndarray) -> Dataset:
    tested = set(part.tolist())
    return data.with_records(
        replace(record, split="test" if index in tested else "train")
        for index, record in enumerate(data.records)
    )
