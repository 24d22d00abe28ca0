"""Shares of images, with 95% intervals: over lesions, or of so many independent observations."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import Metric
from train.evaluation.bootstrap import Floats, interval, lesion_weights
from train.metrics import CONFIDENCE


def share_by_lesion(
    marked: NDArray[np.bool_], groups: NDArray[np.str_], resamples: int, seed: int
) -> Metric:
    """The share of images that are marked, with an interval over lesions.

    Args:
        marked: shape (n,).
        groups: lesion of each image, shape (n,).
        resamples: 0 gives no interval.
        seed: of the resampling.
    """
    drawn = resampled_shares(marked, groups, resamples, seed)
    return interval("share", float(marked.mean()), [drawn])


def resampled_shares(
    marked: NDArray[np.bool_], groups: NDArray[np.str_], resamples: int,
    seed: int | np.random.Generator,
) -> Floats:  # fmt: skip
    """The share that is marked in each resample of `lesion_weights`, shape (resamples,)."""
    blocks = lesion_weights(groups, resamples, seed)
    drawn = [weights @ marked / weights.sum(axis=1) for weights in blocks]
    return np.concatenate(drawn) if drawn else np.empty(0)


def wilson(share: float, count: int) -> tuple[float, float]:
    """The score interval of a share.

    Wilson: Probable inference, the law of succession, and statistical inference. Journal of the
    American Statistical Association 22, 1927, 209-212.

    Args:
        share: 0 to 1; need not be a multiple of 1 / ``count``.
        count: how many independent observations it rests on.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2) / (1 + z**2 / count) * z
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))
