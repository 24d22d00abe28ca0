"""What is decided at frozen thresholds, and what is answered, before and after a release."""

from __future__ import annotations

from collections.abc import Mapping
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
        before, after: share of them that the old and the new release decide rightly, or answer.
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
    found = {
        f"{target}_sensitivity": (truth.positive(target), before, after) for target in truth.targets
    }
    found["specificity"] = (~truth.positive("malignant"), ~before, ~after)
    return _changes(truth, found, bootstrap, seed)


def answering(
    truth: Predictions, before: NDArray[np.bool_], after: NDArray[np.bool_], *,
    bootstrap: int, seed: int,
) -> dict[str, Change]:  # fmt: skip
    """What changes in whether n images are answered at all, whatever the answer.

    Args:
        truth: of the images.
        before, after: which of them the checks let pass, shape (n,).
        bootstrap, seed: as for `decisions`.

    Returns:
        by name, see `Compared`; without those that the images cannot give.
    """
    found = {
        f"{target}_answered": (truth.positive(target), before, after) for target in truth.targets
    }
    found["answered"] = (np.ones(len(before), bool), before, after)
    return _changes(truth, found, bootstrap, seed)


def _changes(
    truth: Predictions, asked: Mapping[str, tuple[NDArray[np.bool_], ...]], bootstrap: int,
    seed: int,
) -> dict[str, Change]:  # fmt: skip
    """By name, of masks: which images are asked about, and which are right before and after."""
    return {
        name: _change(name, truth.groups, *masks, bootstrap=bootstrap, seed=seed)
        for name, masks in asked.items()
        if masks[0].any()
    }


def _change(
    name: str, groups: NDArray[np.str_], of: NDArray[np.bool_], before: NDArray[np.bool_],
    after: NDArray[np.bool_], *, bootstrap: int, seed: int,
) -> Change:  # fmt: skip
    gained, lost = of & after & ~before, of & before & ~after
    shares = float(before[of].mean()), float(after[of].mean())
    drawn = []
    for weights in lesion_weights(groups, bootstrap, seed):
        with np.errstate(invalid="ignore"):  # a resample without such an image gives NaN
            drawn.append(weights @ (gained.astype(float) - lost) / (weights @ of))
    return Change(
        images=int(of.sum()),
        before=shares[0],
        after=shares[1],
        difference=interval(name, shares[1] - shares[0], drawn),
        newly_wrong=int(lost.sum()),
        newly_right=int(gained.sum()),
    )
