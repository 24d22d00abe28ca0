"""`cross_validate`: train every fold that is not trained yet, and sum them up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime._strict import to_json
from edge_runtime.errors import DermedgeError, RunError, TrainingError
from edge_runtime.preprocess import InputRule
from train import progress
from train.config import TrainConfig
from train.crossval.folds import make_folds, without_test_part
from train.crossval.piece import FoldPiece, fold_folder, train_fold
from train.crossval.summary import Figure, Fold, summarize
from train.data.split import groups_of, may_part
from train.data.table import Dataset
from train.data.tensors import digest_files, load_tensors
from train.pieces.folder import digest_data, working_in
from train.pieces.place import place
from train.pieces.pool import Outcome, Pool, run_pieces
from train.run import RunFolder


@dataclass(frozen=True)
class CrossValidation:
    """A finished cross-validation.

    Attributes:
        data: name of the data set.
        images, lesions: how many; where lesions are unknown, copied files count as one.
        lesions_known: images of which the lesion is known.
        left_out: images of a test part that the data brings, used in no fold.
        config: how every fold was trained.
        runs: the folds' run folders.
        answers: what each fold answered on its test images.
        metrics: by name.
    """

    data: str
    images: int
    lesions: int
    lesions_known: int
    left_out: int
    config: TrainConfig
    runs: tuple[RunFolder, ...]
    answers: tuple[Fold, ...]
    metrics: dict[str, Figure]


def cross_validate(
    data: Dataset, config: TrainConfig, out: Path, *, folds: int, pool: Pool | None = None
) -> CrossValidation:
    """Train and test ``folds`` folds in ``out``; those that are there already are kept.

    Args:
        data: labelled images; a test part that they bring is left out, the rest of their split is
            not looked at.
        config: how to train every fold.
        out: a new folder, or one in which the same cross-validation was begun.
        folds: how many.
        pool: where the folds are trained.

    Raises:
        UsageError: ``folds`` cannot be, ``out`` is some other folder, or another call works there.
        RunError: ``out`` was begun with other data or another configuration, or a fold in it was
            altered.
        DataError: the images cannot be read or shared among so many folds.
        TrainingError: a fold failed; the others are kept.
    """
    every = len(data.records)
    data, digests = without_test_part(data, digest_files([r.file for r in data.records]))
    parts = make_folds(
        data, digests, folds=folds, seed=config.seed, val_fraction=config.val_fraction
    )
    plan = {
        "verb": "crossval", "folds": folds, "config": to_json(config),
        "data": digest_data(data, digests),
    }  # fmt: skip
    out = Path(os.path.abspath(out))
    with working_in(out, plan):
        if left_out := every - len(data.records):
            progress.say(
                f"{left_out} images of the test part that the data brings are left out of the "
                "folds; --resplit uses all images"
            )
        if note := may_part(data.records):
            progress.say(note)
        _train(parts, digests, config, out, pool or Pool())
        runs = tuple(_open(out, number, part) for number, part in enumerate(parts, start=1))
        answers = tuple(map(_answers, runs))
        return CrossValidation(
            data=data.description.name,
            images=len(data.records),
            lesions=len(set(groups_of(data.records, digests))),
            lesions_known=sum(bool(record.lesion_id) for record in data.records),
            left_out=left_out,
            config=config,
            runs=runs,
            answers=answers,
            metrics=summarize(answers, bootstrap=config.bootstrap, seed=config.seed),
        )


def _train(
    parts: Sequence[Dataset], digests: Sequence[str], config: TrainConfig, out: Path, pool: Pool
) -> None:
    """Train the folds that are not there yet."""
    pieces = [
        FoldPiece(number, place(part), config, out)
        for number, part in enumerate(parts, start=1)
        if not fold_folder(out, number).exists()
    ]
    kept = len(parts) - len(pieces)
    progress.say(f"{len(parts)} folds" + (f", {kept} of them trained already" if kept else ""))
    if not pieces:
        return
    files = [record.file for record in parts[0].records]
    with progress.bar("preprocessing") as update:  # once, here, and not by every worker at once
        load_tensors(files, digests, InputRule(config.input_size), update)

    def tell(outcome: Outcome[FoldPiece, str]) -> None:
        ending = f"failed: {outcome.error}" if outcome.error else "trained"
        progress.say(f"{outcome.piece.name} of {len(parts)} {ending}")

    outcomes = run_pieces(train_fold, pieces, pool, on_done=tell)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        raise TrainingError(
            f"{len(failed)} of {len(parts)} folds failed, first {failed[0].piece.name}: "
            f"{failed[0].error} The finished folds are kept; the same call does the others."
        )


def _open(out: Path, number: int, part: Dataset) -> RunFolder:
    folder = fold_folder(out, number)
    try:
        run = RunFolder.open(folder)
        found = {row.image_id: row.split for row in run.rows()}
    except DermedgeError as error:
        raise RunError(
            f"{folder} cannot be used ({error}) Remove that folder and call again, and the fold is "
            "trained anew."
        ) from None
    if found != {record.image_id: record.split for record in part.records}:
        raise RunError(
            f"{folder} was trained on other images than fold {number}; remove that folder and call "
            "again, and the fold is trained anew."
        )
    return run


def _answers(run: RunFolder) -> Fold:
    from train.report.evidence import read_answers

    return Fold(read_answers(run, "test").predictions, run.run.operating_points)
