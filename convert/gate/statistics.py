"""How much worse a variant may be: one-sided bounds on paired losses, by lesion.

Both measures compare two models on the same images, and both let a lesion, not a photograph, be the
unit that was drawn from the world.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Of each one-sided bound. The two bounds together are a 90% interval."""

DOUBT = 1.0
"""Weight of the assumption that photographs of one lesion are lost together, in photographs that
disagree and have one sibling. Larger is more careful."""


@dataclass(frozen=True)
class Loss:
    """How much worse the variant is; positive is worse.

    Attributes:
        value: the estimate, as a fraction.
        low, high: its one-sided lower and upper bounds.
    """

    value: float
    low: float
    high: float


def auc_loss(
    reference: NDArray[np.float64], variant: NDArray[np.float64], positive: NDArray[np.bool_],
    groups: NDArray[Any],
) -> Loss:  # fmt: skip
    """Loss of the area under the ROC curve, with the variance of clustered data.

    DeLong's structural components (DeLong, DeLong, Clarke-Pearson: Biometrics 44, 1988, 837-845)
    are summed within lesions as Obuchowski does (Biometrics 53, 1997, 567-578, section 3); the
    difference of two AUCs on the same images has the components' differences for its own.

    Args:
        reference, variant: scores of both models, shape (n,).
        positive: shape (n,), with at least two lesions on each side.
        groups: lesion of each image, shape (n,).
    """
    kept, lost = _components(reference, positive), _components(variant, positive)
    of_positives, of_negatives = kept[0] - lost[0], kept[1] - lost[1]
    value = float(of_positives.mean())
    _, lesion = np.unique(groups, return_inverse=True)
    count = lesion.max() + 1
    sums_p = np.bincount(lesion[positive], of_positives - value, minlength=count)
    sums_n = np.bincount(lesion[~positive], of_negatives - value, minlength=count)
    m, n = len(of_positives), len(of_negatives)
    lesions_p, lesions_n = len(set(lesion[positive])), len(set(lesion[~positive]))
    variance = (
        lesions_p / (lesions_p - 1) * (sums_p**2).sum() / m**2
        + lesions_n / (lesions_n - 1) * (sums_n**2).sum() / n**2
        + 2 * count / (count - 1) * (sums_p * sums_n).sum() / (m * n)
    )
    reach = _z() * math.sqrt(max(0.0, variance))
    return Loss(value, value - reach, value + reach)


