"""What of the images a bundle would answer, and its figures on those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.checks import Inspection, Inspector
from edge_runtime.manifest import Metric, OperatingPoint
from train.evaluation.shares import share_by_lesion
from train.metrics import Predictions, evaluate

RETAKE, UNCERTAIN = "retake", "uncertain"


@dataclass(frozen=True)
class Answered:
    """The answered images beside all of them.

    A model that refuses what is hard looks better than it is, so the shares belong to the figures.

    Attributes:
        images: how many are answered.
        refused: share of all images, by decision and "refused" for both together; 95% intervals
            over lesions.
        refused_of: share refused of the images to which a target is true, by target ("melanoma",
            "malignant"), where there are any.
        metrics: of the answered images, as `train.metrics.evaluate` gives them.
    """

    images: int
    refused: Mapping[str, Metric]
    refused_of: Mapping[str, Metric]
    metrics: Mapping[str, Metric]


def inspections(
    inspector: Inspector, tensors: NDArray[np.uint8], resolutions: Sequence[str]
) -> list[Inspection]:
    """What a bundle's checks say of n images, as they do on the device.

    Args:
        inspector: of the bundle.
        tensors: what the model is fed, uint8 of shape (n, size, size, 3).
        resolutions: of the n files, from `train.evaluation.images.Images.resolutions`.
    """
    found = []
    for tensor, resolution in zip(tensors, resolutions, strict=True):
        width, height = map(int, resolution.split("x"))
        found.append(inspector.inspect(np.ascontiguousarray(tensor), width, height))
    return found


def answered(
    predictions: Predictions, found: Sequence[Inspection], points: Mapping[str, OperatingPoint], *,
    bootstrap: int, seed: int,
) -> Answered:  # fmt: skip
    """The answered images' figures, and how many are refused.

    Args:
        predictions: the model's answers on all n images.
        found: what the checks say of each of them.
        points: frozen operating points by target.
        bootstrap, seed: of the intervals.
    """
    retake = np.array([bool(one.retake) for one in found])
    refused = np.array([one.refused for one in found])
    groups = predictions.groups

    def share(marked: NDArray[np.bool_], of: NDArray[np.bool_]) -> Metric:
        return share_by_lesion(marked[of], groups[of], bootstrap, seed)

    every = np.ones(len(refused), bool)
    kept = predictions.take(~refused)
    return Answered(
        images=int((~refused).sum()),
        refused={
            RETAKE: share(retake, every),
            UNCERTAIN: share(refused & ~retake, every),
            "refused": share(refused, every),
        },
        refused_of={
            target: share(refused, positive)
            for target in predictions.targets
            if (positive := predictions.positive(target)).any()
        },
        metrics={}
        if kept.main_target is None
        else evaluate(kept, points, bootstrap=bootstrap, seed=seed),
    )
