"""What a model decides at its frozen thresholds, before and after a release."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import Metric
from train.evaluation.bootstrap import interval, lesion_weights
from train.metrics import Predictions


@dataclass(frozen=True)
class Change:
    """What a release changes in one figure of its decisions, each at its own thresholds.

    Attributes:
        images: how many the figure is a share of.
        before, after: share of them that the old and the new release decide rightly.
        difference: after minus before; negative is worse.
        newly_wrong, newly_right: images whose decision changed.
    """

    images: int
    before: float
    after: float
    difference: Metric
    newly_wrong: int
    newly_right: int


def decisions(
    truth: Predictions, before: NDArray[np.bool_], after: NDArray[np.bool_], *,
    bootstrap: int, seed: int,
) -> dict[str, Change]:  # fmt: skip
    """What changes in the decisions about n images.

    Args:
        truth: of the images.
        before, after: which of them are referred, shape (n,).
        bootstrap, seed: of the intervals, paired and resampled by lesion.

    Returns:
        by name, see `Compared`; without those that the images cannot give.
    """
    asked = {f"{target}_sensitivity": truth.positive(target) for target in truth.targets}
    benign = ~truth.positive("malignant")
    found = {}
    for name, of in {**asked, "specificity": benign}.items():
        if not of.any():
            continue
        right = [~given if name == "specificity" else given for given in (before, after)]
        gained, lost = of & right[1] & ~right[0], of & right[0] & ~right[1]
        shares = [float(given[of].mean()) for given in right]
        drawn = []
        for weights in lesion_weights(truth.groups, bootstrap, seed):
            with np.errstate(invalid="ignore"):  # a resample without such an image gives NaN
                drawn.append(weights @ (gained.astype(float) - lost) / (weights @ of))
        found[name] = Change(
            images=int(of.sum()),
            before=shares[0],
            after=shares[1],
            difference=interval(name, shares[1] - shares[0], drawn),
            newly_wrong=int(lost.sum()),
            newly_right=int(gained.sum()),
        )
    return found
