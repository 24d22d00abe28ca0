"""One trial as an independent piece of work.

A trial needs no access to the study: what it must know to stop early (how the completed trials
stood at each tenth of their epochs) travels with it, and how it stood itself travels back. So a
worker on another machine needs the images and nothing else, and one process alone writes the study.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from train.config import TrainConfig
from train.pieces.place import Placed
from train.tuning.objective import OBJECTIVES, STARTUP_TRIALS, WARMUP_STEPS, step_of

if TYPE_CHECKING:
    from optuna.trial import Trial

Course = Mapping[int, float]
"""The objective after every tenth of the epochs that was reached."""


@dataclass(frozen=True)
class TrialPiece:
    """A trial to train.

    Attributes:
        number: in the study.
        images: the data set.
        config: with the trial's values.
        objective: a key of `OBJECTIVES`.
        completed: the courses of the trials that were trained to their end.
    """

    number: int
    images: Placed
    config: TrainConfig
    objective: str
    completed: tuple[Course, ...]

    @property
    def name(self) -> str:
        """For people."""
        return f"trial {self.number}"


@dataclass(frozen=True)
class Trained:
    """What came of a trial.

    Attributes:
        value: the objective of the best epoch, which is the one that a run would keep; of the last
            epoch where the trial was stopped early.
        epoch: that epoch, counted from 1.
        stopped: the trial fell behind and was not trained to its end.
        course: how it stood.
        seconds: how long it took.
    """

    value: float
    epoch: int
    stopped: bool
    course: Course
    seconds: float


class _Behind(Exception):
    """Ends the fit of a trial that is stopped early."""


def train_trial(piece: TrialPiece) -> Trained:
    """Train a trial, to its end or until it falls behind. The test part is never predicted.

    Raises:
        DermedgeError: as `train.training.fit_only`.
    """
    from train.training import fit_only

    started = time.monotonic()
    trial = _pruned_by_median(piece)
    course: dict[int, float] = {}
    last: Mapping[str, float] = {}

    def on_epoch(row: Mapping[str, float]) -> None:
        nonlocal last
        last = row
        step = step_of(int(row["epoch"]), piece.config.epochs)
        if step == 0 or step in course:
            return
        course[step] = row[piece.objective]
        trial.report(course[step], step)
        if row["epoch"] < piece.config.epochs and trial.should_prune():
            raise _Behind

    try:
        fitted = fit_only(piece.images.here(), piece.config, on_epoch=on_epoch)
    except _Behind:
        best, stopped = last, True
    else:
        best, stopped = fitted.history[fitted.best_epoch - 1], False
    return Trained(
        value=float(best[piece.objective]),
        epoch=int(best["epoch"]),
        stopped=stopped,
        course=course,
        seconds=round(time.monotonic() - started, 1),
    )


def _pruned_by_median(piece: TrialPiece) -> Trial:
    """A trial of a study in memory, which holds the courses of the completed trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction=OBJECTIVES[piece.objective],
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=STARTUP_TRIALS, n_warmup_steps=WARMUP_STEPS
        ),
    )
    study.add_trials(
        [
            optuna.trial.create_trial(value=0.0, intermediate_values=dict(course))
            for course in piece.completed
        ]
    )
    return study.ask()
