"""Intervals by a bootstrap over lesions.

Photographs of one lesion are not independent, so whole lesions are drawn, with replacement, as many
as there are; the interval lies between the 2.5% and the 97.5% quantile of the figure over the
resamples (Efron & Tibshirani: An Introduction to the Bootstrap, 1993, section 13.3; Field & Welsh:
Bootstrapping clustered data, J. R. Stat. Soc. B 69, 2007, 369-390).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import Metric
from train.evaluation.figures import ECE
from train.evaluation.reliability import BLOCK
from train.metrics import CONFIDENCE

Floats = NDArray[np.float64]


def lesion_weights(
    groups: NDArray[np.str_], resamples: int, seed: int | np.random.Generator
) -> Iterator[Floats]:
    """How often each image occurs in each resample, in blocks of shape (b, n).

    Args:
        groups: lesion of each image, shape (n,).
        resamples: how many in all.
        seed: the same seed and groups give the same resamples; a generator goes on.
    """
    names, lesion = np.unique(groups, return_inverse=True)
    count = len(names)
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK // len(groups))
    for start in range(0, resamples, block):
        drawn = [
            np.bincount(rng.integers(0, count, count), minlength=count)
            for _ in range(min(block, resamples - start))
        ]
        yield np.stack(drawn).astype(np.float64)[:, lesion]


def interval(name: str, value: float, drawn: Sequence[Floats]) -> Metric:
    """A value with its 95% interval from the resamples; without one where there are none.

    Resamples that cannot give the figure (NaN, for want of a class) do not count; where they are
    more than half, the rest would tell of the lesions that happen to be there, and there is no
    interval.

    The calibration error grows with every source of noise, and a resample adds one, so its
    resamples are moved back by their mean excess over the value (what the sample itself adds,
    ``ece_by_chance`` tells).

    Args:
        name: of the figure.
        value: on the images as they are.
        drawn: the same on resamples, in blocks of shape (b,).
    """
    every = np.concatenate(drawn) if drawn else np.empty(0)
    found = every[~np.isnan(every)]
    if 2 * len(found) <= len(every):
        return Metric(value)
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(end) for end in np.quantile(found, [tail, 1 - tail]))
    if name == ECE:
        excess = float(found.mean()) - value
        low, high = low - excess, high - excess
    return Metric(value, low, high)
