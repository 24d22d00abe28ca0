"""The study: every trial so far, kept in one file that only the calling process writes.

Optuna's journal is used, and not its SQLite storage: it only appends, so that a kill loses at most
the line that is being written, and it needs no file locking that network folders do not have.
`optuna-dashboard` reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import MissingExtraError, RunError
from train import progress
from train.config import TrainConfig
from train.pieces.pool import TRIES
from train.tuning.objective import OBJECTIVES
from train.tuning.space import Space, values_within

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STUDY_FILE = "study.log"
RANDOM_TRIALS = 10
"""So many trials are drawn at random before the sampler looks at the earlier ones."""

NOTE, EPOCH, SECONDS = "note", "epoch", "seconds"
_ASKED, _TRY = "asked", "try"  # the values of a trial that is to be begun anew; how often it was


def open_study(out: Path, config: TrainConfig, space: Space, objective: str) -> Study:
    """The study in ``out``, new or gone on with.

    The first trial of a new study has the configuration's own values, where they lie within the
    ranges. Trials that were interrupted are marked as failed and put in line again.

    Args:
        out: an existing folder that no other process works in.
        config: gives the first trial, and the seed.
        space: what is tuned.
        objective: a key of `OBJECTIVES`.

    Raises:
        MissingExtraError: Optuna is not installed.
        RunError: the journal is damaged.
    """
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"Tuning needs the package {error.name}, which is not installed; run "
            '`pip install ./edge_runtime ".[train]"` in the checkout.'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = out / STUDY_FILE
    _drop_half_line(file)
    try:
        study = optuna.create_study(
            study_name="tune",
            storage=JournalStorage(JournalFileBackend(str(file))),
            direction=OBJECTIVES[objective],
            load_if_exists=True,
        )
        trials = study.get_trials(deepcopy=False)
    except (ValueError, KeyError) as error:
        raise RunError(f"{file} is damaged ({error}); name another --out.") from None
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=RANDOM_TRIALS, seed=config.seed + len(trials)
    )
    if not trials:
        own = values_within(config, space)
        if own is not None:
            _put_in_line(study, own, 1)
        else:
            progress.say(
                "the configuration's own values are not tried, as the ranges leave some out"
            )
    for trial in trials:
        if trial.state == optuna.trial.TrialState.RUNNING:  # of a call that was killed
            _begin_again(study, trial)
    return study


def finished(study: Study) -> list[FrozenTrial]:
    """The trials that tell something: trained to their end, stopped early, or not trainable."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def completed(study: Study) -> list[FrozenTrial]:
    """The trials that were trained to their end."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _begin_again(study: Study, trial: FrozenTrial) -> None:
    from optuna.trial import TrialState

    tries = int(trial.user_attrs.get(_TRY, 1))
    parameters = trial.params or trial.user_attrs.get(_ASKED, {})
    study.tell(trial.number, state=TrialState.FAIL)
    if tries < TRIES:
        _put_in_line(study, parameters, tries + 1)


def _put_in_line(study: Study, parameters: dict[str, Any], tries: int) -> None:
    study.enqueue_trial(parameters, user_attrs={_ASKED: parameters, _TRY: tries})


def _drop_half_line(file: Path) -> None:
    """Cut off what a kill or a full disk left of a line; it is an operation that did not happen."""
    if not file.is_file():
        return
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with file.open("r+b") as opened:
            opened.truncate(whole)
