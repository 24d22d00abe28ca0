"""A world with known losses: photographs of melanomas and others, a model, and its variants.

Every number here was measured on an EfficientNet-Lite0 (128 pixels, AUC 0.867) that was trained on
HAM10000, on its validation and test photographs, and on its int8 and dynamic-range files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Scores = NDArray[np.float64]

SENSITIVITY = 0.9
"""Of the reference, at its operating point."""

MELANOMA_MEAN, MELANOMA_SD = -1.05, 1.55
"""Of the logits of melanomas."""

OTHERS_AT = (0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.9, 0.95,
             0.99, 1)  # fmt: skip
OTHERS = (-22, -18.9, -15.7, -12.7, -11.1, -9.8, -8.7, -7.7, -5.6, -4, -3.2, -2.8, -2.5, -1.9, -1.3,
          -0.8, 0, 1.5)  # fmt: skip
"""Quantiles of the logits of everything else, and where they are; long on the left."""

ALIKE_MELANOMAS, ALIKE_OTHERS, ALIKE_ERRORS = 0.73, 0.93, 0.18
"""Correlation between two photographs of one lesion: of their logits, and of what int8 does to
them, which is far less: most of the rounding has nothing to do with the lesion."""

TAIL = 5
"""Degrees of freedom of rounding errors, which have heavier tails than a normal distribution."""

THRESHOLD = MELANOMA_MEAN - 1.2816 * MELANOMA_SD
"""Where the reference finds `SENSITIVITY` of all melanomas of this world."""

SUNK = 20.0
"""Logits by which a melanoma falls that is lost altogether."""


@dataclass(frozen=True)
class Setting:
    """Which photographs a gate is given.

    Attributes:
        name: in words.
        melanomas, others: number of lesions with one photograph, with two, and so on.
        easier: logits by which melanomas lie higher than in HAM10000: a better reference.
    """

    name: str
    melanomas: tuple[int, ...]
    others: tuple[int, ...]
    easier: float = 0.0


@dataclass(frozen=True)
class Photographs:
    """Logits of melanomas and of others, and the lesions they show, as indices; shapes (n,)."""

    melanomas: Scores
    others: Scores
    melanoma_lesions: NDArray[np.int64]
    other_lesions: NDArray[np.int64]


def photographs(random: Generator, setting: Setting) -> Photographs:
    """Draw new lesions, and what the reference says of their photographs."""
    from scipy.stats import norm

    lesions = _lesions(setting.melanomas), _lesions(setting.others)
    melanomas = _correlated(random.standard_normal, lesions[0], ALIKE_MELANOMAS)
    others = norm.cdf(_correlated(random.standard_normal, lesions[1], ALIKE_OTHERS))
    return Photographs(
        MELANOMA_MEAN + setting.easier + MELANOMA_SD * melanomas,
        np.interp(others, OTHERS_AT, OTHERS),
        *lesions,
    )


def _lesions(counts: tuple[int, ...]) -> NDArray[np.int64]:
    sizes = np.repeat(np.arange(1, len(counts) + 1), counts)
    return np.repeat(np.arange(len(sizes)), sizes)


def _correlated(draw: Callable[[int], Scores], lesions: NDArray[np.int64], alike: float) -> Scores:
    """Errors of variance 1 with the correlation ``alike`` within lesions."""
    shared = draw(int(lesions[-1]) + 1)[lesions]
    return math.sqrt(alike) * shared + math.sqrt(1 - alike) * draw(len(lesions))


def _heavy(random: Generator) -> Callable[[int], Scores]:
    spread = math.sqrt(TAIL / (TAIL - 2))
    return lambda count: random.standard_t(TAIL, count) / spread


# What may become of the logits. The first number is how much of it.

Damage = Callable[[float, Generator, Photographs], tuple[Scores, Scores]]


def rounding(size: float, random: Generator, given: Photographs) -> tuple[Scores, Scores]:
    """What quantization does; 1 is as much as full int8 did, 0.3 as dynamic-range int8."""

    def rounded(logits: Scores, lesions: NDArray[np.int64]) -> Scores:
        spread = 0.18 + 0.08 * np.maximum(0, -2.5 - logits)  # small probabilities move more
        return logits + size * spread * _correlated(_heavy(random), lesions, ALIKE_ERRORS)

    return (
        rounded(given.melanomas, given.melanoma_lesions),
        rounded(given.others, given.other_lesions),
    )


def scatter(size: float, random: Generator, given: Photographs) -> tuple[Scores, Scores]:
    """On top of int8's rounding, so many logits of noise in every photograph."""
    return _scatter(size, 0.0, random, given)


