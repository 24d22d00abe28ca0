"""What a device really answered, judged against the reference's answers computed here.

An image without an answer (the device refused it, or the file has no line of it) says nothing of
the model, but its patient has no answer either. So it never vanishes: the reason counts these
images, and those among them that show what is looked for, and nothing passes while there are any
unless that is allowed. An image that got probabilities and no decision (`retake`, `uncertain`) is
counted, too, and the device may refuse no more of what is looked for than the same checks do here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convert.checking.execution import (
    Execution,
    held_out,
    select,
    title_of,
    truth_of,
)
from convert.checking.finding import with_finding
from convert.checking.given import Given, given_answers
from convert.checking.lines import Answer, read_lines
from convert.checking.reference import check_reference
from convert.checking.rule import Rule
from convert.checking.undecided import Undecided, undecided
from convert.gate.judge import Margins
from edge_runtime.bundle import Bundle
from edge_runtime.errors import DataError
from edge_runtime.manifest import Variant
from train.data.table import Dataset
from train.evaluation.images import Images
from train.metrics import Predictions
from train.run import RunFolder


@dataclass(frozen=True)
class Unanswered:
    """Images of the split for which a variant gave no answer.

    Attributes:
        target: what is looked for, "melanoma" or "malignant".
        of: how many images the split has.
        ids: those without an answer.
        positives: how many of them show the target.
        refused: how many of them the device refused by an error; the others have no line.
    """

    target: str
    of: int
    ids: tuple[str, ...]
    positives: int
    refused: int

    @property
    def sentence(self) -> str:
        """How many there are, and how many of them matter most."""
        missing = len(self.ids)
        return (
            f"{missing} of {self.of} images without an answer ({self.refused} refused by the "
            f"device, {missing - self.refused} not in the file), {self.positives} of them "
            f"{self.target}"
        )


@dataclass(frozen=True)
class Answered:
    """One variant as a device ran it; ``entry`` has the figures of the images it answered."""

    entry: Variant
    unanswered: Unanswered
    undecided: Undecided


def check_predictions(
    bundle: Bundle, data: Dataset, split: str, margins: Margins, file: Path, *,
    reference: RunFolder | None, variants: Sequence[str] | None = None,
    allow_missing: bool = False, bootstrap: int = 1000, seed: int = 0,
) -> list[Answered]:  # fmt: skip
    """Judge what a device answered.

    Args:
        bundle: the one that was on the device.
        data: labelled images, found by name in the file; those of other splits are passed over.
        split: which part of them.
        margins: the largest losses that pass. That of sensitivity is also the largest share of the
            first target that the device may refuse beyond those that the checks refuse here.
        file: lines that `dermedge classify --json` wrote, of one variant or of several.
        reference: a run whose Keras model is compared with; without one, the bundle's own float32
            TFLite file is.
        variants: names; all that the file has answers of for None.
        allow_missing: let a variant pass that has not answered every image.
        bootstrap, seed: of the 95% intervals.

    Raises:
        DataError: the file cannot be read or contradicts itself, another model answered, or a name
            may be that of several images.
        VariantError, ClassError, LeakError, GateError: as for `convert.checking.again.check`.
    """
    rule = Rule(split, margins, bootstrap, seed)
    named = [variant.name for variant in select(bundle, variants)]
    check_reference(bundle, reference)
    lines = read_lines(file, bundle)
    images = held_out(data, split, {title_of(bundle): bundle}, reference)
    truth = truth_of(images, bundle)
    given = given_answers(lines, data, images.records, file.name)
    told = [name for name in named if name in given.answers]
    _refuse_silent(told, variants or (), given, file.name, split)

    answered = sorted({row for name in told for row in given.answers[name]})
    silent = {*range(len(images.records))} - {*answered}
    execution = Execution(
        bundle, images.without([row in silent for row in range(len(images.records))]),
        truth.take(np.array(answered)),
    )  # fmt: skip
    expected, threshold = execution.reference(reference)
    target = truth.targets[0]
    found = []
    for name in told:
        variant, unanswered = bundle.manifest.variant(name), _unanswered(name, given, images, truth)
        rows, answers = sorted(given.answers[name]), _predictions(given.answers[name], truth)
        places = np.searchsorted(answered, rows)
        without_decision, refused_more = undecided(
            [given.answers[name][row].decision for row in rows], execution.refused[places],
            answers, [images.records[row].image_id for row in rows], margins,
        )  # fmt: skip
        if truth.decidable(target) and not answers.decidable(target):
            entry = _undecidable(variant, answers, target, split)
        else:
            entry = rule.judged(variant, answers, expected.take(places), threshold)
        entry = _with_missing(with_finding(entry, refused_more), unanswered, allow_missing)
        found.append(Answered(entry, unanswered, without_decision))
    return found


def _predictions(answers: Mapping[int, Answer], truth: Predictions) -> Predictions:
    """A variant's answers beside the truth, in the order of the rows that have one."""
    rows = sorted(answers)
    probabilities = np.array([answers[row].probabilities for row in rows], np.float32)
    return replace(truth.take(np.array(rows)), probabilities=probabilities)


def _unanswered(name: str, given: Given, images: Images, truth: Predictions) -> Unanswered:
    target = truth.targets[0]
    missing = [row for row in range(len(images.records)) if row not in given.answers[name]]
    return Unanswered(
        target=target,
        of=len(images.records),
        ids=tuple(images.records[row].image_id for row in missing),
        positives=int(truth.positive(target)[missing].sum()),
        refused=len(given.refused & {*missing}),
    )


def _refuse_silent(
    told: Sequence[str], named: Sequence[str], given: Given, file: str, split: str
) -> None:
    """Refuse a file without an answer on the split, or without one of a variant that was named."""
    silent = [name for name in named if name not in told]
    if told and not silent:
        return
    held = ", ".join(given.answers)
    if not held:
        raise DataError(
            f"{file} has no answer about any image of the split {split!r}; name the data, or the "
            "--split, whose images the device was given."
        )
    raise DataError(
        f"{file} has no answer of {silent[0]} about the split {split!r}; it has those of {held}."
    )


def _undecidable(variant: Variant, answers: Predictions, target: str, split: str) -> Variant:
    found = "nothing but" if answers.positive(target).any() else "no"
    return replace(
        variant, metrics={split: {}}, difference={split: {}}, verdict="cannot judge",
        reason=f"the answered images hold {found} {target}",
    )  # fmt: skip


def _with_missing(entry: Variant, unanswered: Unanswered, allowed: bool) -> Variant:
    """The entry, less sure of itself where images have no answer."""
    if not unanswered.ids:
        return entry
    reason = f"{unanswered.sentence}; on the others: {entry.reason}"
    if entry.verdict == "pass" and not allowed:
        return replace(entry, verdict="cannot judge", reason=reason)
    return replace(entry, reason=reason)
