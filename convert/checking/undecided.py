"""Answers of a device that are no decision: `retake` and `uncertain`.

A board on which the checks refuse what they pass here leaves people without a decision, though its
probabilities may be in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.checking.finding import Finding, finding
from convert.gate.judge import Margins
from edge_runtime.decision import Decision
from train.evaluation.answered import RETAKE, UNCERTAIN
from train.metrics import Predictions


@dataclass(frozen=True)
class Undecided:
    """Images for which a variant gave probabilities and no decision.

    Attributes:
        target: what is looked for, "melanoma" or "malignant".
        of: how many images were answered.
        retake, uncertain: for how many of them the device decided so.
        positives: how many of those show the target.
        here: how many of the answered images the bundle's checks refuse here.
        positives_here: how many of those show the target.
        only_there: ids of the images that the device refused and the checks pass here.
    """

    target: str
    of: int
    retake: int
    uncertain: int
    positives: int
    here: int
    positives_here: int
    only_there: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """How many there are, how many of them matter most, and how many were to be expected."""
        return (
            f"no decision on {self.retake + self.uncertain} of {self.of} answered images "
            f"({self.retake} retake, {self.uncertain} uncertain), {self.positives} of them "
            f"{self.target}; here on {self.here}, {self.positives_here} of them {self.target}"
        )


def undecided(
    decisions: Sequence[Decision], here: NDArray[np.bool_], truth: Predictions, ids: Sequence[str],
    margins: Margins,
) -> tuple[Undecided, Finding | None]:  # fmt: skip
    """Count the refused images, and judge whether more melanomas are refused than here.

    Args:
        decisions: of the device, about the n images that it answered.
        here: which of them the bundle's checks refuse here, shape (n,).
        truth: of these images.
        ids: of these images.
        margins: that of sensitivity is the largest share that passes.
    """
    target = truth.targets[0]
    positive = truth.positive(target)
    there = np.isin(decisions, (RETAKE, UNCERTAIN))
    counted = Undecided(
        target=target,
        of=len(decisions),
        retake=decisions.count(RETAKE),
        uncertain=decisions.count(UNCERTAIN),
        positives=int((there & positive).sum()),
        here=int(here.sum()),
        positives_here=int((here & positive).sum()),
        only_there=tuple(np.array(ids)[there & ~here].tolist()),
    )
    return counted, finding("answer", counted.sentence, truth, ~here, ~there, margins)
