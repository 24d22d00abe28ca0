"""From descriptors to the pairs of pictures that are worth a closer look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.audit import settings

_BLOCK, _COLUMNS = 1024, 4096
_FLOOR = 0.05
_TINY = 1e-9


@dataclass(frozen=True)
class Candidates:
    """Pairs of pictures, a possible copy first; arrays of one length n.

    Attributes:
        copy, other: indices of pictures; the copy's centre disc is looked for in the other.
        places: index of the `polar.PLACES` to try, best first, shape (n, `settings.STARTS`).
    """

    copy: NDArray[np.int64]
    other: NDArray[np.int64]
    places: NDArray[np.int64]


@dataclass(frozen=True)
class Whitening:
    """Principal axes divided by their spread, so that rare details count.

    Attributes:
        mean: float32 of shape (values,).
        projection: float32 of shape (values, `settings.COMPONENTS` or fewer).
    """

    mean: NDArray[np.float32]
    projection: NDArray[np.float32]

    def apply(self, magnitudes: NDArray[np.float32]) -> NDArray[np.float16]:
        """Descriptors of unit length, (..., components), of magnitudes (..., values)."""
        values = (magnitudes - self.mean) @ self.projection
        length = np.linalg.norm(values, axis=-1, keepdims=True)
        return (values / np.maximum(length, _TINY)).astype(np.float16)


def fit_whitening(magnitudes: NDArray[np.float32]) -> Whitening:
    """Fit on the centre discs of some pictures, float32 of shape (n, values)."""
    mean = magnitudes.mean(0)
    covariance = np.atleast_2d(np.cov((magnitudes - mean).T))
    spread, axes = np.linalg.eigh(covariance)
    kept = slice(None, -settings.COMPONENTS - 1, -1)
    spread, axes = np.maximum(spread[kept], 0), axes[:, kept]
    # The floor keeps axes that a small data set hardly spans from being blown up.
    projection = axes / np.sqrt(spread + _FLOOR * spread.mean() + _TINY)
    return Whitening(mean, projection.astype(np.float32))


def candidates(
    descriptors: NDArray[np.float16], progress: Callable[[int, int], None] | None = None
) -> Candidates:
    """The nearest neighbours of every picture's centre disc among all discs of all pictures.

    Brute force in blocks: 12,000 pictures are 0.5 million discs and take seconds.

    Args:
        descriptors: of unit length, shape (places, n, components); the first place is the centre.
        progress: called with (done, n).
    """
    places, count, _ = descriptors.shape
    kept = min(settings.NEIGHBOURS, count - 1)
    copies, others, chosen = [], [], []
    for start in range(0, count if kept > 0 else 0, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, count))
        centres = descriptors[0, rows].astype(np.float32)
        best = np.full((len(rows), count), -np.inf, np.float32)
        for first in range(0, count, _COLUMNS):
            columns = slice(first, first + _COLUMNS)
            for place in range(places):
                likeness = centres @ descriptors[place, columns].astype(np.float32).T
                np.maximum(best[:, columns], likeness, out=best[:, columns])
        best[np.arange(len(rows)), rows] = -np.inf  # a picture is not its own copy
        nearest = np.argpartition(-best, kept - 1, axis=1)[:, :kept]
        near = descriptors[:, nearest].astype(np.float32)
        likeness = np.einsum("rc,prkc->rkp", centres, near, optimize=True)
        order = np.argsort(-likeness, axis=2)[:, :, : settings.STARTS]
        copies.append(np.repeat(rows, kept))
        others.append(nearest.ravel())
        chosen.append(order.reshape(-1, settings.STARTS))
        if progress is not None:
            progress(int(rows[-1]) + 1, count)
    if not copies:
        none = np.empty(0, np.int64)
        return Candidates(none, none, np.empty((0, settings.STARTS), np.int64))
    return Candidates(np.concatenate(copies), np.concatenate(others), np.concatenate(chosen))
