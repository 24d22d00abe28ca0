"""The figures of a classifier on labelled images: their names, and their values by scikit-learn.

accuracy, balanced_accuracy             share of right answers; the same, every class alike
macro_f1, precision, recall             means over the classes that the images show
auc_macro                               mean over the classes of one against the rest
brier                                   squared distance from the truth: 0 to 2, two classes 0 to 1
precision_<code>, recall_<code>, f1_<code>, auc_<code>     one class
<target>_auc, <target>_average_precision, <target>_brier   "melanoma", and the malignant sum
<target>_sensitivity, <target>_specificity                 at the frozen operating point
<target>_sensitivity_of_decision (specificity too)         any target's point refers, as on devices
<target>_specificity_at_sensitivity_80 (90, 95)            at the best threshold of these images
ece                                     expected calibration error of the first target

Figures that the images cannot give are left out: those of a class that no image shows, those of a
target to which all images give the same answer, and those of classes where the truth tells only
malignant from benign.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import OperatingPoint
from train.evaluation.reliability import calibration_error
from train.metrics import Predictions

ECE = "ece"
SENSITIVITIES = (0.80, 0.90, 0.95)
"""Where specificity is read off the ROC curve."""

ROUNDING = 1e-9
"""A sensitivity that misses the asked one by less than this reaches it."""

NO_CALL = 0.0
"""Precision of a class that the model never answers, as scikit-learn's ``zero_division``."""


def figures(
    predictions: Predictions, points: Mapping[str, OperatingPoint], *, each_class: bool = True
) -> dict[str, float]:
    """The value of every figure that the images can give.

    Args:
        predictions: the model's answers.
        points: frozen operating points by target.
        each_class: also those of each class, and the mean of their AUCs.
    """
    found: dict[str, float] = {}
    if predictions.classes_known:
        found |= _of_all_classes(predictions, auc=each_class)
    for target in predictions.targets:
        if predictions.decidable(target):
            found |= _of_target(predictions, target, points[target].threshold)
            if decides(predictions, points):
                found |= _of_decision(predictions, target, predictions.referred(points))
    if (main := predictions.main_target) is not None:
        scores, positive = predictions.scores(main), predictions.positive(main)
        found[ECE] = float(calibration_error(scores, positive)[0])
    if predictions.classes_known and each_class:
        found |= _of_each_class(predictions)
    return found


def decides(predictions: Predictions, points: Mapping[str, OperatingPoint]) -> bool:
    """Whether the answers tell of every target of several that a device decides by."""
    return len(points) > 1 and set(points) <= set(predictions.targets)


def specificity_name(target: str, sensitivity: float) -> str:
    """Name of the specificity at a sensitivity."""
    return f"{target}_specificity_at_sensitivity_{round(100 * sensitivity)}"


def proper(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows that add up to one in double precision, as float32 answers do within 1e-6 only."""
    exact = probabilities.astype(np.float64)
    return exact / exact.sum(axis=1, keepdims=True)


def _of_all_classes(predictions: Predictions, *, auc: bool) -> dict[str, float]:
    from sklearn.metrics import (
        accuracy_score,
        brier_score_loss,
        precision_recall_fscore_support,
        roc_auc_score,
    )

    truth, answers = predictions.truth, predictions.probabilities.argmax(axis=1)
    shown = np.unique(truth)
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, answers, labels=shown, average="macro", zero_division=NO_CALL
    )
    found = {
        "accuracy": float(accuracy_score(truth, answers)),
        "balanced_accuracy": float(recall),
        "macro_f1": float(f1),
        "precision": float(precision),
        "recall": float(recall),
    }
    if auc and len(shown) > 1:
        columns = predictions.probabilities
        areas = [roc_auc_score(truth == index, columns[:, index]) for index in shown]
        found["auc_macro"] = float(np.mean(areas))
    classes = range(len(predictions.labels))
    found["brier"] = float(
        brier_score_loss(truth, proper(predictions.probabilities), labels=[*classes])
    )
    return found


def _of_each_class(predictions: Predictions) -> dict[str, float]:
    from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

    truth, answers = predictions.truth, predictions.probabilities.argmax(axis=1)
    shown = np.unique(truth)
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, answers, labels=shown, average=None, zero_division=NO_CALL
    )
    found: dict[str, float] = {}
    for place, index in enumerate(shown):
        code = predictions.labels[index].code
        found[f"precision_{code}"] = float(precision[place])
        found[f"recall_{code}"] = float(recall[place])
        found[f"f1_{code}"] = float(f1[place])
        if len(shown) > 1:
            scores = predictions.probabilities[:, index]
            found[f"auc_{code}"] = float(roc_auc_score(truth == index, scores))
    return found


def _of_target(predictions: Predictions, target: str, threshold: float) -> dict[str, float]:
    from sklearn.metrics import (
        average_precision_score,
        brier_score_loss,
        recall_score,
        roc_auc_score,
        roc_curve,
    )

    scores, positive = predictions.scores(target), predictions.positive(target)
    called = scores >= threshold
    found = {
        f"{target}_auc": float(roc_auc_score(positive, scores)),
        f"{target}_average_precision": float(average_precision_score(positive, scores)),
        f"{target}_sensitivity": float(recall_score(positive, called)),
        f"{target}_specificity": float(recall_score(positive, called, pos_label=False)),
    }
    false_alarms, sensitivity, _ = roc_curve(positive, scores, drop_intermediate=False)
    for asked in SENSITIVITIES:
        reached = false_alarms[sensitivity >= asked - ROUNDING]
        found[specificity_name(target, asked)] = float(1 - reached[0])
    found[f"{target}_brier"] = float(brier_score_loss(positive, scores))
    return found


def _of_decision(
    predictions: Predictions, target: str, called: NDArray[np.bool_]
) -> dict[str, float]:  # fmt: skip
    from sklearn.metrics import recall_score

    positive = predictions.positive(target)
    return {
        f"{target}_sensitivity_of_decision": float(recall_score(positive, called)),
        f"{target}_specificity_of_decision": float(recall_score(positive, called, pos_label=False)),
    }
