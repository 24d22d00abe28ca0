"""Writing a run folder: calibrate on validation, evaluate, keep everything, whole or not at all.

Training and import end here alike.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime._files import new_folder, sha256, write_text
from train import backend, progress
from train.calibration import calibrate, fold
from train.config import TrainConfig
from train.data.table import SPLITS
from train.metrics import Predictions, evaluate, operating_points
from train.prepared import Prepared
from train.run import (
    HISTORY_FILE,
    MODEL_FILE,
    RUN_FILE,
    SCHEMA_VERSION,
    SPLIT_FILE,
    Run,
    SplitRow,
    format_run,
    history_csv,
    predictions_csv,
    split_csv,
)

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Learnt:
    """A model that has learnt, here or elsewhere.

    Attributes:
        model: ends in the layers "logits" and a softmax.
        weights: where its first weights came from.
        history: one row an epoch; none where it was trained elsewhere.
        best_epoch: the one whose weights it has, counted from 1; 0 where it was trained elsewhere.
    """

    model: keras.Model
    weights: str
    history: Sequence[Mapping[str, float]] = ()
    best_epoch: int = 0


def write_run(
    out: Path, prepared: Prepared, config: TrainConfig, learnt: Learnt, others: Mapping[str, str]
) -> None:
    """Calibrate the model in place, evaluate it on validation and test, and write ``out``.

    Args:
        out: the run folder; appears only when everything in it is written.
        prepared: the images, with their parts.
        config: its sensitivity, bootstrap and seed are used, and all of it is kept.
        learnt: the model.
        others: further files by name, as text.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    from train.pipeline import predictor

    data, index, truth = prepared.data, prepared.index, prepared.truth
    predict = predictor(learnt.model)

    def answers(part: str) -> Predictions:
        return replace(truth[part], probabilities=predict(prepared.tensors, index[part]))

    calibration = calibrate(
        answers("val"), kind=config.calibration, bootstrap=config.bootstrap, seed=config.seed
    )
    progress.say(f"calibration: {calibration.reason}")
    if calibration.kept:
        fold(learnt.model, calibration.temperature, calibration.biases)
    answered = {part: answers(part) for part in ("val", "test")}
    points = operating_points(answered["val"], config.sensitivity)
    metrics = {
        part: evaluate(predictions, points, bootstrap=config.bootstrap, seed=config.seed)
        for part, predictions in answered.items()
    }
    with new_folder(out) as folder:
        learnt.model.save(folder / MODEL_FILE)
        for name, text in others.items():
            write_text(folder / name, text)
        write_text(folder / SPLIT_FILE, split_csv(prepared.rows))
        write_text(folder / HISTORY_FILE, history_csv(learnt.history))
        for part, predictions in answered.items():
            rows = [prepared.rows[i] for i in index[part]]
            write_text(
                folder / f"predictions_{part}.csv",
                predictions_csv(rows, data.codes, np.asarray(predictions.probabilities)),
            )
        run = Run(
            schema_version=SCHEMA_VERSION,
            name=out.name,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            weights=learnt.weights,
            labels=data.labels,
            melanoma=data.melanoma,
            input=prepared.rule,
            data=data.description,
            data_folder=str(data.root.resolve()),
            counts=_counts(prepared.rows),
            config=config,
            best_epoch=learnt.best_epoch,
            calibration=calibration,
            operating_points=points,
            metrics=metrics,
            versions=backend.versions(),
            files={path.name: sha256(path.read_bytes()) for path in sorted(folder.iterdir())},
        )
        write_text(folder / RUN_FILE, format_run(run))


def _counts(rows: Sequence[SplitRow]) -> dict[str, dict[str, int]]:
    return {
        name: dict(sorted(Counter(row.label for row in rows if row.split == name).items()))
        for name in SPLITS
    }
