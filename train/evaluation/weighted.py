"""The same figures for many weightings of the images at once, as the bootstrap needs them.

A resample that holds image i twice is the image with weight 2. Scores are sorted once, and every
figure of `train.evaluation.figures` becomes sums over the sorted images, for all weightings in one
array operation. On whole weights the results equal scikit-learn's on the repeated rows to rounding,
which a test holds; calling scikit-learn for each resample would take minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import OperatingPoint
from train.evaluation.figures import (
    ECE,
    NO_CALL,
    ROUNDING,
    SENSITIVITIES,
    decides,
    proper,
    specificity_name,
)
from train.evaluation.reliability import calibration_error
from train.metrics import Predictions

Floats = NDArray[np.float64]


def weighted_figures(
    predictions: Predictions, points: Mapping[str, OperatingPoint], weights: Floats, *,
    each_class: bool = True,
) -> dict[str, Floats]:  # fmt: skip
    """Every figure of `figures`, under each of b weightings of the n images.

    Args:
        predictions: the model's answers.
        points: frozen operating points by target.
        weights: whole numbers, shape (b, n).
        each_class: also those of each class, and the mean of their AUCs.

    Returns:
        arrays of shape (b,) by name; NaN where a weighting leaves nothing to measure.
    """
    found: dict[str, Floats] = {}
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample without a class gives NaN
        if predictions.classes_known:
            found |= _of_classes(predictions, weights, each_class=each_class)
        for target in predictions.targets:
            if predictions.decidable(target):
                found |= _of_target(predictions, target, points, weights)
    if (main := predictions.main_target) is not None:
        scores, positive = predictions.scores(main), predictions.positive(main)
        found[ECE] = calibration_error(scores, positive, weights)
    return found


def weighted_auc(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Area under the ROC curve under each weighting, shape (b,); NaN without both kinds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return _Curve(scores, positive, weights).auc


def weighted_balanced_accuracy(predictions: Predictions, weights: Floats) -> Floats:
    """Mean recall of the classes that the images show, shape (b,); NaN where one has no weight."""
    confusion = _confusion(predictions, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.diagonal(confusion, axis1=1, axis2=2) / confusion.sum(axis=2)
    return _mean(recall, np.unique(predictions.truth))


def _confusion(predictions: Predictions, weights: Floats) -> Floats:
    """Weights by truth and most probable class, shape (b, classes, classes)."""
    classes = len(predictions.labels)
    answers = predictions.probabilities.argmax(axis=1)
    cells = np.eye(classes**2)[predictions.truth * classes + answers]
    return np.asarray((weights @ cells).reshape(-1, classes, classes))


def _of_classes(
    predictions: Predictions, weights: Floats, *, each_class: bool
) -> dict[str, Floats]:
    probabilities, truth = predictions.probabilities, predictions.truth
    confusion = _confusion(predictions, weights)
    right = np.diagonal(confusion, axis1=1, axis2=2)
    total, of_class, answered = confusion.sum(axis=(1, 2)), confusion.sum(2), confusion.sum(1)
    shown, present = of_class > 0, np.unique(truth)
    recall = _kept(right / of_class, shown)
    precision = _kept(np.where(answered > 0, right / answered, NO_CALL), shown)
    f1 = _kept(2 * right / (of_class + answered), shown)
    found = {
        "accuracy": right.sum(axis=1) / total,
        "balanced_accuracy": _mean(recall, present),
        "macro_f1": _mean(f1, present),
        "precision": _mean(precision, present),
        "recall": _mean(recall, present),
        "brier": weights @ _brier_of_rows(predictions) / total,
    }
    if not each_class:
        return found
    aucs = np.full_like(recall, np.nan)
    for index in present:
        aucs[:, index] = _Curve(probabilities[:, index], truth == index, weights).auc
    found["auc_macro"] = _mean(aucs, present)
    for index in present:
        code = predictions.labels[index].code
        found[f"precision_{code}"] = precision[:, index]
        found[f"recall_{code}"] = recall[:, index]
        found[f"f1_{code}"] = f1[:, index]
        found[f"auc_{code}"] = aucs[:, index]
    return found


def _of_target(
    predictions: Predictions, target: str, points: Mapping[str, OperatingPoint], weights: Floats
) -> dict[str, Floats]:  # fmt: skip
    scores, positive = predictions.scores(target), predictions.positive(target)
    called = scores >= points[target].threshold
    curve = _Curve(scores, positive, weights)
    found = {
        f"{target}_auc": curve.auc,
        f"{target}_average_precision": curve.average_precision,
        f"{target}_sensitivity": weights @ (called & positive) / curve.positives,
        f"{target}_specificity": weights @ (~called & ~positive) / curve.negatives,
    }
    if decides(predictions, points):
        decided = predictions.referred(points)
        found[f"{target}_sensitivity_of_decision"] = (
            weights @ (decided & positive) / curve.positives
        )
        found[f"{target}_specificity_of_decision"] = (
            weights @ (~decided & ~positive) / curve.negatives
        )
    for asked in SENSITIVITIES:
        found[specificity_name(target, asked)] = curve.specificity_at(asked)
    found[f"{target}_brier"] = weights @ (scores - positive) ** 2 / weights.sum(axis=1)
    decidable = (curve.positives > 0) & (curve.negatives > 0)
    return {name: _kept(values, decidable) for name, values in found.items()}


class _Curve:
    """What lies at or above every threshold, from the highest down, under each weighting."""

    def __init__(
        self, scores: NDArray[np.floating], positive: NDArray[np.bool_], weights: Floats
    ) -> None:
        order = np.argsort(-scores, kind="stable")
        ordered, hits = scores[order], positive[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        sorted_weights = weights[:, order]
        self.found = _cumulative(sorted_weights * hits, starts)
        self.alarms = _cumulative(sorted_weights * ~hits, starts)
        self.positives, self.negatives = self.found[:, -1], self.alarms[:, -1]

    @property
    def auc(self) -> Floats:
        """Trapezoids under the ROC curve."""
        heights = self.found + _before(self.found)
        twice = (heights * (self.alarms - _before(self.alarms))).sum(axis=1)
        return np.asarray(twice / (2 * self.positives * self.negatives))

    @property
    def average_precision(self) -> Floats:
        """Precision at every threshold, weighed by the sensitivity that it adds."""
        called = self.found + self.alarms
        precision = np.divide(self.found, called, out=np.zeros_like(called), where=called > 0)
        steps = self.found - _before(self.found)
        return np.asarray((precision * steps).sum(axis=1) / self.positives)

    def specificity_at(self, sensitivity: float) -> Floats:
        """At the highest threshold whose sensitivity is at least this."""
        reached = self.found / self.positives[:, None] >= sensitivity - ROUNDING
        first = reached.argmax(axis=1)
        alarms = self.alarms[np.arange(len(first)), first]
        return np.asarray(1 - alarms / self.negatives)


def _cumulative(values: Floats, starts: NDArray[np.int64]) -> Floats:
    """Running sums of shape (b, thresholds), images of one score taken together."""
    if len(starts) < values.shape[1]:
        values = np.add.reduceat(values, starts, axis=1)
    return np.cumsum(values, axis=1)


def _before(running: Floats) -> Floats:
    return np.pad(running[:, :-1], ((0, 0), (1, 0)))


def _brier_of_rows(predictions: Predictions) -> Floats:
    classes = len(predictions.labels)
    apart = proper(predictions.probabilities) - np.eye(classes)[predictions.truth]
    scale = 0.5 if classes == 2 else 1.0  # scikit-learn's convention for two classes
    return np.asarray(scale * (apart**2).sum(axis=1))


def _kept(values: Any, where: NDArray[np.bool_]) -> Floats:
    return np.where(where, values, np.nan)


def _mean(values: Floats, present: NDArray[np.int64]) -> Floats:
    """Mean over the classes that the images show; NaN where a weighting lacks one of them.

    A mean of fewer classes would be another figure, with which a class of few lesions would tear an
    end of the interval away.
    """
    return np.asarray(values[:, present].mean(axis=1))
