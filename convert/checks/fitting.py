"""Fitting the limits of a bundle's checks on the images of its run.

What the training images look like is learnt on training images. All thresholds are chosen on
validation images, and on copies of them that were damaged on purpose; the test part is not touched.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.calibration import calibration_rows
from convert.checks.damage import DAMAGES
from edge_runtime import appearance, quality
from edge_runtime._files import sha256
from edge_runtime.checks import Checks, Familiar, Inspector, Limit
from edge_runtime.preprocess import InputRule
from edge_runtime.quality import READINGS, Figures, Flaw
from edge_runtime.square import square_of
from train.run import SplitRow

FAMILIAR_FILE = "familiar.npy"
MOST_REFUSED = 0.004
"""Largest share of good validation images that one flaw may refuse; there are seven."""
UNFAMILIAR_SHARE = 0.03
"""Share of the validation images that are called unlike the training images; what the flaws refuse
comes on top. `docs/quality.md` compares shares and methods."""
SHRINKAGE = 0.1
"""How far the correlations of the features are drawn to 0 before they are inverted."""
CLASS_POWER = 0.5
"""A class counts in what is familiar by its share of the training images to this power: neither as
its rarity would have it (1), nor like every other class (0). See `docs/quality.md`."""
MOST_LEARNT, MOST_DAMAGED = 4000, 200
"""Training images that teach what is familiar, and validation images that are damaged."""
FEWEST_LEARNT, FEWEST_HELD = 100, 50
"""With fewer training or validation images nothing is fitted."""
SMALLEST_SHARE = 0.5
"""Of the input size: a photograph whose shorter side is less is too small. `docs/quality.md` has
the measurement behind it."""


@dataclass(frozen=True)
class Fitted:
    """Checks, and the content of the file that they name."""

    checks: Checks
    familiar: bytes


def fit_checks(
    tensors: NDArray[np.uint8], rows: Sequence[SplitRow], rule: InputRule, codes: Sequence[str],
    *, seed: int,
) -> Fitted | None:  # fmt: skip
    """Fit the checks of a bundle.

    Args:
        tensors: the run's input tensors, uint8 of shape (n, size, size, 3).
        rows: the run's images, in the same order.
        rule: its input rule.
        codes: its classes.
        seed: of what is drawn.

    Returns:
        None where there are too few images to fit anything on.

    Raises:
        LeakError: a training image is also in validation or test.
    """
    held = [index for index, row in enumerate(rows) if row.split == "val"]
    learnt = calibration_rows(rows, MOST_LEARNT, seed)
    if len(learnt) < FEWEST_LEARNT or len(held) < FEWEST_HELD:
        return None
    familiar = learn_familiar(
        np.stack([describe(tensors[index]) for index in learnt]),
        class_weights(
            [rows[index].label for index in learnt],
            [row.label for row in rows if row.split == "train"],
        ),
    )
    squares = [square_of(np.ascontiguousarray(tensors[index])) for index in held]
    found = [quality.figures(square) for square in squares]
    away = np.array(
        [appearance.distance(appearance.features(square), familiar) for square in squares]
    )
    drawn = np.random.default_rng(seed).permutation(held)[:MOST_DAMAGED]
    limits: dict[str, Limit] = {
        flaw: fit_limit(flaw, found, damaged_figures(tensors, drawn, flaw, DAMAGES[flaw].fitted))
        for flaw in READINGS
    }
    threshold = _quantile_between(away, 1 - UNFAMILIAR_SHARE)
    content = _npy(familiar)
    checks = Checks(
        shortest_side=round(SMALLEST_SHARE * rule.size),
        limits=limits,
        familiar=Familiar(
            FAMILIAR_FILE, sha256(content), "appearance_1", threshold,
            round(float((away > threshold).mean()), 4),
        ),
        images=len(held),
        answered={},
    )  # fmt: skip
    passed = _passed(Inspector(checks, familiar), tensors, held)
    labels = np.array([rows[index].label for index in held])
    answered = {
        code: round(float(passed[labels == code].mean()), 4)
        for code in codes
        if (labels == code).any()
    }
    return Fitted(Checks(**{**vars(checks), "answered": answered}), content)


def describe(tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The features of an input tensor, as the device finds them."""
    return appearance.features(square_of(np.ascontiguousarray(tensor)))


