"""Whether probabilities mean what they say: the expected calibration error, and what chance gives.

Images are sorted by score and cut into `BINS` bins of equal mass; the error is the mean over the
bins of the distance between the mean score and the share of positives (Naeini, Cooper, Hauskrecht:
Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015, with bins of equal mass
as in Nguyen and O'Connor, EMNLP 2015).

A finite sample of a perfectly calibrated model shows an error above zero, so the value says little
without the one that chance gives at this number of images (Broecker and Smith: Increasing the
reliability of reliability diagrams, Weather and Forecasting 22, 2007, 651-661: labels are drawn
from the probabilities).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import Metric

BINS = 15
SIMULATIONS = 1000
RANGE = (0.025, 0.975)
"""Quantiles of the simulated errors between which 95% of calibrated models lie."""

BLOCK = 1_000_000
"""Numbers held at a time by what repeats itself over images: 8 MB, and a few such arrays."""

Floats = NDArray[np.float64]


def calibration_error(
    scores: Floats, positive: NDArray[np.bool_], weights: Floats | None = None
) -> Floats:
    """Expected calibration error under each of b weightings of the images.

    A bin's border may fall within an image (15 bins of 100 images hold 6.67 each) or among images
    of one score; each bin then takes its share of them. So the error does not depend on the order
    of the images, and an image of weight 2 counts as two images.

    Args:
        scores: probabilities, shape (n,).
        positive: shape (n,), or (s, n) for s sets of labels under one weighting.
        weights: shape (b, n); None weighs every image with 1.

    Returns:
        shape (b,) or (s,), between 0 and 1.
    """
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    weights = np.ones((1, len(scores))) if weights is None else weights[:, order]
    excess = weights * (positive[..., order] - ordered)
    mass = _running(np.add.reduceat(weights, starts, axis=1))
    gap = _running(np.add.reduceat(excess, starts, axis=1))
    errors = np.empty(len(gap))
    for row, running in enumerate(gap):
        below = mass[row if len(mass) > 1 else 0]
        cuts = np.linspace(0, below[-1], BINS + 1)
        errors[row] = np.abs(np.diff(np.interp(cuts, below, running))).sum() / below[-1]
    return errors


def ece_by_chance(scores: Floats, groups: NDArray[np.str_], seed: int) -> Metric:
    """The expected calibration error that perfectly calibrated probabilities would show.

    Labels are drawn from the probabilities `SIMULATIONS` times; images of one lesion share the
    draw, as they share their diagnosis.

    Args:
        scores: probabilities, shape (n,).
        groups: lesion of each image, shape (n,).
        seed: of the drawing.

    Returns:
        the mean, and the range that holds 95% of the errors.
    """
    _, lesion = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng([seed, BINS])  # not the numbers that resample the lesions
    block = max(1, BLOCK // len(scores))
    blocks = []
    for start in range(0, SIMULATIONS, block):
        draws = rng.random((min(block, SIMULATIONS - start), lesion.max() + 1))
        blocks.append(calibration_error(scores, draws[:, lesion] < scores))
    errors = np.concatenate(blocks)
    low, high = np.quantile(errors, RANGE)
    return Metric(float(errors.mean()), float(low), float(high))


def _running(values: Floats) -> Floats:
    """Running sums that start at zero."""
    return np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
