"""A model on labelled images: every check, every figure, and what a reader has to know of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from edge_runtime.backends import usable_cores
from edge_runtime.errors import LeakError
from edge_runtime.manifest import Metric, OperatingPoint
from train import progress
from train.data.tensors import load_tensors
from train.evaluation.answered import Answered, answered, inspections
from train.evaluation.certainty import certainty_notes, resampling_notes
from train.evaluation.classes import check_mapping, meet, missing_targets
from train.evaluation.comparison import alike, compare
from train.evaluation.images import Images
from train.evaluation.skin_tone import SkinTone, skin_tone_of_file
from train.evaluation.subgroups import Subgroup, auc_within, subgroups, table_attributes
from train.evaluation.subject import Subject
from train.evaluation.trained_on import overlap_notes, refuse_trained
from train.metrics import Predictions, evaluate


@dataclass(frozen=True)
class Options:
    """How to evaluate.

    Attributes:
        mapping: what the data's classes are called by the model, see `train.evaluation.classes`.
        bootstrap: resamples behind the 95% intervals; 0 gives none.
        seed: of the resampling.
        skip_trained: leave out images that the model was trained on, instead of refusing them.
        subgroups: also evaluate by age, sex, site, resolution and skin tone.
    """

    mapping: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bootstrap: int = 1000
    seed: int = 0
    skip_trained: bool = False
    subgroups: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
        subject: the model.
        images: those that it was evaluated on.
        predictions: its answers beside the truth.
        metrics: by name, see `train.metrics.evaluate`, and ``<target>_auc_within_resolution``.
        subgroups: empty where none were asked for.
        notes: what a reader of the figures has to know.
        answered: the same figures of the images that pass the bundle's checks, and how many are
            refused; None where nothing is checked.
    """

    subject: Subject
    images: Images
    predictions: Predictions
    metrics: Mapping[str, Metric]
    subgroups: tuple[Subgroup, ...]
    notes: tuple[str, ...]
    answered: Answered | None = None

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.images.records)

    @property
    def resampled(self) -> str:
        """What the intervals resample: "lesions", or "images" where no lesion is known."""
        return "lesions" if self.images.lesions_known else "images"

    @property
    def counts(self) -> dict[str, int]:
        """Images of each class in which the model was measured, in the order of the labels."""
        counted = Counter(self.predictions.truth.tolist())
        return {label.code: counted[index] for index, label in enumerate(self.predictions.labels)}


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images.

    Attributes:
        a, b: each by itself.
        difference: a minus b, of the figures that answer the same question.
        notes: why others are left out of it.
    """

    a: Evaluation
    b: Evaluation
    difference: Mapping[str, Metric]
    notes: tuple[str, ...] = ()


def evaluate_subject(subject: Subject, images: Images, options: Options) -> Evaluation:
    """Evaluate a model on images that it was not trained on.

    Raises:
        LeakError: it was trained on some of them, and they are not to be skipped.
        ClassError: the classes do not meet, or there is only one.
        UnreadableImagesError: images that cannot be decoded.
    """
    images, skipped = _unseen([subject], images, options)
    check_mapping(options.mapping, [label.code for label in images.labels], [subject.codes])
    return _evaluate(subject, images, options, skipped)


def compare_subjects(a: Subject, b: Subject, images: Images, options: Options) -> Comparison:
    """Evaluate two models on the same images, and how much they differ.

    Raises:
        LeakError, ClassError, UnreadableImagesError: as for `evaluate_subject`, for either.
    """
    images, skipped = _unseen([a, b], images, options)
    check_mapping(options.mapping, [label.code for label in images.labels], [a.codes, b.codes])
    found_a, found_b = (_evaluate(subject, images, options, skipped) for subject in (a, b))
    difference = compare(
        found_a.predictions, found_b.predictions, a.points, b.points,
        bootstrap=options.bootstrap, seed=options.seed,
    )  # fmt: skip
    answers = found_a.predictions, found_b.predictions
    notes = tuple(
        f"the two models do not hold the same images for {target}, so their figures of it are not "
        "subtracted"
        for target in answers[0].targets
        if target in answers[1].targets and not alike(*answers, target)
    )
    return Comparison(found_a, found_b, difference, notes)


def _unseen(
    subjects: Sequence[Subject], images: Images, options: Options
) -> tuple[Images, list[str]]:
    """Images of lesions that no subject was trained on, and a note on those that were left out.

    Lesions are known where one of their files was trained on.
    """
    if not options.skip_trained:
        for subject in subjects:
            refuse_trained(images.records, images.digests, subject.trained_on, subject.title)
        return images, []
    known = [
        any(subject.trained_on.contains(digest) for subject in subjects)
        for digest in images.digests
    ]
    lesions = set(images.groups[known].tolist())  # other photographs of what was trained on, too
    seen = [group in lesions for group in images.groups.tolist()]
    if all(seen):
        raise LeakError(
            f"All {len(seen)} images are among those that the model was trained on, so none are "
            "left to evaluate; name other --data or another --split."
        )
    note = (
        f"{sum(seen)} of {len(seen)} images were left out, as the model was trained on them"
        + (f" or on others of the same lesions ({sum(seen) - sum(known)})"
           if sum(seen) > sum(known) else "")
    )  # fmt: skip
    return images.without(seen), [note] if any(seen) else []


def _evaluate(
    subject: Subject, images: Images, options: Options, notes: Sequence[str]
) -> Evaluation:
    truth = meet(
        images.classes, images.labels, images.melanoma, subject.labels, subject.melanoma,
        options.mapping,
    )  # fmt: skip
    with progress.bar("preprocessing") as update:
        tensors = load_tensors(images.files, images.digests, subject.input, update)
    predictions = truth.beside(subject.answer(tensors), subject.malignant, images.groups)
    metrics = evaluate(predictions, subject.points, bootstrap=options.bootstrap, seed=options.seed)
    resolutions = images.resolutions()
    for target in predictions.targets:
        within = auc_within(
            predictions, resolutions, target, bootstrap=options.bootstrap, seed=options.seed
        )
        if within is not None:
            metrics[f"{target}_auc_within_resolution"] = within
    passing: Answered | None = None
    if subject.inspector is not None:
        passing = answered(
            predictions, inspections(subject.inspector, tensors, resolutions), subject.points,
            bootstrap=options.bootstrap, seed=options.seed,
        )  # fmt: skip
    found: tuple[Subgroup, ...] = ()
    found_notes: list[str] = []
    if options.subgroups:
        found, found_notes = subgroups_of(
            images, predictions, subject.points, bootstrap=options.bootstrap, seed=options.seed
        )
    said = [
        *notes,
        *subject.notes,
        *overlap_notes(
            images.records, images.digests, images.split, subject.trained_on, subject.title
        ),
        *_listing_notes(subject),
        *truth.notes,
        *resampling_notes(images.lesions_known, len(images.records)),
        *missing_targets(predictions),
        *certainty_notes(metrics, [predictions]),
        *found_notes,
    ]
    return Evaluation(subject, images, predictions, metrics, found, tuple(said), passing)


def subgroups_of(
    images: Images, predictions: Predictions, points: Mapping[str, OperatingPoint], *,
    bootstrap: int, seed: int,
) -> tuple[tuple[Subgroup, ...], list[str]]:  # fmt: skip
    """Figures by age, sex and site, by resolution, and by skin tone as the picture shows it.

    Args:
        images: n images.
        predictions: a model's answers on them.
        points: its frozen operating points by target.
        bootstrap, seed: see `Options`.

    Returns:
        the subgroups, and what a reader of them has to know.
    """
    tones = _skin_tones(images)
    attributes = table_attributes([record.extra for record in images.records]) | {
        "resolution": images.resolutions(),
        "skin tone": ["" if tone is None else tone.category for tone in tones],
    }
    found, notes = subgroups(predictions, attributes, points, bootstrap=bootstrap, seed=seed)
    estimated = [tone for tone in tones if tone is not None]
    if not estimated:
        return found, [*notes, "no image shows enough skin around the lesion to estimate its tone"]
    spread = float(np.median([tone.uncertainty for tone in estimated]))
    ambiguous = sum(tone.ambiguous for tone in estimated)
    note = (
        "skin tone is estimated from the picture (typology angle of the skin around the lesion, "
        f"typically +-{spread:.0f} degrees within one picture; {ambiguous} of {len(estimated)} lie "
        "between two categories); light and white balance shift it, so it describes the picture "
        "and not the person"
    )
    return found, [*notes, note]


def _skin_tones(images: Images) -> list[SkinTone | None]:
    with (
        progress.bar("skin tone", len(images.files)) as update,
        ThreadPoolExecutor(usable_cores()) as pool,
    ):
        tones = []
        for tone in pool.map(skin_tone_of_file, images.files):
            tones.append(tone)
            update(len(tones))
    return tones


def _listing_notes(subject: Subject) -> list[str]:
    """What a bundle's list of training images cannot tell."""
    seen = subject.trained_on
    if not seen.known or seen.ids or seen.lesions:
        return []
    return [f"{subject.title} lists the files that it was trained on and no lesions, so other "
            "photographs of those, or resized copies, would not be told"]  # fmt: skip
