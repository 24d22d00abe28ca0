"""A bundle as one HTML page that needs no network and runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert.outcome import Material, Outcome
from convert.report import plots, rows, words
from convert.report.choice import choices
from convert.report.disagreements import (
    LOST,
    LOST_OTHER,
    SHOWN,
    Disagreement,
    disagreements,
    tallies,
)
from convert.report.rows import Row
from convert.trial import JUDGED_ON, REPORTED_ON
from edge_runtime.manifest import Manifest
from train.importing.record import read_import
from train.report import pictures as picture
from train.report import style, templates
from train.report.words import about_calibration
from train.run import RunFolder

TEMPLATE = "bundle.html"
FIGURES = ("auc", "sensitivity", "specificity")
"""Figures of the main target that tables show."""


def render_report(
    manifest: Manifest, run: RunFolder, material: Material, *, pictures: bool,
    seed: int | None = None,
) -> str:  # fmt: skip
    """The page's text.

    Args:
        manifest: of the bundle, with its files but for the report itself.
        run: where the model came from.
        material: every variant that was tried, and the held-out images they answered.
        pictures: whether the page may hold photographs; without, it names image ids only.
        seed: of the draw of calibration images, where it is known.
    """
    text: str = (
        environment()
        .get_template(TEMPLATE)
        .render(**_context(manifest, run, material, pictures), pictures=pictures, seed=seed)
    )
    return text


def environment() -> Any:
    """The templates of this folder, and how they write shares, splits and classes."""
    made = templates.environment(Path(__file__).parent)
    filters: dict[str, Any] = {
        "percent": lambda share: f"{100 * share:.1f}%",
        "split_word": words.split_word,
        "class_name": words.class_name,
    }
    made.filters |= filters
    return made


def _context(
    manifest: Manifest, run: RunFolder, material: Material, pictures: bool
) -> dict[str, Any]:
    target = manifest.targets[0]
    keras = rows.keras_row(run)
    made = [rows.variant_row(outcome) for outcome in material.outcomes]
    disagreed = disagreements(material, run, JUDGED_ON)
    counted = {split: tallies(material, run, split) for split in (JUDGED_ON, REPORTED_ON)}
    return {
        "manifest": manifest,
        "run": run.run,
        "imported": read_import(run) is not None,
        "palette": style.PALETTE,
        "target": target,
        "targets": manifest.targets,
        "splits": (JUDGED_ON, REPORTED_ON),
        "lesions_known": any(row.lesion_id for row in material.images.rows),
        "counts": {split: sum(run.run.counts[split].values()) for split in run.run.counts},
        "figures": FIGURES,
        "keras": keras,
        "rows": made,
        "what_passed": words.what_passed(made, manifest.gate),
        "what_did_not": words.what_did_not(made),
        "unproven": [row for row in made if row.kept and row.state != "pass"],
        "choices": choices(material.outcomes),
        "losses": _losses(made, manifest, target),
        "tradeoffs": _tradeoffs(made, keras, target),
        "machine": words.machine(),
        "climbed": [
            (one, rows.taken_rung(one))
            for one in material.outcomes
            if len(one.rungs) > 1 or one.because
        ],
        "layers": [(one, _layer_plots(one)) for one in material.outcomes if one.layer_errors],
        "rounding": plots.ROUNDING,
        "calibrated": rows.calibrated(material.images, material.calibration, manifest.labels),
        "kinds": words.kinds(target),
        "lost": (LOST, LOST_OTHER),
        "tallies": counted,
        "disagreed": len(disagreed),
        "shown": _pictured(disagreed[:SHOWN], material, pictures),
        "about_calibration": about_calibration(run.run.calibration),
        "about_licence": words.about_licence(manifest.source.licence),
        "files": manifest.files,
    }


def _losses(made: Sequence[Row], manifest: Manifest, target: str) -> list[plots.Plot]:
    gate = manifest.gate
    drawn = [
        plots.losses(made, f"{target}_auc", f"Loss of {target} AUC", gate.auc_margin),
        plots.losses(
            made, f"{target}_sensitivity", f"Loss of {target} sensitivity", gate.sensitivity_margin
        ),
    ]
    return [plot for plot in drawn if plot is not None]


def _tradeoffs(made: Sequence[Row], keras: Row, target: str) -> list[plots.Plot]:
    """AUC on test (on validation, where test cannot give it) against size and against time."""
    name = f"{target}_auc"
    split = REPORTED_ON if any(row.metric(REPORTED_ON, name) for row in made) else JUDGED_ON
    title = f"{target.capitalize()} AUC, {words.split_word(split)}"
    costs: tuple[tuple[str, str, Mapping[str, float]], ...] = (
        ("size", "megabytes", {row.name: row.bytes / 1e6 for row in made if row.bytes}),
        ("time", "median milliseconds", {row.name: row.median_ms for row in made if row.median_ms}),
    )  # fmt: skip
    drawn = []
    for key, label, cost in costs:
        points = [
            plots.Priced(row.name, cost[row.name], metric, row.state)
            for row in made
            if row.name in cost and (metric := row.metric(split, name)) is not None
        ]
        drawn.append(plots.priced(points, keras.metric(split, name), label, title, f"auc_{key}"))
    return [plot for plot in drawn if plot is not None]


def _layer_plots(outcome: Outcome) -> list[plots.Plot]:
    name, errors = outcome.kind.name, outcome.layer_errors
    drawn = [plots.layer_errors(errors, name), plots.layer_effects(errors, name)]
    return [plot for plot in drawn if plot is not None]


def _pictured(
    chosen: Sequence[Disagreement], material: Material, pictures: bool
) -> list[tuple[Disagreement, str]]:
    """Images beside their pictures, squares as the model sees them; empty text without."""
    return [
        (
            one,
            picture.data_uri(np.asarray(material.images.tensors[one.index])) if pictures else "",
        )
        for one in chosen
    ]
