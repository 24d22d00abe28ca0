"""Which test images a report shows: the worst mistakes, and some right answers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.report.evidence import Answered

SHOWN = 8
"""Mistakes of each kind."""

EXPLAINED = 3
"""Images of each outcome whose evidence is shown."""


@dataclass(frozen=True)
class Example:
    """One test image and what the model said of it.

    Attributes:
        position: among the test images.
        image_id, lesion_id: as in the data; the lesion is empty where it is unknown.
        truth, answer: class names.
        probability: of the answer.
        score: probability of the target.
        explained: index of the class that an explanation is asked for.
    """

    position: int
    image_id: str
    lesion_id: str
    truth: str
    answer: str
    probability: float
    score: float
    explained: int


@dataclass(frozen=True)
class Examples:
    """Test images by what became of them at the operating point, most confident first.

    Attributes:
        missed: positives below the threshold, the lowest scores.
        false_alarms: negatives that reach it, the highest scores.
        found, cleared: the right answers, the clearest of them.
        missed_count, false_alarm_count, positives, negatives: images in all.
    """

    missed: tuple[Example, ...]
    false_alarms: tuple[Example, ...]
    found: tuple[Example, ...]
    cleared: tuple[Example, ...]
    missed_count: int
    false_alarm_count: int
    positives: int
    negatives: int


def examples(answered: Answered, target: str, threshold: float) -> Examples:
    """Choose the images to show, one of each lesion."""
    predictions = answered.predictions
    scores, positive = predictions.scores(target), predictions.positive(target)
    called = scores >= threshold

    def choose(mask: NDArray[np.bool_], descending: bool, most: int) -> tuple[Example, ...]:
        order = np.argsort(-scores if descending else scores, kind="stable")
        chosen: dict[str, int] = {}
        for position in order[mask[order]].tolist():
            chosen.setdefault(str(predictions.groups[position]), position)
            if len(chosen) == most:
                break
        return tuple(_example(answered, target, position) for position in chosen.values())

    return Examples(
        missed=choose(positive & ~called, False, SHOWN),
        false_alarms=choose(~positive & called, True, SHOWN),
        found=choose(positive & called, True, EXPLAINED),
        cleared=choose(~positive & ~called, False, EXPLAINED),
        missed_count=int((positive & ~called).sum()),
        false_alarm_count=int((~positive & called).sum()),
        positives=int(positive.sum()),
        negatives=int((~positive).sum()),
    )


def explained(chosen: Examples) -> Sequence[tuple[str, Example]]:
    """The images whose evidence is shown, right and wrong, each with what became of it."""
    return [
        (verdict, example)
        for verdict, group in (
            ("found", chosen.found), ("missed", chosen.missed),
            ("false alarm", chosen.false_alarms), ("cleared", chosen.cleared),
        )
        for example in group[:EXPLAINED]
    ]  # fmt: skip


def _example(answered: Answered, target: str, position: int) -> Example:
    predictions, row = answered.predictions, answered.rows[position]
    probabilities = predictions.probabilities[position]
    answer = int(probabilities.argmax())
    asked = np.where(predictions.columns(target), probabilities, -1.0)
    return Example(
        position=position,
        image_id=row.image_id,
        lesion_id=row.lesion_id,
        truth=predictions.labels[int(predictions.truth[position])].name,
        answer=predictions.labels[answer].name,
        probability=float(probabilities[answer]),
        score=float(predictions.scores(target)[position]),
        explained=int(asked.argmax()),
    )
