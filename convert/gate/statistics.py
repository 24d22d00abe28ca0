"""How much worse a variant may be: one-sided bounds on paired losses, by lesion.

Both measures compare two models on the same images, and both let a lesion, not a photograph, be the
unit that was drawn from the world.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Of each one-sided bound. The two bounds together are a 90% interval."""


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
    groups: NDArray[np.str_],
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
    from scipy.stats import rankdata

    found, cleared = scores[positive], scores[~positive]
    everything = rankdata(np.concatenate([found, cleared]))
    m, n = len(found), len(cleared)
    of_positives = (everything[:m] - rankdata(found)) / n
    of_negatives = 1 - (everything[m:] - rankdata(cleared)) / m
    return of_positives, of_negatives


def sensitivity_loss(
    reference_found: NDArray[np.bool_], variant_found: NDArray[np.bool_], groups: NDArray[np.str_]
) -> Loss:
    """Loss of sensitivity on the positives, every lesion counting once, by Tango's score interval.

    A lesion photographed m times contributes 1/m for each photograph that only one model finds, so
    ten photographs of one lesion are not ten patients. The interval (Tango, Statistics in Medicine
    17, 1998, 891-908) has a width even where both models agree on everything.

    Args:
        reference_found, variant_found: which of the n positives each model finds, shape (n,).
        groups: lesion of each positive, shape (n,).
    """
    return tango(*discordant(reference_found, variant_found, groups), len(np.unique(groups)))


def discordant(
    reference_found: NDArray[np.bool_], variant_found: NDArray[np.bool_], groups: NDArray[np.str_]
) -> tuple[float, float]:
    """Lesions that only the reference finds, and that only the variant finds; see above."""
    _, lesion, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    weights = 1 / sizes[lesion]
    lost = float(weights[reference_found & ~variant_found].sum())
    gained = float(weights[~reference_found & variant_found].sum())
    return lost, gained


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

    def score(difference: float) -> float:
        spread = 2 * _nuisance(lost, gained, pairs, difference) + difference * (1 - difference)
        residual = lost - gained - pairs * difference
        return residual / math.sqrt(max(pairs * spread, 1e-300)) + _z()

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
    from scipy.stats import norm

    return float(norm.ppf(CONFIDENCE))