def _components(
    scores: NDArray[np.float64], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DeLong's components: each positive's share of lower negatives, each negative's of higher."""
    found, cleared = scores[positive], scores[~positive]
    return _share_below(found, cleared), 1 - _share_below(cleared, found)


def _share_below(values: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
    """Which share of some scores lies below each value; those that tie count half."""
    ordered = np.sort(of)
    below = np.searchsorted(ordered, values, "left")
    not_above = np.searchsorted(ordered, values, "right")
    share: NDArray[np.float64] = (below + not_above) / (2 * len(of))
    return share


@dataclass(frozen=True)
class Discordance:
    """How often two models disagree on the positives.

    Attributes:
        lost: share of the pairs in which only the reference is right.
        gained: share of the pairs in which only the variant is right.
        pairs: how many independent pairs the shares are worth; need not be whole.
    """

    lost: float
    gained: float
    pairs: float

    def at_most(self, pairs: float) -> Discordance:
        """The same, worth no more than so many pairs."""
        return replace(self, pairs=min(self.pairs, pairs))

    def loss(self, pairs: float | None = None) -> Loss:
        """The loss with Tango's bounds, of these pairs or with the same shares of others."""
        count = self.pairs if pairs is None else pairs
        return tango(self.lost * count, self.gained * count, count)


def discordance(
    reference_found: NDArray[np.floating], variant_found: NDArray[np.floating],
    groups: NDArray[Any],
) -> Discordance:  # fmt: skip
    """Disagreement on the positives, every lesion counting once.

    A lesion photographed m times contributes 1/m of each photograph's difference, so ten
    photographs of one lesion are not ten patients. Nor are they worth nothing: where their
    differences have nothing to do with each other, as those of rounding near a threshold have, the
    mean of ten is surer than one. See `effective_pairs`.

    Args:
        reference_found, variant_found: to what extent each model finds each of the n positives, 0
            to 1, shape (n,).
        groups: lesion of each positive, shape (n,).
    """
    _, lesion, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    difference = np.subtract(reference_found, variant_found, dtype=np.float64)
    weighted = difference / sizes[lesion]
    return Discordance(
        lost=float(weighted.clip(min=0).sum()) / len(sizes),
        gained=float((-weighted).clip(min=0).sum()) / len(sizes),
        pairs=effective_pairs(difference, lesion, sizes),
    )


def effective_pairs(
    difference: NDArray[np.float64], lesion: NDArray[np.int64], sizes: NDArray[np.int64]
) -> float:
    """How many independent pairs the mean of the lesions' mean differences is worth.

    With the correlation r between the differences of two photographs of one lesion, the variance of
    a lesion's mean is (1 + (m - 1) r) / m of one photograph's, which makes ``lesions^2 / sum of
    those`` pairs: the lesions for r = 1, more for less. r is estimated by moments, as in the tests
    for clustered matched pairs that Yang, Sun and Hardin compare (Computational Statistics & Data
    Analysis 56, 2012, 1301-1320), and never below 0. An effective number in place of a counted one
    is Korn and Graubard's device (Survey Methodology 24, 1998, 193-201). Taken at its word it makes
    intervals too short (Franco, Little, Louis, Slud: Journal of Survey Statistics and Methodology
    7, 2019, 334-364), so `DOUBT` is added to both sides of r's fraction: few disagreements leave r
    near 1, and none make it 1.

    Args:
        difference: of each positive, -1 to 1, shape (n,).
        lesion: index of its lesion, shape (n,).
        sizes: photographs of each lesion, shape (lesions,).
    """
    lesions = len(sizes)
    sums = np.bincount(lesion, difference, minlength=lesions)
    squares = np.bincount(lesion, difference**2, minlength=lesions)
    shared = float((sums**2 - squares).sum())  # over pairs of photographs; all of it for r = 1:
    whole = float(((sizes - 1) * squares).sum())
    correlation = (max(0.0, shared) + DOUBT) / (whole + DOUBT)
    apart = float((1 / sizes).sum())
    return lesions**2 / (apart + (lesions - apart) * correlation)


def tango(lost: float, gained: float, pairs: float) -> Loss:
    """Tango's score interval for (lost - gained) / pairs.

    Args:
        lost: pairs in which only the reference is right.
        gained: pairs in which only the variant is right.
        pairs: all of them; need not be whole where lesions were averaged.
    """
    value = (lost - gained) / pairs
    return Loss(value, -_tango_bound(gained, lost, pairs), _tango_bound(lost, gained, pairs))


def _tango_bound(lost: float, gained: float, pairs: float) -> float:
    """The upper bound: the largest difference that the score test does not reject."""
    from scipy.optimize import brentq

    quantile = _z()

    def score(difference: float) -> float:
        spread = 2 * _nuisance(lost, gained, pairs, difference) + difference * (1 - difference)
        residual = lost - gained - pairs * difference
        return residual / math.sqrt(max(pairs * spread, 1e-300)) + quantile

    value = (lost - gained) / pairs
    if value >= 1:
        return 1.0
    start, end = value + 1e-12, 1 - 1e-12
    return float(brentq(score, start, end)) if score(start) > 0 > score(end) else 1.0


def _nuisance(lost: float, gained: float, pairs: float, difference: float) -> float:
    """Likeliest share of pairs that only the variant gets right, given the difference."""
    a = 2 * pairs
    b = -lost - gained + (2 * pairs - lost + gained) * difference
    c = -gained * difference * (1 - difference)
    return (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)


def _z() -> float:
    return NormalDist().inv_cdf(CONFIDENCE)
