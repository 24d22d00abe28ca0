"""Which melanomas a model finds at a given specificity, and at its neighbours.

A threshold that was fitted on the judged images lies just under one of their positives. There the
reference is at its luckiest: any change, however harmless, is likelier to lose that positive than
to find the next one. Read at that single point, a variant that lost nothing seems to have lost half
a percent, and a photograph on the edge more or less is worth as much again. So the loss is averaged
over the specificities at which the reference finds up to `WIDTH` fewer and up to `WIDTH` more: the
mean height of a piece of the ROC curve (McClish: Medical Decision Making 9, 1989, 190-195).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH = 0.05
"""How far the band reaches on both sides, in sensitivity of the reference."""


@dataclass(frozen=True)
class Band:
    """Neighbouring specificities, as numbers of negatives that a model may call.

    Attributes:
        fewest, most: both included. Equal where the band is a single point.
    """

    fewest: int
    most: int


def point(scores: NDArray[np.float64], positive: NDArray[np.bool_], threshold: float) -> Band:
    """The specificity of a model at a threshold, alone.

    Args:
        scores: shape (n,).
        positive: shape (n,).
        threshold: a score from here on is called.
    """
    called = int((scores[~positive] >= threshold).sum())
    return Band(called, called)


def around(scores: NDArray[np.float64], positive: NDArray[np.bool_], threshold: float) -> Band:
    """The band around that specificity, with as many positives above as below it.

    It is narrower where fewer than `WIDTH` of the positives are left on one side, reaches over one
    positive at least, and is a single point where the reference finds all of them or none.

    Args:
        scores: of the reference, shape (n,).
        positive: shape (n,).
        threshold: the reference's operating point.
    """
    ordered = np.sort(scores[positive])[::-1]
    found = int((ordered >= threshold).sum())
    reach = min(max(1, round(WIDTH * len(ordered))), found - 1, len(ordered) - found)
    if reach < 1:
        return point(scores, positive, threshold)
    lowest, highest = ordered[found - 1 + reach], ordered[found - 1 - reach]
    called = [int((scores[~positive] >= limit).sum()) for limit in (highest, lowest)]
    return Band(*called)


def found_share(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], band: Band
) -> NDArray[np.float64]:
    """At which share of the band's specificities a model finds each positive.

    A model that may call ``k`` negatives finds the positives above its first negative that it has
    to leave uncalled. Both models are read in this way, so that an equal one loses and gains
    nothing, and so that a positive that ties with uncalled negatives is not found.

    Args:
        scores: shape (n,).
        positive: shape (n,).
        band: how many negatives may be called.

    Returns:
        shape (positives,), from 0 to 1; only 0 and 1 where the band is a single point.
    """
    negatives = np.sort(scores[~positive])
    not_below = len(negatives) - np.searchsorted(negatives, scores[positive], side="left")
    places = band.most - band.fewest + 1
    finding = band.most + 1 - np.maximum(not_below, band.fewest)
    share: NDArray[np.float64] = np.maximum(finding, 0) / places
    return share
