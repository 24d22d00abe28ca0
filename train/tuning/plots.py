"""The study in pictures, drawn by Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from train.tuning.search import Tuned
from train.tuning.study import completed

DOTS_PER_INCH = 120
FEWEST_FOR_IMPORTANCES = 8
"""Shares of importance from fewer completed trials would be noise."""


def write_plots(tuned: Tuned, out: Path) -> list[Path]:
    """Draw the study into ``out``.

    history.png      the objective of every trial, and the best so far
    courses.png      the objective over the tenths of each trial's epochs
    parameters.png   the objective against each value that was tuned
    importances.png  shares of the variance by value (fANOVA), from `FEWEST_FOR_IMPORTANCES` trials
                     that are not all as good as each other

    Returns:
        the files.
    """
    import matplotlib

    matplotlib.use("Agg")  # no window is wanted, and Optuna draws through pyplot
    from optuna.importance import FanovaImportanceEvaluator
    from optuna.visualization import matplotlib as draw

    study, label = tuned.study, tuned.wish.objective
    plots: dict[str, Callable[[], Any]] = {
        "history.png": lambda: draw.plot_optimization_history(study, target_name=label),
        "courses.png": lambda: draw.plot_intermediate_values(study),
        "parameters.png": lambda: draw.plot_slice(study, target_name=label),
    }
    values = {trial.value for trial in completed(study)}
    if len(completed(study)) >= FEWEST_FOR_IMPORTANCES and len(values) > 1:
        plots["importances.png"] = lambda: draw.plot_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=0), target_name=label
        )
    for name, plot in plots.items():
        _save(plot, out / name, label)
    return [out / name for name in plots]


def _save(plot: Callable[[], Any], path: Path, label: str) -> None:
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls these functions experimental
        axes = plot()
        picture = plt.gcf()
        if path.name == "courses.png":
            axes.set_xlabel("tenths of the trial's epochs")
            axes.set_ylabel(label)
        picture.savefig(path, dpi=DOTS_PER_INCH, bbox_inches="tight", facecolor="white")
    plt.close(picture)
