"""Figures of a classifier on labelled images, each with a 95% interval.

Intervals come from a percentile bootstrap over lesions (Efron & Tibshirani, An Introduction to the
Bootstrap, 1993, section 13.3): photographs of one lesion are not independent, so whole lesions are
drawn. Thresholds are frozen beforehand, on validation images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ClassError
from edge_runtime.manifest import Label, Metric, OperatingPoint

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Predictions:
    """What a model answered on some labelled images.

    Attributes:
        probabilities: float of shape (n, classes).
        truth: index of the right class, shape (n,).
        groups: lesion (or image) of every row, shape (n,).
        labels: the classes, in the order of the columns.
        melanoma: code of the melanoma class, or None.
    """

    probabilities: NDArray[np.floating]
    truth: NDArray[np.int64]
    groups: NDArray[np.str_]
    labels: tuple[Label, ...]
    melanoma: str | None

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
    if not positive.any() or positive.all():
        found = "no" if not positive.any() else "only"
        raise ClassError(
            f"The validation images hold {found} {target} images, so no operating point can be "
            "chosen; add images of the missing kind."
        )
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


def operating_points(predictions: Predictions, sensitivity: float) -> dict[str, OperatingPoint]:
    """The operating point of every target, see `operating_point`."""
    return {
        target: operating_point(
            predictions.scores(target), predictions.positive(target), sensitivity, target
        )
        for target in predictions.targets
    }


def evaluate(
    predictions: Predictions, points: Mapping[str, OperatingPoint], *, bootstrap: int, seed: int
) -> dict[str, Metric]:
    """Figures with 95% intervals; those that the images cannot give (one class only) are left out.

    Args:
        predictions: the model's answers.
        points: frozen operating points by target.
        bootstrap: number of resamples; 0 gives values without intervals.
        seed: of the resampling.

    Returns:
        accuracy, balanced_accuracy, macro_f1, precision and recall (macro), and for each target
        ``<target>_auc``, ``<target>_sensitivity`` and ``<target>_specificity``.
    """
    everything = np.arange(len(predictions.truth))
    values = _figures(predictions, points, everything)
    rows_of = _rows_by_group(predictions.groups)
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(bootstrap):
        chosen = rng.integers(0, len(rows_of), len(rows_of))
        rows = np.concatenate([rows_of[group] for group in chosen])
        for name, value in _figures(predictions, points, rows).items():
            if name in drawn:
                drawn[name].append(value)
    tail = (1 - CONFIDENCE) / 2
    metrics = {}
    for name, value in values.items():
        low, high = None, None
        if drawn[name]:
            low, high = (float(end) for end in np.quantile(drawn[name], [tail, 1 - tail]))
        metrics[name] = Metric(value, low, high)
    return metrics


def _figures(
    predictions: Predictions, points: Mapping[str, OperatingPoint], rows: NDArray[np.int64]
) -> dict[str, float]:
    from sklearn.metrics import (
        accuracy_score,
        precision_recall_fscore_support,
        roc_auc_score,
    )

    truth = predictions.truth[rows]
    answers = predictions.probabilities[rows].argmax(axis=1)
    present = np.unique(truth)
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, answers, labels=present, average="macro", zero_division=0
    )
    figures = {
        "accuracy": float(accuracy_score(truth, answers)),
        "balanced_accuracy": float(recall),
        "macro_f1": float(f1),
        "precision": float(precision),
        "recall": float(recall),
    }
    for target in predictions.targets:
        scores, positive = predictions.scores(target)[rows], predictions.positive(target)[rows]
        if positive.any() and not positive.all():
            called = scores >= points[target].threshold
            figures[f"{target}_auc"] = float(roc_auc_score(positive, scores))
            figures[f"{target}_sensitivity"] = float(called[positive].mean())
            figures[f"{target}_specificity"] = float((~called[~positive]).mean())
    return figures


def _rows_by_group(groups: NDArray[np.str_]) -> Sequence[NDArray[np.int64]]:
    _, index = np.unique(groups, return_inverse=True)
    order = np.argsort(index, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(index[order])) + 1)
