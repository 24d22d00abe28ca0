"""`tune`: ask for trials, have them trained, and tell the study what came of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime._strict import to_json
from edge_runtime.errors import TrainingError, UsageError
from edge_runtime.preprocess import InputRule
from train import progress
from train.config import TrainConfig
from train.data.table import Dataset
from train.data.tensors import digest_files, load_tensors
from train.pieces.folder import digest_data, working_in
from train.pieces.place import place
from train.pieces.pool import Outcome, Pool, run_pieces
from train.tuning.objective import OBJECTIVES
from train.tuning.piece import Trained, TrialPiece, train_trial
from train.tuning.space import Space, chosen, distributions, words
from train.tuning.study import EPOCH, NOTE, SECONDS, completed, finished, open_study

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial


@dataclass(frozen=True)
class Wish:
    """What to look for, and how long.

    Attributes:
        space: what is tuned.
        objective: a key of `OBJECTIVES`.
        trials: how many the study is to hold in the end.
        minutes: no trial begins after so many; None for no limit.
    """

    space: Space
    objective: str = "val_auc"
    trials: int = 20
    minutes: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.objective not in OBJECTIVES:
            raise UsageError(
                f"--objective is {self.objective}, expected {' or '.join(OBJECTIVES)}."
            )
        if self.trials < 1:
            raise UsageError(f"--trials is {self.trials}, expected 1 or more.")
        if self.minutes is not None and not self.minutes > 0:
            raise UsageError(f"--minutes is {self.minutes:g}, expected a number above 0.")


@dataclass(frozen=True)
class Tuned:
    """A study that has at least one trial to choose.

    Attributes:
        study: all trials, as Optuna has them.
        wish: what was looked for.
        best: the trial with the best objective.
        config: the whole configuration with its values.
    """

    study: Study
    wish: Wish
    best: FrozenTrial
    config: TrainConfig


def tune(
    data: Dataset, config: TrainConfig, out: Path, wish: Wish, pool: Pool | None = None
) -> Tuned:
    """Train trials until the study in ``out`` holds as many as wished for, or the time is up.

    Trials are judged on the validation part; the test part is never predicted.

    Args:
        data: labelled images; a split that they bring is kept.
        config: what holds for all that is not tuned.
        out: a new folder, or one in which the same tuning was begun.
        wish: what to look for; number and time may change from call to call.
        pool: where the trials are trained.

    Raises:
        UsageError: ``out`` is some other folder, or another call works there.
        RunError: ``out`` was begun with other data, another configuration or other ranges.
        DataError: the images cannot be read or split.
        TrainingError: not one trial could be trained to its end.
    """
    files = [record.file for record in data.records]
    digests = digest_files(files)
    plan = {
        "verb": "tune", "objective": wish.objective, "ranges": words(wish.space),
        "config": to_json(config), "data": digest_data(data, digests),
    }  # fmt: skip
    out = Path(os.path.abspath(out))
    with working_in(out, plan):
        study = open_study(out, config, wish.space, wish.objective)
        wanted = wish.trials - len(finished(study))
        if wanted > 0:
            _say_beginning(study, wanted)
            with progress.bar("preprocessing") as update:  # once, here, and not by every worker
                load_tensors(files, digests, InputRule(config.input_size), update)
            _Search(study, data, config, wish).run(wanted, pool or Pool())
        if not completed(study):
            notes = [t.user_attrs[NOTE] for t in finished(study) if NOTE in t.user_attrs]
            raise TrainingError(
                "No trial was trained to its end"
                + (f" (the first: {notes[0]})" if notes else "")
                + "; give more --minutes or other ranges."
            )
        best = study.best_trial
        return Tuned(study, wish, best, chosen(config, best.params))


class _Search:
    """The trials of one call."""

    def __init__(self, study: Study, data: Dataset, config: TrainConfig, wish: Wish) -> None:
        self._study, self._config, self._wish = study, config, wish
        self._images = place(data)
        self._distributions = distributions(wish.space)
        self._asked: dict[int, Trial] = {}

    def run(self, wanted: int, pool: Pool) -> None:
        minutes = self._wish.minutes
        until = None if minutes is None else time.monotonic() + 60 * minutes
        run_pieces(train_trial, self._pieces(wanted), pool, on_done=self._tell, until=until)

    def _pieces(self, wanted: int) -> Iterator[TrialPiece]:
        """A trial whenever a worker is free, so that it is chosen by all that is known then."""
        for _ in range(wanted):
            trial = self._study.ask(self._distributions)
            self._asked[trial.number] = trial
            progress.say(f"trial {trial.number}: {_values(trial.params)}")
            yield TrialPiece(
                number=trial.number,
                images=self._images,
                config=chosen(self._config, trial.params),
                objective=self._wish.objective,
                completed=tuple(t.intermediate_values for t in completed(self._study)),
            )

    def _tell(self, outcome: Outcome[TrialPiece, Trained]) -> None:
        from optuna.trial import TrialState

        trial = self._asked.pop(outcome.piece.number)
        answer, error = outcome.answer, outcome.error
        if error is not None or answer is None:
            trial.set_user_attr(NOTE, str(error))
            if not isinstance(error, TrainingError):  # of the data or the call: all trials have it
                self._study.tell(trial, state=TrialState.FAIL)
                raise error or TrainingError(f"{outcome.piece.name} gave no answer.")
            # A loss that is not finite, or memory that is too small, says that these values are
            # bad. The sampler learns from stopped trials, and not from failed ones.
            self._study.tell(trial, state=TrialState.PRUNED)
            progress.say(f"{outcome.piece.name} failed: {error}")
            return
        for step, value in answer.course.items():
            trial.report(value, step)
        trial.set_user_attr(EPOCH, answer.epoch)
        trial.set_user_attr(SECONDS, answer.seconds)
        if answer.stopped:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, answer.value)
        progress.say(
            f"{outcome.piece.name}: {self._wish.objective} {answer.value:.3f} in epoch "
            f"{answer.epoch}" + (", behind the others and stopped" if answer.stopped else "")
        )


def _say_beginning(study: Study, wanted: int) -> None:
    told = len(finished(study))
    progress.say(f"{wanted} trials" + (f" more, after {told} that are done" if told else ""))


def _values(parameters: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in parameters.items())
