"""The held-out images on which variants are judged, found again and proved to be the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import LeakError, MissingImagesError
from edge_runtime.manifest import Label
from edge_runtime.preprocess import InputRule
from train import progress
from train.data.table import Dataset, class_indices
from train.data.tensors import digest_files, load_tensors
from train.metrics import Predictions
from train.run import RunFolder, SplitRow


@dataclass(frozen=True)
class Images:
    """Input tensors and the rows of the run's table they belong to.

    Attributes:
        tensors: uint8 of shape (n, size, size, 3).
        rows: n rows, in the same order.
    """

    tensors: NDArray[np.uint8]
    rows: tuple[SplitRow, ...]

    def of_split(self, name: str) -> NDArray[np.int64]:
        """Indices of the rows of one split."""
        return np.array([i for i, row in enumerate(self.rows) if row.split == name], np.int64)


def images_of_run(run: RunFolder, data: Path | None = None) -> Images:
    """The images that a run was trained, validated and tested on.

    Args:
        run: the run.
        data: where they are now, if they have moved.

    Raises:
        MissingImagesError: an image is gone.
        LeakError: an image is no longer the one that the run has seen.
    """
    folder = data or Path(run.run.data_folder)
    base = folder.parent if folder.is_file() else folder
    rows = run.rows()
    files = [base / row.file for row in rows]
    gone = [row.file for row, file in zip(rows, files, strict=True) if not file.is_file()]
    if gone:
        raise MissingImagesError(
            f"{len(gone)} of {len(rows)} images of the run are not in {base} (first: {gone[0]}); "
            "say with --data where they are."
        )
    digests = digest_files(files)
    changed = [row.file for row, found in zip(rows, digests, strict=True) if row.sha256 != found]
    if changed:
        raise LeakError(
            f"{len(changed)} images have changed since training (first: {changed[0]}), so the "
            "split no longer holds; restore them, or train again."
        )
    with progress.bar("preprocessing") as update:
        return Images(load_tensors(files, digests, run.run.input, update), rows)


def images_of_split(data: Dataset, split: str, rule: InputRule) -> Images:
    """The images of one split of a data set."""
    records = data.of_split(split)
    files = [record.file for record in records]
    digests = digest_files(files)
    rows = tuple(
        SplitRow(
            record.image_id, record.file.name, digest, record.label, record.lesion_id or "", split
        )
        for record, digest in zip(records, digests, strict=True)
    )
    with progress.bar("preprocessing") as update:
        return Images(load_tensors(files, digests, rule, update), rows)


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
        groups=np.array([row.group for row in rows]),
        labels=labels,
        melanoma=melanoma,
    )
