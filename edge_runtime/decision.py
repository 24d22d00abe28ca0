"""From probabilities to a decision, by one written rule.

    refer    the melanoma probability, or that of the malignant classes together, reaches its
             operating point
    routine  neither does

`retake` and `uncertain` belong to the same vocabulary: a reader of results has to expect them.
A decision is a suggestion to a researcher. It is never a diagnosis, and the probabilities are given
whatever it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edge_runtime.manifest import OperatingPoint

Decision = Literal["refer", "routine", "retake", "uncertain"]

_NAMES = {
    "melanoma": "the melanoma probability",
    "malignant": "the probability of a malignant class",
}


def decide(
    probabilities: Mapping[str, float], points: Mapping[str, OperatingPoint]
) -> tuple[Decision, tuple[str, ...]]:
    """The decision and its reasons, in words.

    Args:
        probabilities: by target ("melanoma", "malignant"), 0 to 1.
        points: the operating point of every one of these targets.
    """
    reached: list[str] = []
    below: list[str] = []
    for target, probability in probabilities.items():
        threshold = points[target].threshold
        over = probability >= threshold
        relation = "reaches" if over else "is below"
        sentence = (
            f"{_NAMES[target]} ({probability:.3f}) {relation} its operating point ({threshold:.3f})"
        )
        (reached if over else below).append(sentence)
    return ("refer", tuple(reached)) if reached else ("routine", tuple(below))
