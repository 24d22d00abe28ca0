"""The held-out images on which variants are judged, found again and proved to be the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import Label
from train import progress
from train.data.table import class_indices
from train.data.tensors import load_tensors
from train.metrics import Predictions
from train.run import RunFolder, SplitRow, lesions_of


@dataclass(frozen=True)
class Images:
    """Input tensors and the rows of the run's table they belong to.

    Attributes:
        tensors: uint8 of shape (n, size, size, 3).
        rows: n rows, in the same order.
        files: where each of them is.
    """

    tensors: NDArray[np.uint8]
    rows: tuple[SplitRow, ...]
    files: tuple[Path, ...]

    def of_split(self, name: str) -> NDArray[np.int64]:
        """Indices of the rows of one split."""
        return np.array([i for i, row in enumerate(self.rows) if row.split == name], np.int64)


@dataclass(frozen=True)
class Held:
    """One held-out split.

    Attributes:
        rows: which images, as indices into `Images`.
        reference: what the Keras model said of them when the run was written, in the same order.
    """

    rows: NDArray[np.int64]
    reference: Predictions


def images_of_run(run: RunFolder, data: Path | None = None) -> Images:
    """The images that a run was trained, validated and tested on.

    Args:
        run: the run.
        data: where they are now, if they have moved.

    Raises:
        MissingImagesError: an image is gone.
        LeakError: an image is no longer the one that the run has seen.
    """
    rows, files = run.find_images(data=data)
    digests = [row.sha256 for row in rows]
    with progress.bar("preprocessing") as update:
        tensors = load_tensors(files, digests, run.run.input, update)
    return Images(tensors, rows, tuple(files))


def predictions(
    probabilities: NDArray[np.float32], rows: Sequence[SplitRow], labels: tuple[Label, ...],
    melanoma: str | None,
) -> Predictions:  # fmt: skip
    """Put answers and truth side by side.

    Raises:
        ClassError: a row has a class that the model does not know.
    """
    codes = [label.code for label in labels]
    return Predictions(
        probabilities=probabilities,
        truth=class_indices([row.label for row in rows], codes),
        groups=lesions_of(rows),
        labels=labels,
        melanoma=melanoma,
    )