def damaged_figures(
    tensors: NDArray[np.uint8], rows: NDArray[np.int64], flaw: Flaw, severity: int
) -> list[Figures]:
    """Figures of some images damaged at a severity; the same image is always damaged alike."""
    damage = DAMAGES[flaw]
    return [
        quality.figures(
            square_of(damage.at(np.array(tensors[row]), severity, np.random.default_rng(int(row))))
        )
        for row in rows
    ]


def fit_limit(flaw: Flaw, good: Sequence[Figures], bad: Sequence[Figures]) -> Limit:
    """The threshold of one flaw, from the ROC of good against damaged images.

    Of the thresholds that refuse at most `MOST_REFUSED` of the good images, the one that tells best
    (Youden, Cancer 3, 1950, 32-35: found less refused). Where several do, the one in their middle,
    since between two groups that are far apart neither side deserves all of the room.
    """
    reading = READINGS[flaw]
    sign = 1.0 if reading.high else -1.0
    fine = sign * np.array([getattr(one, reading.figure) for one in good])
    spoilt = sign * np.array([getattr(one, reading.figure) for one in bad])
    values = np.unique(np.concatenate([fine, spoilt]))
    thresholds = np.append((values[1:] + values[:-1]) / 2, values[-1] + 1e-3)
    refused = 1 - np.searchsorted(np.sort(fine), thresholds, "right") / len(fine)
    found = 1 - np.searchsorted(np.sort(spoilt), thresholds, "right") / len(spoilt)
    gain = np.where(refused <= MOST_REFUSED, found - refused, -1.0)
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    middle = (thresholds[best[0]] + thresholds[best[-1]]) / 2
    chosen = int(best[np.abs(thresholds[best] - middle).argmin()])
    return Limit(
        threshold=float(sign * thresholds[chosen]),
        refused=round(float(refused[chosen]), 4),
        severity=DAMAGES[flaw].fitted,
        found=round(float(found[chosen]), 4),
    )


def class_weights(
    drawn: Sequence[str], trained: Sequence[str], power: float = CLASS_POWER
) -> NDArray[np.float64]:
    """Weights of drawn images: those of a class add up to its share of the training to ``power``.

    Args:
        drawn: classes of the drawn images, which `calibration_rows` draws in equal parts.
        trained: classes of all training images, those drawn among them.
        power: 1 makes every training image count alike, 0 every class.
    """
    here, all_of_it = Counter(drawn), Counter(trained)
    return np.array([(all_of_it[code] / len(trained)) ** power / here[code] for code in drawn])


def learn_familiar(
    described: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Mean and whitening matrix of features, for `edge_runtime.appearance.distance`.

    Args:
        described: features of n images, shape (n, d).
        weights: how much each of them counts, shape (n,); any scale.

    Returns:
        float32 of shape (d + 1, d). The mean square of a whitened training image is about 1.
    """
    weights = weights / weights.sum()
    mean = weights @ described
    spread = np.sqrt(weights @ (described - mean) ** 2) + 1e-6
    scaled = (described - mean) / spread
    correlation = (scaled * weights[:, None]).T @ scaled
    count = described.shape[1]
    shrunk = (1 - SHRINKAGE) * correlation + SHRINKAGE * np.eye(count)
    whiten = np.linalg.cholesky(np.linalg.inv(shrunk))
    return np.vstack([mean[None], whiten / spread[:, None]]).astype(np.float32)


def _passed(
    inspector: Inspector, tensors: NDArray[np.uint8], rows: Sequence[int]
) -> NDArray[np.bool_]:
    side = inspector.checks.shortest_side  # what is too small was not among the good images
    return np.array([
        not inspector.inspect(np.ascontiguousarray(tensors[row]), side, side).refused
        for row in rows
    ])  # fmt: skip


def _quantile_between(values: NDArray[np.float64], share: float) -> float:
    """Halfway between the two values at a quantile, so that no rounding turns a decision."""
    ordered = np.sort(values)
    place = min(len(ordered) - 1, max(1, round(share * len(ordered))))
    return float((ordered[place - 1] + ordered[place]) / 2)


def _npy(array: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
