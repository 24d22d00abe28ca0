"""How the model that the bundle prefers does on parts of the test images, for the model card."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from convert.outcome import Material
from convert.report.rows import KERAS
from convert.trial import REPORTED_ON
from train.data.table import Record
from train.evaluation.evaluation import subgroups_of
from train.evaluation.images import Images
from train.evaluation.subgroups import UNKNOWN, Subgroup
from train.run import RunFolder, SplitRow

SKIN_COLUMNS = ("fitzpatrick", "skin_type", "skintype", "skin_tone", "monk")
"""Beginnings of the columns in which a data set's table gives a person's skin type or tone."""


@dataclass(frozen=True)
class Parts:
    """Figures of parts of the test images.

    Attributes:
        model: whose figures they are, a variant's name or `KERAS`.
        groups: by age, sex, site, resolution and estimated skin tone, as far as the data goes.
        notes: what a reader of them has to know.
        known: attributes that are known of at least one image.
        skin_types: images of the run by the skin type that the data gives; empty where it does not.
        missed, overlooked, positives: images of the first target that do not reach its operating
            point, those of them that no other target's point refers either, and all of them.
    """

    model: str
    groups: tuple[Subgroup, ...]
    notes: tuple[str, ...]
    known: tuple[str, ...]
    skin_types: tuple[tuple[str, int], ...]
    missed: int
    overlooked: int
    positives: int

    @property
    def certain(self) -> bool:
        """Whether a figure has an interval without width, as all images were answered alike."""
        return any(
            metric.low == metric.high and metric.value in (0, 1)
            for group in self.groups
            for metric in group.metrics.values()
        )


def parts_of_test(material: Material, run: RunFolder, *, bootstrap: int, seed: int) -> Parts:
    """Measure the variant that devices prefer, or the Keras model where none was executed.

    Args:
        material: whose image files are where they were.
        run: where the model came from.
        bootstrap, seed: of the intervals.

    Raises:
        ImageError: a test image has become unreadable.
    """
    held = material.held[REPORTED_ON]
    model, answers, points = KERAS, held.reference, run.run.operating_points
    ordered = sorted(material.outcomes, key=lambda outcome: outcome.kind.rank)
    for outcome in ordered:
        if outcome.kept and outcome.entry is not None and REPORTED_ON in outcome.answers:
            model, answers = outcome.kind.name, outcome.answers[REPORTED_ON]
            points = dict(outcome.entry.operating_points)
            break
    rows = [material.images.rows[index] for index in held.rows.tolist()]
    files = [material.images.files[index] for index in held.rows.tolist()]
    images = Images(
        data=run.run.data.name,
        split=REPORTED_ON,
        records=tuple(
            Record(row.image_id, file, row.label, row.lesion_id or None, row.split, row.attributes)
            for row, file in zip(rows, files, strict=True)
        ),
        digests=tuple(row.sha256 for row in rows),
        labels=run.run.labels,
        melanoma=run.run.melanoma,
    )
    groups, notes = subgroups_of(images, answers, points, bootstrap=bootstrap, seed=seed)
    target = answers.targets[0]
    positive = answers.positive(target)
    missed = positive & (answers.scores(target) < points[target].threshold)
    return Parts(
        model=model,
        groups=groups,
        notes=tuple(notes),
        known=tuple(dict.fromkeys(group.attribute for group in groups if group.value != UNKNOWN)),
        skin_types=_skin_types(material.images.rows),
        missed=int(missed.sum()),
        overlooked=int((positive & ~answers.referred(points)).sum()),
        positives=int(positive.sum()),
    )


def _skin_types(rows: tuple[SplitRow, ...]) -> tuple[tuple[str, int], ...]:
    columns = {name for row in rows for name in row.attributes}
    found = sorted(name for name in columns if name.lower().startswith(SKIN_COLUMNS))
    if not found:
        return ()
    counted = Counter(row.attributes.get(found[0], "").strip() or UNKNOWN for row in rows)
    return tuple(sorted(counted.items()))
