"""Figures of a classifier on labelled images, each with a 95% interval.

Values are scikit-learn's (`train.evaluation.figures`); intervals come from a bootstrap over lesions
(`train.evaluation.bootstrap`). Thresholds are frozen beforehand, on validation images.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends import usable_cores
from edge_runtime.errors import ClassError
from edge_runtime.manifest import Label, Metric, OperatingPoint

CONFIDENCE = 0.95
"""Of every interval."""


@dataclass(frozen=True)
class Predictions:
    """What a model answered on some labelled images.

    Attributes:
        probabilities: float of shape (n, classes).
        truth: index of the right class, shape (n,).
        groups: lesion (or image) of every row, shape (n,).
        labels: the classes, in the order of the columns.
        melanoma: code of the melanoma class, or None.
        classes_known: False where the truth only tells malignant from benign and the model knows
            more classes; figures of classes are then left out.
    """

    probabilities: NDArray[np.floating]
    truth: NDArray[np.int64]
    groups: NDArray[np.str_]
    labels: tuple[Label, ...]
    melanoma: str | None
    classes_known: bool = True

    @property
    def targets(self) -> tuple[str, ...]:
        """The yes-or-no questions asked of the model."""
        return ("malignant",) if self.melanoma is None else ("melanoma", "malignant")

    def columns(self, target: str) -> NDArray[np.bool_]:
        """Which classes count as positive for ``target``, shape (classes,)."""
        if target == "melanoma":
            return np.array([label.code == self.melanoma for label in self.labels])
        return np.array([label.malignant for label in self.labels])

    def scores(self, target: str) -> NDArray[np.float64]:
        """Probability of ``target``, shape (n,)."""
        chosen = self.probabilities[:, self.columns(target)]
        return np.minimum(chosen.sum(axis=1, dtype=np.float64), 1.0)

    def positive(self, target: str) -> NDArray[np.bool_]:
        """Whether ``target`` is true, shape (n,)."""
        return self.columns(target)[self.truth]

    def decidable(self, target: str) -> bool:
        """Whether the images hold both answers to ``target``, so that figures of it exist."""
        positive = self.positive(target)
        return bool(positive.any() and not positive.all())

    def referred(self, points: Mapping[str, OperatingPoint]) -> NDArray[np.bool_]:
        """Which images reach any of the operating points, shape (n,).

        These get the decision `refer` unless a bundle's checks refuse them
        (`edge_runtime.decision`), of which probabilities know nothing.
        """
        reached = [self.scores(target) >= points[target].threshold for target in self.targets]
        return np.any(reached, axis=0)

    @property
    def main_target(self) -> str | None:
        """The first target whose figures exist; calibration is measured on it."""
        return next((target for target in self.targets if self.decidable(target)), None)

    def take(self, rows: NDArray[Any]) -> Predictions:
        """The same of some images; ``rows`` are indices or a mask of shape (n,)."""
        return replace(
            self,
            probabilities=self.probabilities[rows],
            truth=self.truth[rows],
            groups=self.groups[rows],
        )


def operating_point(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], sensitivity: float, target: str
) -> OperatingPoint:
    """The highest threshold that still finds the asked share of the positives.

    It is put halfway between the last score that is found and the next lower one, so that a
    difference in the last bit between two devices does not turn a decision.

    Args:
        scores: shape (n,), higher is more suspicious.
        positive: shape (n,).
        sensitivity: share to be found, for example 0.9.
        target: what is looked for, for the error message.

    Raises:
        ClassError: no positive or no negative image.
    """
    require_both(positive, target)
    found_scores = np.sort(scores[positive])[::-1]
    last = found_scores[int(np.ceil(sensitivity * len(found_scores) - 1e-9)) - 1]
    lower = scores[scores < last]
    threshold = float((last + lower.max()) / 2) if len(lower) else float(last)
    called = scores >= threshold
    return OperatingPoint(
        threshold=threshold,
        target_sensitivity=sensitivity,
        sensitivity=float(called[positive].mean()),
        specificity=float((~called[~positive]).mean()),
    )


def require_both(
    positive: NDArray[np.bool_], target: str, *, part: str = "validation",
    lost: str = "no operating point can be chosen",
) -> None:  # fmt: skip
    """Refuse a part of the data, validation by default, that has no example for or against.

    Args:
        positive: shape (n,).
        target: what is looked for, for the error message.
        part: whose images they are.
        lost: what cannot be done with them.

    Raises:
        ClassError: no positive or no negative image.
    """
    if not positive.any() or positive.all():
        found = "no" if not positive.any() else "only"
        raise ClassError(
            f"The {part} images hold {found} {target} images, so {lost}; add images of the missing "
            "kind, or have a split made (--resplit)."
        )


def operating_points(predictions: Predictions, sensitivity: float) -> dict[str, OperatingPoint]:
    """The operating point of every target, see `operating_point`."""
    return {
        target: operating_point(
            predictions.scores(target), predictions.positive(target), sensitivity, target
        )
        for target in predictions.targets
    }


def evaluate(
    predictions: Predictions, points: Mapping[str, OperatingPoint], *, bootstrap: int, seed: int,
    each_class: bool = True,
) -> dict[str, Metric]:  # fmt: skip
    """Figures with 95% intervals; those that the images cannot give (one class only) are left out.

    Args:
        predictions: the model's answers.
        points: frozen operating points by target.
        bootstrap: number of resamples; 0 gives values without intervals.
        seed: of the resampling.
        each_class: also the figures of each class, and the mean of their AUCs; most of the time.

    Returns:
        The figures of `train.evaluation.figures`, in its order, and last ``ece_by_chance``: the
        mean expected calibration error that a perfectly calibrated model would show on as many
        images, with the range that would hold 95% of such models.
    """
    from train.evaluation.bootstrap import interval, lesion_weights
    from train.evaluation.figures import ECE, figures
    from train.evaluation.reliability import ece_by_chance
    from train.evaluation.weighted import weighted_figures

    values = figures(predictions, points, each_class=each_class)
    resampled = functools.partial(weighted_figures, predictions, points, each_class=each_class)
    blocks = lesion_weights(predictions.groups, bootstrap, seed)
    drawn: list[dict[str, NDArray[np.float64]]] = []
    with ThreadPoolExecutor(usable_cores()) as pool:  # NumPy lets go of the interpreter's lock
        # As many at a time as there are threads: the pool itself would take all of them at once.
        while taken := list(itertools.islice(blocks, usable_cores())):
            drawn += pool.map(resampled, taken)
    metrics = {
        name: interval(name, value, [block[name] for block in drawn])
        for name, value in values.items()
    }
    if ECE in metrics and (target := predictions.main_target) is not None:
        scores, groups = predictions.scores(target), predictions.groups
        metrics["ece_by_chance"] = ece_by_chance(scores, groups, seed)
    return metrics
