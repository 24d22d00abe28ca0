"""The rows of the tables of a bundle's report and model card."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from convert.evidence import Images
from convert.outcome import Outcome, Rung
from edge_runtime.manifest import Label, Metric, OperatingPoint, Verdict
from train.run import MODEL_FILE, RunFolder

KERAS = "Keras model"

State = Literal["reference", "not made"] | Verdict
Figures = Mapping[str, Mapping[str, Metric]]
"""Metrics by split, then by name."""


@dataclass(frozen=True)
class Row:
    """One model beside the others.

    Attributes:
        name, arithmetic: of the variant, or of the Keras model.
        bytes: of its file; None where there is none.
        median_ms: of one inference on one thread; None where it was not measured.
        metrics, difference: as `edge_runtime.manifest.Variant`; empty where there are none.
        points: operating points by target.
        state: the gate's verdict, or why there is none.
        reason: in words.
        kept: whether it is in the bundle.
        float_layers: layers that a repair left in float.
    """

    name: str
    arithmetic: str
    bytes: int | None
    median_ms: float | None
    metrics: Figures
    difference: Figures
    points: Mapping[str, OperatingPoint]
    state: State
    reason: str
    kept: bool
    float_layers: tuple[str, ...] = field(default=())

    def metric(self, split: str, name: str) -> Metric | None:
        """A figure, or None where it was not measured."""
        return self.metrics.get(split, {}).get(name)

    def loss(self, split: str, name: str) -> Metric | None:
        """A difference from the Keras model, or None where it was not measured."""
        return self.difference.get(split, {}).get(name)


def keras_row(run: RunFolder) -> Row:
    """What every variant is compared with; its figures are the run's own."""
    try:
        size: int | None = os.path.getsize(run.folder / MODEL_FILE)
    except OSError:
        size = None
    record = run.run
    return Row(
        KERAS, "32-bit floats, as trained", size, None, record.metrics, {},
        record.operating_points, "reference", "what the others are compared with", False,
    )  # fmt: skip


def variant_row(outcome: Outcome) -> Row:
    """One variant, in the bundle or not."""
    kind, entry = outcome.kind, outcome.entry
    if entry is None:
        return Row(
            kind.name, kind.quantization, None, None, {}, {}, {}, "not made", outcome.reason, False
        )
    return Row(
        name=kind.name,
        arithmetic=entry.quantization,
        bytes=entry.bytes,
        median_ms=outcome.median_ms if math.isfinite(outcome.median_ms) else None,
        metrics=entry.metrics,
        difference=entry.difference,
        points=entry.operating_points,
        state=entry.verdict,
        reason=entry.reason,
        kept=outcome.kept,
        float_layers=entry.float_layers,
    )


def taken_rung(outcome: Outcome) -> Rung | None:
    """The try whose file it was in the end; None where no file was made."""
    if outcome.entry is None:
        return None
    layers = outcome.entry.float_layers
    return next((rung for rung in outcome.rungs if rung.float_layers == layers), None)


@dataclass(frozen=True)
class Calibrated:
    """The images that told the quantizer what values to expect.

    Attributes:
        ids: of all of them.
        by_class: how many of each class, and how many the training part has of it.
        held_out: how many of them are in validation or test, by the content of their files.
    """

    ids: tuple[str, ...]
    by_class: tuple[tuple[Label, int, int], ...]
    held_out: int


def calibrated(images: Images, chosen: Sequence[int], labels: Sequence[Label]) -> Calibrated:
    """Look the calibration images up, and whether they were kept apart.

    Args:
        images: every image of the run.
        chosen: indices into them.
        labels: the classes, in the order in which they are shown.
    """
    rows = [images.rows[index] for index in chosen]
    drawn = Counter(row.label for row in rows)
    trained = Counter(row.label for row in images.rows if row.split == "train")
    judged = {row.sha256 for row in images.rows if row.split != "train"}
    return Calibrated(
        ids=tuple(row.image_id for row in rows),
        by_class=tuple((label, drawn[label.code], trained[label.code]) for label in labels),
        held_out=sum(row.sha256 in judged for row in rows),
    )
