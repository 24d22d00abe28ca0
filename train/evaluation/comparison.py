"""Two models on the same images: by how much their figures differ, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edge_runtime.manifest import Metric, OperatingPoint
from train.evaluation.bootstrap import interval, lesion_weights
from train.evaluation.figures import ECE, figures
from train.evaluation.weighted import weighted_figures
from train.metrics import Predictions


def compare(
    a: Predictions, b: Predictions, points_a: Mapping[str, OperatingPoint],
    points_b: Mapping[str, OperatingPoint], *, bootstrap: int, seed: int,
) -> dict[str, Metric]:  # fmt: skip
    """The difference ``a`` minus ``b`` of every figure that both models have.

    Figures of classes are compared where both tell the same classes apart, those of a target where
    both mean the same by it (`alike`), the calibration error where that is their first target.

    The bootstrap is paired: both models are measured on the same resamples of lesions, so what
    makes an image hard for both cancels. A difference is told from chance where its interval
    excludes zero.

    Args:
        a, b: answers of both, row by row for the same images.
        points_a, points_b: the frozen operating points of each, by target.
        bootstrap: number of resamples; 0 gives differences without intervals.
        seed: of the resampling.

    Raises:
        ValueError: the rows are not of the same images.
    """
    if not np.array_equal(a.groups, b.groups):
        raise ValueError("the answers of the two models are not of the same images")
    values_a, values_b = figures(a, points_a), figures(b, points_b)
    same_classes = a.classes_known == b.classes_known and _codes(a) == _codes(b)
    same_classes = same_classes and np.array_equal(a.truth, b.truth)

    def comparable(name: str) -> bool:
        if name == ECE:
            return a.main_target == b.main_target and alike(a, b, str(a.main_target))
        target = name.partition("_")[0]
        return alike(a, b, target) if target in a.targets else same_classes

    shared = [name for name in values_a if name in values_b and comparable(name)]
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in shared}
    for weights in lesion_weights(a.groups, bootstrap, seed):
        drawn_a = weighted_figures(a, points_a, weights)
        drawn_b = weighted_figures(b, points_b, weights)
        for name in shared:
            drawn[name].append(drawn_a[name] - drawn_b[name])
    return {name: interval(name, values_a[name] - values_b[name], drawn[name]) for name in shared}


def alike(a: Predictions, b: Predictions, target: str) -> bool:
    """Whether both are asked for ``target``, and the same images are positive to both.

    Two models may hold other classes malignant; their figures then answer two questions.
    """
    asked = target in a.targets and target in b.targets
    return asked and np.array_equal(a.positive(target), b.positive(target))


def _codes(predictions: Predictions) -> list[str]:
    return [label.code for label in predictions.labels]
