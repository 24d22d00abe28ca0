"""Shares of images that are refused, with 95% intervals, as `docs/quality.md` writes them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_Z = 1.96
_RESAMPLES = 2000


def share(marked: NDArray[np.bool_]) -> str:
    """A share with Wilson's interval (JASA 22, 1927, 209-212)."""
    n, p = len(marked), float(marked.mean())
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    reach = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n * n)) / (1 + _Z**2 / n)
    return f"{p:.1%} ({max(0.0, middle - reach):.1%} to {min(1.0, middle + reach):.1%})"


def by_photograph(found: NDArray[np.bool_], photographs: NDArray[np.str_]) -> str:
    """A share of pictures, with an interval that resamples the photographs they were cut from.

    Where all are found the interval is that of the rule of three (JAMA 249, 1983, 1743-1745).
    """
    names, index = np.unique(photographs, return_inverse=True)
    if found.all():
        low, high = 1 - 3 / len(names), 1.0
    else:
        hits = np.bincount(index, found, len(names))
        counts = np.bincount(index, minlength=len(names))
        draws = np.random.default_rng(0).integers(0, len(names), (_RESAMPLES, len(names)))
        low, high = np.percentile(hits[draws].sum(axis=1) / counts[draws].sum(axis=1), (2.5, 97.5))
    return f"{float(found.mean()):.1%} ({low:.1%} to {high:.1%}) of {len(found)}"


def by_lesion(
    refused: NDArray[np.bool_], melanoma: NDArray[np.bool_], groups: NDArray[np.str_]
) -> NDArray[np.float64]:
    """Resampled differences of the shares refused, melanomas less the rest."""
    rng = np.random.default_rng(0)
    sums = []
    for part in (melanoma, ~melanoma):
        names, index = np.unique(groups[part], return_inverse=True)
        hits = np.bincount(index, refused[part], len(names))
        counts = np.bincount(index, minlength=len(names))
        draws = rng.integers(0, len(names), (_RESAMPLES, len(names)))
        sums.append(hits[draws].sum(axis=1) / counts[draws].sum(axis=1))
    return sums[0] - sums[1]
