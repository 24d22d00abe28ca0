"""What is told of a variant beside the losses that decide.

Differences from the reference on the same images, positive where the variant is worse, with 95%
intervals. Those of means over images come from a bootstrap over lesions in which both models are
measured on the same resamples. The share of images on which both name the same class has Wilson's
interval, every lesion counting as one image: where all agree, no resample would differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import Metric
from train.evaluation.bootstrap import interval, lesion_weights
from train.evaluation.figures import ECE
from train.evaluation.reliability import calibration_error
from train.evaluation.shares import wilson
from train.evaluation.weighted import weighted_balanced_accuracy
from train.metrics import Predictions

Floats = NDArray[np.float64]


def reported(
    reference: Predictions, variant: Predictions, *, bootstrap: int, seed: int
) -> dict[str, Metric]:
    """The figures that are reported and decide nothing.

    Args:
        reference, variant: answers of both, row by row for the same images, which hold both
            answers to the first target.
        bootstrap: number of resamples; 0 gives differences without intervals.
        seed: of the resampling.

    Returns:
        ``balanced_accuracy``, a loss; ``ece``, by how much the expected calibration error of the
        first target grows; ``agreement``, the share of images with the same most probable class;
        the largest and the mean difference of a probability, over all classes and images.
    """
    apart = np.abs(reference.probabilities - variant.probabilities)
    same = reference.probabilities.argmax(axis=1) == variant.probabilities.argmax(axis=1)
    values = _differences(reference, variant, np.ones((1, len(same))))
    drawn: dict[str, list[Floats]] = {name: [] for name in values}
    for weights in lesion_weights(reference.groups, bootstrap, seed):
        for name, values_drawn in _differences(reference, variant, weights).items():
            drawn[name].append(values_drawn)
    found = {name: interval(name, float(value[0]), drawn[name]) for name, value in values.items()}
    agreed = float(same.mean())
    mean = found.pop("mean_probability_difference")
    return found | {
        "agreement": Metric(agreed, *wilson(agreed, len(np.unique(reference.groups)))),
        "largest_probability_difference": Metric(float(apart.max())),
        "mean_probability_difference": mean,
    }


def _differences(
    reference: Predictions, variant: Predictions, weights: Floats
) -> dict[str, Floats]:
    """The differences under each of b weightings of the n images; arrays of shape (b,)."""
    target = reference.targets[0]
    positive = reference.positive(target)
    errors = [
        calibration_error(answers.scores(target), positive, weights)
        for answers in (reference, variant)
    ]
    apart = np.abs(reference.probabilities - variant.probabilities).mean(axis=1, dtype=np.float64)
    return {
        "balanced_accuracy": weighted_balanced_accuracy(reference, weights)
        - weighted_balanced_accuracy(variant, weights),
        ECE: errors[1] - errors[0],
        "mean_probability_difference": weights @ apart / weights.sum(axis=1),
    }
