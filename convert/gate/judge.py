"""The rule by which a variant passes, fails, or cannot be judged.

A non-inferiority test on paired answers. Two losses decide: that of the AUC, and that of the
sensitivity at the specificity which the reference has at its own operating point, averaged over the
neighbouring specificities (`convert.gate.band`). docs/gate.md says how often that is right.

    pass          the one-sided 95% bound of both losses lies inside its margin
    fail          one of the losses lies beyond its margin
    cannot judge  neither: more melanomas would decide it, and the reason says how many
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.gate.band import Band, around, found_share, point
from convert.gate.reported import reported
from convert.gate.statistics import Discordance, Loss, auc_loss, discordance
from edge_runtime.errors import GateError
from edge_runtime.manifest import Metric, Verdict
from train.metrics import Predictions

GRAVEST_FIRST: tuple[Verdict, ...] = ("fail", "cannot judge", "pass")
"""Of several verdicts about one variant the gravest stands."""

MOST_LESIONS = 100_000
_BLIND = (
    "at its operating point the reference finds {share:.1%} of the {target} images, and the "
    "margin of sensitivity is {margin:.1%}, so nothing that can be lost is as large"
)
RESAMPLES = 500
"""Behind the intervals of what is only reported; 0.2 s for 1,500 images."""


@dataclass(frozen=True)
class Margins:
    """The largest losses that pass, as fractions."""

    auc: float = 0.01
    sensitivity: float = 0.05

    def __post_init__(self) -> None:
        """Refuse margins that are no margins."""
        for name in ("auc", "sensitivity"):
            if not 0 < getattr(self, name) < 1:
                raise GateError(f"The {name} margin is {getattr(self, name)}, expected 0 to 1.")


@dataclass(frozen=True)
class Judgement:
    """What the gate says of one variant.

    Attributes:
        verdict, reason: see the top of this module.
        difference: the variant against the reference. ``<target>_auc`` and
            ``<target>_sensitivity`` are losses between one-sided 95% bounds, and so is
            ``<target>_sensitivity_at_threshold``, which decides nothing (`Losses`); the
            others are those of `convert.gate.reported`, with 95% intervals.
    """

    verdict: Verdict
    reason: str
    difference: dict[str, Metric]


@dataclass(frozen=True)
class Measured:
    """One loss beside its margin."""

    name: str
    loss: Loss
    margin: float

    @property
    def state(self) -> Verdict:
        """What this loss alone would give."""
        if self.loss.high < self.margin:
            return "pass"
        return "fail" if self.loss.value >= self.margin else "cannot judge"

    @property
    def sentence(self) -> str:
        """The loss in words."""
        value = round(self.loss.value, 4) + 0.0  # which makes 0 of -0
        figures = f"{self.name} loss {value:.4f}, at most {self.loss.high:.4f}"
        return f"{figures} (margin {self.margin:g})"


@dataclass(frozen=True)
class Losses:
    """The losses of a variant.

    Attributes:
        auc: of the area under the ROC curve.
        discordance: disagreement on the positives, over the band around the reference's specificity
            (`convert.gate.band`).
        at_threshold: loss of sensitivity at that specificity alone; reported, and decides nothing.
    """

    auc: Loss
    discordance: Discordance
    at_threshold: Loss

    @functools.cached_property
    def sensitivity(self) -> Loss:
        """Loss of sensitivity, over the band."""
        return self.discordance.loss()

    def measured(self, margins: Margins) -> tuple[Measured, ...]:
        """The losses that decide, beside their margins."""
        return (
            Measured("AUC", self.auc, margins.auc),
            Measured("sensitivity", self.sensitivity, margins.sensitivity),
        )

    def verdict(self, margins: Margins) -> Verdict:
        """The rule at the top of this module."""
        states = {one.state for one in self.measured(margins)}
        return next(one for one in GRAVEST_FIRST if one in states)


def _metric(loss: Loss) -> Metric:
    return Metric(loss.value, loss.low, loss.high)


def judge(
    reference: Predictions, variant: Predictions, threshold: float, margins: Margins, *,
    bootstrap: int = RESAMPLES, seed: int = 0,
) -> Judgement:  # fmt: skip
    """Compare a variant with the model it came from, on the same images.

    Args:
        reference, variant: answers of both, row by row for the same images.
        threshold: the reference's operating point for the first target.
        margins: the largest losses that pass.
        bootstrap, seed: resamples behind the intervals of what decides nothing.

    Raises:
        GateError: no positive or no negative image, or a score of either that is no number.
    """
    refuse_undecidable(reference, "The images")
    target = reference.targets[0]
    for title, answers in (("reference", reference), ("variant", variant)):
        if unknown := int((~np.isfinite(answers.scores(target))).sum()):
            raise GateError(
                f"The {title} answers {unknown} of the images with no number; judge models that "
                "answer every image."
            )
    positive = reference.positive(target)
    lesions = len(np.unique(reference.groups[positive]))
    beside = reported(reference, variant, bootstrap=bootstrap, seed=seed)
    others = len(np.unique(reference.groups[~positive]))
    if min(lesions, others) < 2:
        return Judgement("cannot judge", _too_few(target, lesions, others, margins), beside)
    scores = reference.scores(target), variant.scores(target)
    losses = measure(*scores, positive, reference.groups, threshold)
    difference = {
        f"{target}_auc": _metric(losses.auc),
        f"{target}_sensitivity": _metric(losses.sensitivity),
        f"{target}_sensitivity_at_threshold": _metric(losses.at_threshold),
        **beside,
    }
    verdict = losses.verdict(margins)
    found = float((scores[0][positive] >= threshold).mean())
    if verdict != "fail" and found <= margins.sensitivity:
        blind = _BLIND.format(share=found, target=target, margin=margins.sensitivity)
        return Judgement("cannot judge", blind, difference)
    measured = losses.measured(margins)
    reason = "; ".join(one.sentence for one in measured if one.state == verdict)
    if verdict == "cannot judge":
        needed = max(
            _lesions_for_auc(losses.auc, lesions, margins),
            lesions_for_sensitivity(losses.discordance, lesions, margins),
        )
        reason += f"; about {needed} {target} lesions would decide it, here are {lesions}"
    return Judgement(verdict, reason, difference)


def refuse_undecidable(truth: Predictions, title: str) -> None:
    """Refuse images that show no loss.

    Args:
        truth: their right answers.
        title: what they are called at the beginning of a sentence.

    Raises:
        GateError: no positive or no negative image.
    """
    target = truth.targets[0]
    if not truth.decidable(target):
        kind = "nothing but" if truth.positive(target).any() else "no"
        raise GateError(
            f"{title} hold {kind} {target}, so no loss can be measured; judge on images with "
            f"{target} and without."
        )


def _too_few(target: str, lesions: int, others: int, margins: Margins) -> str:
    """Why nothing is judged where a side has one lesion, which shows no variance.

    Args:
        target: in question.
        lesions, others: with and without it; one of them is 1.
        margins: the largest losses that pass.
    """
    needed = lesions_for_sensitivity(Discordance(0.0, 0.0, 1), 1, margins)
    if others > 1:
        return f"one {target} lesion decides nothing; about {needed} would"
    if lesions > 1:
        beside = "" if lesions >= needed else f", beside as many with {target}"
        return f"one lesion without {target} decides nothing; about {needed} would{beside}"
    return f"one {target} lesion and one without decide nothing; about {needed} of each would"


def measure(
    reference: NDArray[np.float64], variant: NDArray[np.float64], positive: NDArray[np.bool_],
    groups: NDArray[Any], threshold: float,
) -> Losses:  # fmt: skip
    """The losses of a variant.

    Args:
        reference, variant: scores of both models, shape (n,).
        positive: shape (n,), with at least two lesions on each side.
        groups: lesion of each image, shape (n,).
        threshold: the reference's operating point.
    """
    # The specificity is estimated too, which is no matter while there are more negatives (Linnet:
    # Statistics in Medicine 6, 1987, 147-158).
    most = len(np.unique(groups[~positive]))

    def disagreement(band: Band) -> Discordance:
        kept, left = (found_share(scores, positive, band) for scores in (reference, variant))
        return discordance(kept, left, groups[positive]).at_most(most)

    return Losses(
        auc=auc_loss(reference, variant, positive, groups),
        discordance=disagreement(around(reference, positive, threshold)),
        at_threshold=disagreement(point(reference, positive, threshold)).loss(),
    )


def _lesions_for_auc(loss: Loss, lesions: int, margins: Margins) -> int:
    """Variance falls with the number of lesions; the bound has to fit into the margin."""
    room, reach = margins.auc - loss.value, loss.high - loss.value
    needed = lesions * max(1.0, reach / room) ** 2
    return math.ceil(min(needed, MOST_LESIONS))


def lesions_for_sensitivity(found: Discordance, lesions: int, margins: Margins) -> int:
    """The fewest lesions whose bound, at the same shares, fits into the margin."""
    needed = lesions
    while needed < MOST_LESIONS:
        if found.loss(found.pairs * needed / lesions).high < margins.sensitivity:
            return needed
        needed = math.ceil(needed * 1.05)
    return MOST_LESIONS
