"""Labelled images made ready to learn from: split by lesion, preprocessed, and fingerprinted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime._files import sha256
from edge_runtime._strict import to_json
from edge_runtime.preprocess import InputRule
from train import progress
from train.config import TrainConfig
from train.data.split import split
from train.data.table import SPLITS, Dataset, check_names, class_indices
from train.data.tensors import digest_files, load_tensors
from train.metrics import Predictions, require_both
from train.run import SplitRow, lesions_of


@dataclass(frozen=True)
class Prepared:
    """Data that is split and preprocessed, and what is to be learnt from it.

    Attributes:
        data: with a split for every record.
        rows: the split, row by row of the tensors.
        rule: how an image became a tensor.
        tensors: uint8 of shape (n, size, size, 3).
        index: the rows of each part.
        truth: the answers of each part, with no probabilities yet.
    """

    data: Dataset
    rows: Sequence[SplitRow]
    rule: InputRule
    tensors: NDArray[np.uint8]
    index: Mapping[str, NDArray[np.int64]]
    truth: Mapping[str, Predictions]

    @property
    def fingerprint(self) -> str:
        """Changes with an image's content, its label or its part, and with the input rule.

        And with what the classes mean, as the best epoch is chosen by melanoma's figures.
        """
        facts = [[r.image_id, r.sha256, r.label, r.lesion_id, r.split] for r in self.rows]
        classes = [self.data.melanoma, to_json(self.data.labels)]
        return sha256(json.dumps([classes, to_json(self.rule), facts]).encode())

    def check_learnable(self) -> None:
        """Refuse a training part of which a target cannot be learnt.

        Raises:
            ClassError: no image to learn from, or none with or without a target.
        """
        truth = self.truth["train"]
        for target in truth.targets:
            lost = f"it cannot be learnt from them ({len(truth.truth)} in all)"
            require_both(truth.positive(target), target, part="training", lost=lost)


def prepare(data: Dataset, config: TrainConfig, rule: InputRule | None = None) -> Prepared:
    """Split and preprocess.

    Args:
        data: labelled images; a split that they bring is kept.
        config: its seed, shares and input size are used.
        rule: how an image becomes a tensor, if not by the usual rule of that size.

    Raises:
        DataError: the images cannot be split or read, or a part lacks a class that is needed.
    """
    check_names(data.records)
    rule = rule or InputRule(config.input_size)
    files = [record.file for record in data.records]
    digests = digest_files(files)
    data = split(
        data, digests, seed=config.seed, val_fraction=config.val_fraction,
        test_fraction=config.test_fraction,
    )  # fmt: skip
    rows = _split_rows(data, digests)
    index = {name: _rows_of(rows, name) for name in SPLITS}
    truth = {name: _truth(data, rows, index[name]) for name in SPLITS}
    for target in truth["val"].targets:
        require_both(truth["val"].positive(target), target)  # now, and not after hours of training
    with progress.bar("preprocessing") as update:
        tensors = load_tensors(files, digests, rule, update)
    return Prepared(data, rows, rule, tensors, index, truth)


def _split_rows(data: Dataset, digests: Sequence[str]) -> list[SplitRow]:
    base = data.root if data.root.is_dir() else data.root.parent
    return [
        SplitRow(
            record.image_id,
            record.file.relative_to(base).as_posix()
            if record.file.is_relative_to(base)
            else str(record.file),
            digest,
            record.label,
            record.lesion_id or "",
            record.split or "",
            record.extra,
        )
        for record, digest in zip(data.records, digests, strict=True)
    ]


def _rows_of(rows: Sequence[SplitRow], name: str) -> NDArray[np.int64]:
    return np.array([index for index, row in enumerate(rows) if row.split == name], np.int64)


def _truth(data: Dataset, rows: Sequence[SplitRow], index: NDArray[np.int64]) -> Predictions:
    """The right answers of some rows, with no probabilities yet."""
    chosen = [rows[position] for position in index]
    return Predictions(
        probabilities=np.empty((len(chosen), 0), np.float32),
        truth=class_indices([row.label for row in chosen], data.codes),
        groups=lesions_of(chosen),
        labels=data.labels,
        melanoma=data.melanoma,
    )
