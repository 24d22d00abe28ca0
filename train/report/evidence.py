"""What a report is made of, read from the run folder and from the images it was made with."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import RunError
from train import progress
from train.data.table import class_indices
from train.data.tensors import load_tensors
from train.evaluation.images import Images, images_of_run
from train.metrics import Predictions
from train.run import HISTORY_FILE, RunFolder, SplitRow, lesions_of

JUDGED = ("val", "test")


@dataclass(frozen=True)
class Answered:
    """One split: the images' rows and what the model answered, in the same order."""

    rows: tuple[SplitRow, ...]
    predictions: Predictions


@dataclass(frozen=True)
class TestImages:
    """The n test images of a run, in the order of its table.

    Attributes:
        tensors: the model's input squares, uint8 of shape (n, size, size, 3).
        images: their files and records.
    """

    tensors: NDArray[np.uint8]
    images: Images

    @property
    def files(self) -> list[Path]:
        """Where the images are."""
        return self.images.files


def read_history(run: RunFolder) -> tuple[dict[str, float], ...]:
    """One row an epoch, as `train.fit` wrote it."""
    try:
        return tuple(
            {name: float(value) for name, value in row.items()} for row in _table(run, HISTORY_FILE)
        )
    except (TypeError, ValueError):
        raise RunError(f"{HISTORY_FILE} holds something besides numbers; train again.") from None


def read_answers(run: RunFolder, split: str) -> Answered:
    """What the model answered on one split, and the rows of those images.

    Raises:
        RunError: the file does not belong to the run's table.
    """
    name, codes = f"predictions_{split}.csv", run.run.codes
    rows = tuple(row for row in run.rows() if row.split == split)
    table = _table(run, name)
    if [row["image_id"] for row in table] != [row.image_id for row in rows]:
        raise RunError(f"{name} lists other images than the run's split; train again.")
    probabilities = np.array([[row[f"p_{code}"] for code in codes] for row in table], np.float32)
    predictions = Predictions(
        probabilities=probabilities.reshape(len(rows), len(codes)),
        truth=class_indices([row.label for row in rows], codes),
        groups=lesions_of(rows),
        labels=run.run.labels,
        melanoma=run.run.melanoma,
    )
    return Answered(rows, predictions)


def find_test_images(run: RunFolder, data: Path | None = None) -> TestImages:
    """The test images of a run, proved to be the same.

    Args:
        run: the run.
        data: where its images are now, if they have moved.

    Raises:
        MissingImagesError: a test image is gone.
        LeakError: a test image is no longer the one that the run was judged on.
        UnreadableImagesError: a test image cannot be read.
    """
    if data is not None:
        run = replace(run, run=replace(run.run, data_folder=str(data)))
    images = images_of_run(run, "test")
    with progress.bar("preprocessing") as update:
        tensors = load_tensors(images.files, images.digests, run.run.input, update)
    return TestImages(tensors, images)


def _table(run: RunFolder, name: str) -> list[dict[str, str]]:
    """The rows of one of the run's CSV files, whose digest was checked when it was opened."""
    try:
        with (run.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{name} of the run {run.folder.name} cannot be read ({error}).") from None
