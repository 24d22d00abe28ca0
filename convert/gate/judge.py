"""The rule by which a variant passes, fails, or cannot be judged.

A non-inferiority test on paired answers. Two losses decide: that of the AUC, and that of the
sensitivity at the specificity which the reference has at its own operating point.

    pass          the one-sided 95% bound of both losses lies inside its margin
    fail          one of the losses lies beyond its margin
    cannot judge  neither: more melanomas would decide it, and the reason says how many
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convert.gate.statistics import Loss, auc_loss, discordant, sensitivity_loss, tango
from edge_runtime.errors import GateError
from edge_runtime.manifest import Metric, Verdict
from train.metrics import Predictions

MOST_LESIONS = 100_000


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
            ``<target>_sensitivity`` are losses between one-sided 95% bounds; ``agreement`` is the
            share of images with the same most probable class; the probability differences are over
            all classes and images; ``balanced_accuracy`` is a loss.
    """

    verdict: Verdict
    reason: str
    difference: dict[str, Metric]


def judge(
    reference: Predictions, variant: Predictions, threshold: float, margins: Margins
) -> Judgement:
    """Compare a variant with the model it came from, on the same images.

    Args:
        reference, variant: answers of both, row by row for the same images.
        threshold: the reference's operating point for the first target.
        margins: the largest losses that pass.

    Raises:
        GateError: no positive or no negative image.
    """
    target = reference.targets[0]
    positive = reference.positive(target)
    if not positive.any() or positive.all():
        kind = "no" if not positive.any() else "nothing but"
        raise GateError(
            f"The images hold {kind} {target}, so no loss can be measured; judge on images with "
            f"{target} and without."
        )
    lesions = len(np.unique(reference.groups[positive]))
    difference = _reported(reference, variant)
    if lesions < 2 or len(np.unique(reference.groups[~positive])) < 2:
        needed = _lesions_for_sensitivity(0.0, 0.0, lesions, margins)
        reason = f"one {target} lesion decides nothing; about {needed} would"
        return Judgement("cannot judge", reason, difference)
    scores = reference.scores(target), variant.scores(target)
    auc = auc_loss(*scores, positive, reference.groups)
    called = int((scores[0][~positive] >= threshold).sum())
    found = _found(scores[0], positive, called), _found(scores[1], positive, called)
    sensitivity = sensitivity_loss(*found, reference.groups[positive])
    difference = {
        f"{target}_auc": Metric(auc.value, auc.low, auc.high),
        f"{target}_sensitivity": Metric(sensitivity.value, sensitivity.low, sensitivity.high),
        **difference,
    }
    measured = (
        _Measured("AUC", auc, margins.auc),
        _Measured("sensitivity", sensitivity, margins.sensitivity),
    )
    failing = [one for one in measured if one.state == "fail"]
    if failing:
        return Judgement("fail", "; ".join(one.sentence for one in failing), difference)
    open_ones = [one for one in measured if one.state == "cannot judge"]
    if not open_ones:
        return Judgement("pass", "; ".join(one.sentence for one in measured), difference)
    needed = max(
        _lesions_for_auc(auc, lesions, margins),
        _lesions_for_sensitivity(*discordant(*found, reference.groups[positive]), lesions, margins),
    )
    told = f"about {needed} {target} lesions would decide it, here are {lesions}"
    reason = "; ".join([*(one.sentence for one in open_ones), told])
    return Judgement("cannot judge", reason, difference)


@dataclass(frozen=True)
class _Measured:
    name: str
    loss: Loss
    margin: float

    @property
    def state(self) -> Literal["pass", "fail", "cannot judge"]:
        if self.loss.high < self.margin:
            return "pass"
        return "fail" if self.loss.value >= self.margin else "cannot judge"

    @property
    def sentence(self) -> str:
        figures = f"{self.name} loss {self.loss.value:.4f}, at most {self.loss.high:.4f}"
        return f"{figures} (margin {self.margin:g})"


def _reported(reference: Predictions, variant: Predictions) -> dict[str, Metric]:
    from sklearn.metrics import recall_score

    answers = reference.probabilities.argmax(axis=1), variant.probabilities.argmax(axis=1)
    apart = np.abs(reference.probabilities - variant.probabilities)
    present = np.unique(reference.truth)
    balanced = [
        float(recall_score(reference.truth, given, labels=present, average="macro"))
        for given in answers
    ]
    return {
        "balanced_accuracy": Metric(balanced[0] - balanced[1]),
        "agreement": Metric(float((answers[0] == answers[1]).mean())),
        "largest_probability_difference": Metric(float(apart.max())),
        "mean_probability_difference": Metric(float(apart.mean())),
    }


def _found(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], called: int
) -> NDArray[np.bool_]:
    """Which positives a model finds when it may call ``called`` negatives, and no more.

    It finds everything above the first negative that it has to leave uncalled. Both models are
    read in this way, so that an equal one loses and gains nothing.
    """
    negatives = np.sort(scores[~positive])[::-1]
    highest_uncalled = negatives[called] if called < len(negatives) else -np.inf
    found: NDArray[np.bool_] = scores[positive] > highest_uncalled
    return found


def _lesions_for_auc(loss: Loss, lesions: int, margins: Margins) -> int:
    """Variance falls with the number of lesions; the bound has to fit into the margin."""
    room, reach = margins.auc - loss.value, loss.high - loss.value
    needed = lesions * max(1.0, reach / room) ** 2
    return math.ceil(min(needed, MOST_LESIONS))


def _lesions_for_sensitivity(lost: float, gained: float, lesions: int, margins: Margins) -> int:
    """The fewest lesions whose bound, at the same shares, fits into the margin."""
    needed = lesions
    while needed < MOST_LESIONS:
        grown = needed / lesions
        if tango(lost * grown, gained * grown, needed).high < margins.sensitivity:
            return needed
        needed = math.ceil(needed * 1.05)
    return MOST_LESIONS
