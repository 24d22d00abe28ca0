"""From probabilities to a decision, by one written rule. The first line that holds decides:

    retake     the photograph cannot be judged: it is blurred, dark, cut off, ...
    uncertain  the photograph is unlike those that the model was trained on
    refer      the melanoma probability, or that of the malignant classes together, reaches its
               operating point
    routine    neither does

The probabilities are given whatever the decision. To overlook a melanoma is the worst error, so a
refusal does not hide one: where a probability reaches its operating point all the same, the reasons
say that too. A decision is a suggestion to a researcher. It is never a diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from edge_runtime.manifest import OperatingPoint

Decision = Literal["refer", "routine", "retake", "uncertain"]
"""What is suggested for a photograph; see `edge_runtime.decision`."""

_NAMES = {
    "melanoma": "the melanoma probability",
    "malignant": "the probability of a malignant class",
}


def decide(
    probabilities: Mapping[str, float], points: Mapping[str, OperatingPoint], *,
    retake: Sequence[str] = (), uncertain: Sequence[str] = (),
) -> tuple[Decision, tuple[str, ...]]:  # fmt: skip
    """The decision and its reasons, in words.

    Args:
        probabilities: by target ("melanoma", "malignant"), 0 to 1.
        points: the operating point of every one of these targets.
        retake: why the photograph cannot be judged, see `edge_runtime.quality`.
        uncertain: why the model does not know its like, see `edge_runtime.appearance`.
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
    if retake or uncertain:
        instead = "taken again" if retake else "judged otherwise"
        warnings = tuple(
            f"if it cannot be {instead}, have it looked at: {sentence}" for sentence in reached
        )
        return ("retake" if retake else "uncertain"), (*retake, *uncertain, *warnings)
    return ("refer", tuple(reached)) if reached else ("routine", tuple(below))
