"""Held-out images on which a variant and the Keras model say different things.

A decision is the device's (`edge_runtime.decision`): refer where the probability of melanoma, or of
the malignant classes together, reaches its operating point, each model by its own points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.outcome import Material, Outcome
from convert.report.rows import KERAS
from edge_runtime.manifest import OperatingPoint
from train.metrics import Predictions
from train.run import RunFolder

SHOWN = 24
"""Images in a report."""

LOST, LOST_OTHER, FOUND, ALARM, CLEARED, OTHER_CLASS = range(6)
"""Kinds of disagreement, the gravest first."""

_AGREE = -1
Points = Mapping[str, OperatingPoint]


@dataclass(frozen=True)
class Opinion:
    """What one model says of an image.

    Attributes:
        model: its name.
        probabilities: (target, probability) of every target.
        answer, probability: name of the most probable class, and its probability.
        referred: the decision.
    """

    model: str
    probabilities: tuple[tuple[str, float], ...]
    answer: str
    probability: float
    referred: bool


@dataclass(frozen=True)
class Disagreement:
    """One image, what it shows, and who says what of it.

    Attributes:
        index: of the image among all of the run.
        kind: the gravest of its kinds.
        keras: what the Keras model says.
        variants: those that say something else, the gravest first.
    """

    index: int
    image_id: str
    lesion_id: str
    truth: str
    kind: int
    keras: Opinion
    variants: tuple[Opinion, ...]


@dataclass(frozen=True)
class Tally:
    """How many images of a split a variant disagrees on, by kind."""

    variant: str
    split: str
    images: int
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """On how many, of whatever kind."""
        return sum(self.counts)


def kinds(
    keras: Predictions, keras_points: Points, variant: Predictions, points: Points
) -> NDArray[np.int64]:
    """What kind of disagreement each image is, shape (n,); -1 where both say the same.

    Args:
        keras, variant: answers of both on the same n images.
        keras_points, points: the operating points of each.
    """
    before, after = keras.referred(keras_points), variant.referred(points)
    first = keras.positive(keras.targets[0])
    malignant = keras.positive("malignant") | first
    other = keras.probabilities.argmax(axis=1) != variant.probabilities.argmax(axis=1)
    lost, gained = before & ~after, ~before & after
    found: NDArray[np.int64] = np.select(
        [lost & first, lost & malignant, gained & malignant, gained, lost, other],
        [LOST, LOST_OTHER, FOUND, ALARM, CLEARED, OTHER_CLASS],
        _AGREE,
    )
    return found


def tallies(material: Material, run: RunFolder, split: str) -> tuple[Tally, ...]:
    """How often each executed variant of the bundle disagrees with the Keras model."""
    return tuple(
        Tally(
            outcome.kind.name,
            split,
            len(found),
            tuple(int((found == kind).sum()) for kind in range(OTHER_CLASS + 1)),
        )
        for outcome, found in _compared(material, run, split)
    )


def disagreements(material: Material, run: RunFolder, split: str) -> tuple[Disagreement, ...]:
    """Every image of a split on which a variant of the bundle disagrees, the gravest first.

    Among images of one kind those come first on which the probabilities are furthest apart.
    """
    held = material.held[split]
    keras, points = held.reference, run.run.operating_points
    found: dict[int, list[_Said]] = {}
    for outcome, kind in _compared(material, run, split):
        assert outcome.entry is not None
        answers = outcome.answers[split]
        for at in np.flatnonzero(kind != _AGREE).tolist():
            apart = float(np.abs(answers.probabilities[at] - keras.probabilities[at]).max())
            opinion = _opinion(outcome.kind.name, answers, outcome.entry.operating_points, at)
            found.setdefault(at, []).append(_Said(int(kind[at]), apart, opinion))
    for variants in found.values():
        variants.sort(key=_Said.gravity)
    shown = []
    for at, variants in sorted(found.items(), key=lambda item: (*item[1][0].gravity(), item[0])):
        index = int(held.rows[at])
        row = material.images.rows[index]
        shown.append(
            Disagreement(
                index=index,
                image_id=row.image_id,
                lesion_id=row.lesion_id,
                truth=keras.labels[int(keras.truth[at])].name,
                kind=variants[0].kind,
                keras=_opinion(KERAS, keras, points, at),
                variants=tuple(said.opinion for said in variants),
            )
        )
    return tuple(shown)


@dataclass(frozen=True)
class _Said:
    """What one variant says, its kind, and how far its probabilities are from the reference's."""

    kind: int
    apart: float
    opinion: Opinion

    def gravity(self) -> tuple[int, float]:
        return self.kind, -self.apart


def _compared(
    material: Material, run: RunFolder, split: str
) -> Sequence[tuple[Outcome, NDArray[np.int64]]]:
    reference, points = material.held[split].reference, run.run.operating_points
    return [
        (one, kinds(reference, points, one.answers[split], one.entry.operating_points))
        for one in material.outcomes
        if one.kept and one.entry is not None and split in one.answers
    ]


def _opinion(model: str, predictions: Predictions, points: Points, at: int) -> Opinion:
    one = predictions.take(np.array([at]))
    answer = int(one.probabilities[0].argmax())
    return Opinion(
        model=model,
        probabilities=tuple((target, float(one.scores(target)[0])) for target in one.targets),
        answer=one.labels[answer].name,
        probability=float(one.probabilities[0, answer]),
        referred=bool(one.referred(points)[0]),
    )
