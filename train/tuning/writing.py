"""What a tuning leaves: the best configuration, a table of all trials, pictures, a record."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime._files import write_text
from train.configuration import Configuration, DataConfig, format_configuration
from train.tuning.objective import OBJECTIVES
from train.tuning.plots import write_plots
from train.tuning.search import Tuned
from train.tuning.space import words
from train.tuning.study import EPOCH, NOTE, SECONDS

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SCHEMA_VERSION = 1
BEST_FILE, TRIALS_FILE, RESULT_FILE = "best.toml", "trials.csv", "tune.json"
_SHOWN = 5
_WORDS = {"val_auc": "validation AUC", "val_accuracy": "validation accuracy",
          "val_loss": "validation loss"}  # fmt: skip


def write_results(tuned: Tuned, data: DataConfig, out: Path) -> None:
    """`best.toml`, `trials.csv`, `tune.json` and the pictures, into the folder of the study.

    Args:
        tuned: the study.
        data: where the images are, for the configuration.
        out: the folder.
    """
    write_text(out / BEST_FILE, format_configuration(Configuration(data, tuned.config)))
    write_text(out / TRIALS_FILE, _trials(tuned))
    write_text(out / RESULT_FILE, json.dumps(result_json(tuned), indent=1) + "\n")
    write_plots(tuned, out)


def result_json(tuned: Tuned) -> dict[str, Any]:
    """The object of `tune.json`, which ``--json`` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "objective": tuned.wish.objective,
        "direction": OBJECTIVES[tuned.wish.objective],
        "ranges": words(tuned.wish.space),
        "trials": _counts(tuned),
        "best": {
            "trial": tuned.best.number,
            "value": tuned.best.value,
            "epoch": tuned.best.user_attrs[EPOCH],
            "parameters": tuned.best.params,
        },
        "config": BEST_FILE,
        "note": _note(tuned),
    }


def result_text(tuned: Tuned, out: Path) -> str:
    """The best trials, the warning that goes with them, and what to do next."""
    from tabulate import tabulate

    names = list(tuned.best.distributions)
    ranked = sorted(
        (trial for trial in tuned.study.trials if _state(trial) == "trained"),
        key=lambda trial: trial.value or 0.0,
        reverse=OBJECTIVES[tuned.wish.objective] == "maximize",
    )
    rows = [
        [trial.number, f"{trial.value:.3f}", *(f"{trial.params[name]:.3g}" for name in names)]
        for trial in ranked[:_SHOWN]
    ]
    heads = ["trial", tuned.wish.objective, *(name.replace("_", " ") for name in names)]
    counted = ", ".join(f"{count} {state}" for state, count in _counts(tuned).items() if count)
    return "\n\n".join(
        [
            f"trials: {counted}",
            str(tabulate(rows, heads, "simple", disable_numparse=True)),
            _note(tuned),
            f"next: dermedge train --config {out / BEST_FILE}",
        ]
    )


def _note(tuned: Tuned) -> str:
    what = _WORDS[tuned.wish.objective]
    trained = _counts(tuned)["trained"]
    end = "largest" if OBJECTIVES[tuned.wish.objective] == "maximize" else "smallest"
    return (
        f"The {what} of {tuned.best.value:.3f} was chosen as the {end} of {trained}, so it "
        "promises more than the settings will keep; what they are worth is measured on images "
        "that chose nothing, as the test part."
    )


def _state(trial: FrozenTrial) -> str:
    """Trained to its end, stopped early, failed, interrupted, or waiting to be begun."""
    from optuna.trial import TrialState

    if trial.state == TrialState.COMPLETE:
        return "trained"
    if NOTE in trial.user_attrs:
        return "failed"
    if trial.state == TrialState.PRUNED:
        return "stopped"
    return "interrupted" if trial.state == TrialState.FAIL else "waiting"


def _counts(tuned: Tuned) -> dict[str, int]:
    counted = Counter(map(_state, tuned.study.trials))
    return {name: counted[name] for name in
            ("trained", "stopped", "failed", "interrupted", "waiting")}  # fmt: skip


def _trials(tuned: Tuned) -> str:
    names = list(tuned.best.distributions)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("trial", "state", tuned.wish.objective, EPOCH, *names, SECONDS, NOTE))
    for trial in tuned.study.trials:
        attributes = trial.user_attrs
        course = trial.intermediate_values
        value = trial.value if trial.value is not None else course[max(course)] if course else ""
        writer.writerow(
            (trial.number, _state(trial), value, attributes.get(EPOCH, ""),
             *(trial.params.get(name, "") for name in names),
             attributes.get(SECONDS, ""), attributes.get(NOTE, ""))
        )  # fmt: skip
    return text.getvalue()
