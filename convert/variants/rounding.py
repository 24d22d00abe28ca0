"""To which integers the weights of a layer are rounded, and what its bias makes good.

Rounding each weight to the nearest integer is best for weights, not for sums of them: what outputs
lose depends on what a layer's inputs look like. Neighbouring pixels are alike, so errors of one
filter that have the same sign add up, as in the first depthwise layers of a network, and those of
opposite signs cancel. Two known steps, both on the statistics of a layer's inputs:

- weights go up or down, whichever makes the variance of the error less, one after the other until
  none is left that helps: the objective of Nagel et al., Up or Down? Adaptive Rounding for
  Post-Training Quantization (ICML 2020), by coordinate descent;
- the mean of the error that is left goes into the bias: Nagel et al., Data-Free Quantization
  through Weight Equalization and Bias Correction (ICCV 2019), with measured means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST = 127
"""8-bit weights go from -127 to 127, with one scale for each output channel."""
MOST_INPUTS = 2048
"""Filters of more weights are rounded to the nearest: their errors average out, and the descent
takes time by the square of their number."""

_DAMPING = 0.01  # of the mean variance: no descent along what few images happen not to show
_SWEEPS = 10


class Moments:
    """Means and products of what the filters of a layer are laid over.

    Args:
        groups: 1 where all filters see the same inputs, else as many as there are filters.
        inputs: weights of a filter.
    """

    def __init__(self, groups: int, inputs: int) -> None:
        self._count = 0
        self._sum = np.zeros((groups, inputs))
        self._products = np.zeros((groups, inputs, inputs)) if inputs <= MOST_INPUTS else None

    def add(self, patches: NDArray[np.float32]) -> None:
        """Take in more inputs, of shape (groups, samples, inputs)."""
        self._count += patches.shape[1]
        self._sum += patches.sum(axis=1, dtype=np.float64)
        if self._products is not None:
            self._products += patches.transpose(0, 2, 1) @ patches

    @property
    def mean(self) -> Floats:
        """Of each input, shape (groups, inputs)."""
        return self._sum / self._count

    @property
    def covariance(self) -> Floats | None:
        """Of the inputs, shape (groups, inputs, inputs); None where they are too many."""
        if self._products is None:
            return None
        mean = self.mean
        found: Floats = self._products / self._count - mean[:, :, None] * mean[:, None, :]
        return found


@dataclass(frozen=True, eq=False)
class Rounded:
    """Filters that 8 bits hold exactly.

    Attributes:
        filters: the weights, float32 of shape (filters, inputs); integers times the scale that the
            largest of a row says, as before.
        shift: what is to be added to the bias, float32 of shape (filters,).
        error: mean square error of the layer's outputs before the activation that is left.
    """

    filters: NDArray[np.float32]
    shift: NDArray[np.float32]
    error: float


def rounded(filters: NDArray[np.float32], moments: Moments) -> Rounded:
    """Round the filters of a layer by what they are laid over.

    Args:
        filters: float32 of shape (filters, inputs).
        moments: of their inputs.
    """
    exact = filters.astype(np.float64)
    scale = np.abs(exact).max(axis=1, keepdims=True) / LARGEST
    scale[scale == 0] = 1
    integers = np.round(exact / scale)
    covariance = moments.covariance
    if covariance is not None:
        integers = _descended(exact / scale, integers, _damped(covariance))
    lost = integers * scale - exact
    variance = np.zeros(1)
    if covariance is not None:
        variance = np.einsum("oi,oi->o", _times(lost, covariance), lost)
    return Rounded(
        filters=(integers * scale).astype(np.float32),
        shift=-(lost * moments.mean).sum(axis=1).astype(np.float32),
        error=float(variance.mean()),
    )


def _descended(exact: Floats, integers: Floats, covariance: Floats) -> Floats:
    """Integers next to the exact ones, of which no single one would better go the other way.

    The error of an output is ``lost @ covariance @ lost``; changing one weight by ``step`` adds
    ``2 * step * (covariance @ lost) + step ** 2 * variance`` to it.
    """
    integers = integers.copy()
    largest = np.abs(exact) > LARGEST - 1e-3  # it says the scale, so it stays
    slopes = _times(integers - exact, covariance)
    variances = np.broadcast_to(np.einsum("gii->gi", covariance), exact.shape)
    shared = len(covariance) == 1
    for _ in range(_SWEEPS):
        turned = 0
        for place in range(exact.shape[1]):
            now, whole = integers[:, place], exact[:, place]
            steps = np.where(now > whole, -1.0, 1.0)
            gains = 2 * steps * slopes[:, place] + variances[:, place]
            rows = np.flatnonzero((gains < 0) & (now != whole) & ~largest[:, place])
            if len(rows):
                integers[rows, place] += steps[rows]
                beside = covariance[0 if shared else rows, place]
                slopes[rows] += steps[rows, None] * beside
                turned += len(rows)
        if not turned:
            break
    return integers


def _damped(covariance: Floats) -> Floats:
    damped = covariance.copy()
    variances = np.einsum("gii->gi", damped)  # a view
    variances += _DAMPING * variances.mean(axis=1, keepdims=True)
    return damped


def _times(lost: Floats, covariance: Floats) -> Floats:
    """``covariance @ lost`` of each filter, shape (filters, inputs)."""
    if len(covariance) == 1:
        product: Floats = lost @ covariance[0]
        return product
    return np.einsum("oij,oj->oi", covariance, lost)