def scatter_by_lesion(size: float, random: Generator, given: Photographs) -> tuple[Scores, Scores]:
    """The same noise, one and the same for all photographs of a lesion."""
    return _scatter(size, 1.0, random, given)


def _scatter(
    size: float, alike: float, random: Generator, given: Photographs
) -> tuple[Scores, Scores]:
    melanomas, others = rounding(1, random, given)
    return (
        melanomas + size * _correlated(_heavy(random), given.melanoma_lesions, alike),
        others + size * _correlated(_heavy(random), given.other_lesions, alike),
    )


def lowering(size: float, random: Generator, given: Photographs) -> tuple[Scores, Scores]:
    """Every melanoma so many logits lower."""
    melanomas, others = rounding(1, random, given)
    return melanomas - size, others


def losing_lesions(size: float, random: Generator, given: Photographs) -> tuple[Scores, Scores]:
    """This share of melanomas lost altogether, with all photographs of the lesion."""
    melanomas, others = rounding(1, random, given)
    hit = random.random(int(given.melanoma_lesions[-1]) + 1) < size
    return melanomas - SUNK * hit[given.melanoma_lesions], others


def dipping(size: float, random: Generator, given: Photographs) -> tuple[Scores, Scores]:
    """Melanomas up to so many logits above the threshold, and no others, sink just below it."""
    melanomas, others = rounding(1, random, given)
    caught = (melanomas > THRESHOLD) & (melanomas < THRESHOLD + size)
    return np.where(caught, THRESHOLD - 0.3, melanomas), others


@dataclass(frozen=True)
class Case:
    """A kind of variant.

    Attributes:
        name: in words.
        damage: what becomes of the reference's logits.
        size: how much.
        auc, sensitivity: the true losses, the latter at the reference's specificity.
    """

    name: str
    damage: Damage
    size: float
    auc: float
    sensitivity: float


CASES = (
    Case("identical", rounding, 0.0, 0.0, 0.0),
    Case("dynamic-range int8", rounding, 0.3, 0.0001, 0.0002),
    Case("full int8", rounding, 1.0, 0.0012, 0.0020),
    Case("full int8, half as noisy again", rounding, 1.5, 0.0028, 0.0041),
    Case("5 points by noise", scatter, 1.534, 0.044, 0.050),
    Case("5 points by noise shared in lesions", scatter_by_lesion, 1.531, 0.043, 0.050),
    Case("5 points as whole lesions", losing_lesions, 0.0535, 0.047, 0.050),
    Case("5 points, only near the threshold", dipping, 0.379, 0.0045, 0.050),
    Case("0.01 of AUC by noise", scatter, 0.573, 0.010, 0.011),
    Case("0.01 of AUC, all melanomas lower", lowering, 0.0971, 0.010, 0.014),
    Case("0.01 of AUC as whole lesions", losing_lesions, 0.0104, 0.010, 0.011),
    Case("8 points by noise", scatter, 2.144, 0.066, 0.080),
    Case("8 points by noise shared in lesions", scatter_by_lesion, 2.134, 0.066, 0.080),
    Case("8 points as whole lesions", losing_lesions, 0.0867, 0.075, 0.080),
    Case("8 points, only near the threshold", dipping, 0.565, 0.0077, 0.080),
    Case("0.03 of AUC by noise", scatter, 1.171, 0.030, 0.033),
    Case("0.03 of AUC by noise shared in lesions", scatter_by_lesion, 1.172, 0.030, 0.033),
    Case("0.03 of AUC, all melanomas lower", lowering, 0.3085, 0.030, 0.042),
    Case("0.03 of AUC as whole lesions", losing_lesions, 0.034, 0.030, 0.033),
)
"""Sizes and losses were found by `true_losses`; all but the first four cases come on top of the
rounding of full int8."""


def true_losses(case: Case, lesions: int = 200_000, seed: int = 0) -> tuple[float, float]:
    """Loss of AUC and of sensitivity over very many lesions with two photographs each."""
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(seed)
    given = photographs(random, Setting("", (0, lesions), (0, lesions)))
    melanomas, others = case.damage(case.size, random, given)
    positive = np.arange(4 * lesions) < 2 * lesions
    areas = [
        float(roc_auc_score(positive, np.concatenate(pair)))
        for pair in ((given.melanomas, given.others), (melanomas, others))
    ]
    threshold = np.quantile(given.melanomas, 1 - SENSITIVITY)
    limit = np.quantile(others, (given.others <= threshold).mean())
    found = (given.melanomas > threshold).mean(), (melanomas > limit).mean()
    return areas[0] - areas[1], float(found[0] - found[1])
