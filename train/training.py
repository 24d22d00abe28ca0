"""One training run, from labelled images to a run folder."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime._files import new_folder, sha256, write_text
from edge_runtime.errors import UsageError
from edge_runtime.preprocess import InputRule
from train import backend, progress
from train.calibration import calibrate, fold_temperature
from train.config import TrainConfig
from train.data.split import groups_of, split
from train.data.table import SPLITS, Dataset, class_indices
from train.data.tensors import digest_files, load_tensors
from train.metrics import Predictions, evaluate, operating_points, require_both
from train.run import (
    HISTORY_FILE,
    MODEL_FILE,
    RUN_FILE,
    SCHEMA_VERSION,
    SPLIT_FILE,
    Run,
    RunFolder,
    SplitRow,
    format_run,
    history_csv,
    predictions_csv,
    split_csv,
)


def train(data: Dataset, config: TrainConfig, out: Path) -> RunFolder:
    """Split, cache, fit, evaluate, and write the run folder ``out``.

    Args:
        data: labelled images; a split that they bring is kept.
        config: how to train.
        out: must not exist; appears only when everything in it is written.

    Raises:
        UsageError: ``out`` exists, or the configuration names no known architecture.
        DataError: the images cannot be split or read.
        TrainingError: the loss is no longer finite.
    """
    if out.exists():
        raise UsageError(f"{out} exists already; name another --out, or remove it.")
    backend.prepare()
    import keras

    from train.architectures import build
    from train.fit import Parts, fit

    keras.utils.set_random_seed(config.seed)
    built = build(
        config.arch, input_size=config.input_size, classes=len(data.labels),
        dropout=config.dropout, pretrained=config.pretrained,
    )  # fmt: skip
    rule = InputRule(config.input_size)
    files = [record.file for record in data.records]
    digests = digest_files(files)
    data = split(
        data, digests, seed=config.seed, val_fraction=config.val_fraction,
        test_fraction=config.test_fraction,
    )  # fmt: skip
    rows = _split_rows(data, digests)
    parts = {name: _rows_of(rows, name) for name in SPLITS}
    truth = {name: _truth(data, rows, parts[name]) for name in SPLITS}
    for target in truth["val"].targets:
        require_both(truth["val"].positive(target), target)  # now, and not after hours of training
    with progress.bar("preprocessing") as update:
        tensors = load_tensors(files, digests, rule, update)
    progress.say(
        f"{data.description.name}: "
        + ", ".join(f"{len(index)} {name}" for name, index in parts.items())
        + f" images, {len(data.labels)} classes; {config.arch} at {config.input_size} px; "
        + built.weights
    )
    fitted = fit(
        built.model,
        Parts(tensors, parts["train"], truth["train"].truth, parts["val"], truth["val"]),
        config,
    )
    from train.pipeline import predictor

    uncalibrated = replace(
        truth["val"], probabilities=predictor(built.model)(tensors, parts["val"])
    )
    calibration = calibrate(uncalibrated, bootstrap=config.bootstrap, seed=config.seed)
    progress.say(f"calibration: {calibration.reason}")
    if calibration.kept:
        fold_temperature(built.model, calibration.temperature)
    predict = predictor(built.model)
    answered = {
        name: replace(truth[name], probabilities=predict(tensors, parts[name]))
        for name in ("val", "test")
    }
    points = operating_points(answered["val"], config.sensitivity)
    metrics = {
        name: evaluate(predictions, points, bootstrap=config.bootstrap, seed=config.seed)
        for name, predictions in answered.items()
    }
    with new_folder(out) as folder:
        built.model.save(folder / MODEL_FILE)
        write_text(folder / SPLIT_FILE, split_csv(rows))
        write_text(folder / HISTORY_FILE, history_csv(fitted.history))
        for name, predictions in answered.items():
            chosen = [rows[index] for index in parts[name]]
            write_text(
                folder / f"predictions_{name}.csv",
                predictions_csv(chosen, data.codes, np.asarray(predictions.probabilities)),
            )
        run = Run(
            schema_version=SCHEMA_VERSION,
            name=out.name,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            weights=built.weights,
            labels=data.labels,
            melanoma=data.melanoma,
            input=rule,
            data=data.description,
            data_folder=str(data.root.resolve()),
            counts=_counts(rows),
            config=config,
            best_epoch=fitted.best_epoch,
            calibration=calibration,
            operating_points=points,
            metrics=metrics,
            versions=backend.versions(),
            files={path.name: sha256(path.read_bytes()) for path in sorted(folder.iterdir())},
        )
        write_text(folder / RUN_FILE, format_run(run))
    return RunFolder.open(out)


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
        groups=np.array(groups_of(chosen, [row.sha256 for row in chosen])),
        labels=data.labels,
        melanoma=data.melanoma,
    )


def _counts(rows: Sequence[SplitRow]) -> dict[str, dict[str, int]]:
    return {
        name: dict(sorted(Counter(row.label for row in rows if row.split == name).items()))
        for name in SPLITS
    }
