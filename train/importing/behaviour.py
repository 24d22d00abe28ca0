"""The normalisation and the order of the classes that a foreign model is taken by, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ClassError, ConversionError, DermedgeError, UsageError
from train.importing.fitting import (
    CONFIDENCE,
    Fit,
    Sample,
    best_order,
    clearly_better,
    fit,
    ranked,
)
from train.importing.normalisation import NORMALISATIONS

MOST_IMAGES = 500
"""Validation images on which every rule is tried, and a few more where a class is rare."""

FEWEST_OF_A_CLASS = 20
"""Of these images, where there are so many: without any, nothing tells the class's AUC."""

Answers = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Behaviour:
    """What was found.

    Attributes:
        normalisation: name of the rule.
        fits: how well every rule fits, by name.
        images: on how many.
        accepted: why the import would have been refused; empty where all is well.
    """

    normalisation: str
    fits: Mapping[str, Fit]
    images: int
    accepted: str = ""


def tried_on(truth: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Which of n images the rules are tried on: of every class its share, drawn by chance.

    Args:
        truth: index of the right class, shape (n,).
        seed: of the draw.

    Returns:
        positions among the n, ascending; all of them where n is at most `MOST_IMAGES`.
    """
    order = np.random.default_rng(seed).permutation(len(truth))
    chosen = []
    for label in np.unique(truth):
        of_class = order[truth[order] == label]
        share = math.ceil(MOST_IMAGES * len(of_class) / len(truth))
        chosen.append(of_class[: max(share, FEWEST_OF_A_CLASS)])
    return np.sort(np.concatenate(chosen))


def judge(
    answers: Answers, sample: Sample, codes: Sequence[str], *, declared: str | None,
    accept_unproven: bool,
) -> Behaviour:  # fmt: skip
    """Hold what the user says against how the model behaves.

    Args:
        answers: probabilities of shape (n, classes) by name of the rule, for all rules.
        sample: the n images.
        codes: the classes as they were listed.
        declared: the rule that the user names; None to find it.
        accept_unproven: take the user's word where the images speak against it.

    Raises:
        ClassError: the classes fit clearly better in another order.
        UsageError: another rule fits clearly better, or none was named and several may be right.
        ConversionError: the model tells the classes apart no better than chance.
    """
    fault: DermedgeError | None
    fits = {name: fit(probabilities, sample) for name, probabilities in answers.items()}
    name = ranked(fits)[0] if declared is None else declared
    count = len(sample.truth)
    fault = _other_order(answers, fits, sample, codes)
    if fault is None and declared is not None:
        fault = _other_rule(name, fits, sample)
    if fault is None and not fits[name].better_than_chance:
        fault = _chance(name, fits[name], count)
    if fault is None and declared is None:
        fault = _ambiguous(name, fits, sample)
    if fault is None:
        return Behaviour(name, fits, count)
    if declared is None or not accept_unproven:  # there is no word of the user to be taken
        raise fault
    return Behaviour(name, fits, count, accepted=str(fault))


def _other_order(
    answers: Answers, fits: Mapping[str, Fit], sample: Sample, codes: Sequence[str]
) -> ClassError | None:
    orders = {name: best_order(found, sample) for name, found in answers.items()}
    others = {
        name: fit(answers[name][:, order], sample)
        for name, order in orders.items()
        if order != list(range(len(codes)))
    }
    if not others:
        return None
    best, listed = ranked(others)[0], fits[ranked(fits)[0]]
    if not clearly_better(others[best], listed, sample):
        return None
    by_output = sorted(range(len(codes)), key=lambda index: orders[best][index])
    return ClassError(
        f"The classes fit clearly better in the order {', '.join(codes[i] for i in by_output)} "
        f"({others[best].words}) than as listed, {', '.join(codes)} ({listed.words}), on "
        f"{len(sample.truth)} validation images; list them in the order of the model's outputs."
    )


def _other_rule(declared: str, fits: Mapping[str, Fit], sample: Sample) -> UsageError | None:
    for name in ranked(fits):
        if name != declared and clearly_better(fits[name], fits[declared], sample):
            return UsageError(
                f"The normalisation {name} ({NORMALISATIONS[name].formula}) fits clearly better "
                f"than {declared} ({NORMALISATIONS[declared].formula}): {fits[name].words} against "
                f"{fits[declared].words} on {len(sample.truth)} validation images; use "
                f"`--normalisation {name}`."
            )
    return None


def _ambiguous(best: str, fits: Mapping[str, Fit], sample: Sample) -> UsageError | None:
    alike = [
        name for name in ranked(fits)
        if name != best and not clearly_better(fits[best], fits[name], sample)
    ]  # fmt: skip
    if not alike:
        return None
    found = "; ".join(f"{name}: {fits[name].words}" for name in (best, *alike))
    return UsageError(
        f"{len(sample.truth)} validation images do not tell by which normalisation the model was "
        f"trained ({found}); say it with --normalisation."
    )


def _chance(name: str, found: Fit, count: int) -> ConversionError:
    return ConversionError(
        f"By normalisation {name} the model tells the classes apart no better than chance on "
        f"{count} validation images (AUC {found.auc:.3f}, {CONFIDENCE:.0%} interval "
        f"{found.auc_low:.3f} to {found.auc_high:.3f}), and no other rule fits clearly better; "
        "check the labels' order and how images were prepared."
    )
