"""The model card and the words that every bundle carries.

The sections are those of Mitchell and others: Model Cards for Model Reporting. Conference on
Fairness, Accountability, and Transparency, 2019, 220-229. Their text is `report/model_card.md`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from edge_runtime.backends import BACKENDS
from edge_runtime.manifest import Manifest, Metric

if TYPE_CHECKING:
    from convert.outcome import Material
    from convert.report.parts import Parts
    from train.run import RunFolder, SplitRow

INTENDED_USE = (
    "Research on decision support for pigmented skin lesions photographed with a dermatoscope. "
    "Not a medical device; not for use on patients."
)
TEMPLATE = "model_card.md"
_ROUNDED = {name for kind in BACKENDS for name in kind.unjudged}
"""Variants whose answers depend on the interpreter's kernels."""
SOURCE_COLUMN = "data_set"
"""Of tables that `dermedge audit --fix` wrote."""


def model_card(
    manifest: Manifest,
    run: RunFolder,
    material: Material,
    parts: Parts,
    *,
    pictures: bool,
    remarks: str = "",
) -> str:
    """The model card as Markdown.

    Args:
        manifest: of the bundle.
        run: where the model came from.
        material: every variant that was tried.
        parts: how the model does on parts of the test images.
        pictures: whether the report beside the card may show photographs.
        remarks: Markdown of whoever made the model, taken as it is.
    """
    from convert.report import rows, words
    from convert.report.render import FIGURES, environment
    from train.importing.record import read_import
    from train.report.words import about_calibration, words_for_resampled
    from train.run import lesions_by_split

    record, rows_of_run = run.run, run.rows()
    lesions = lesions_by_split(rows_of_run)
    made = [rows.variant_row(outcome) for outcome in material.outcomes]
    templates = environment()
    templates.filters |= {"figure": _figure, "cell": _cell}
    text: str = templates.get_template(TEMPLATE).render(
        manifest=manifest,
        imported=read_import(run),
        run=record,
        target=manifest.targets[0],
        pictures=pictures,
        remarks=remarks.strip(),
        parts=parts,
        figures=FIGURES,
        keras=rows.keras_row(run),
        kept=[row for row in made if row.kept],
        left_out=[row for row in made if not row.kept],
        what_passed=words.what_passed(made, manifest.gate),
        about_licence=words.about_licence(manifest.source.licence),
        about_calibration=about_calibration(record.calibration),
        lesions=lesions,
        resampled=words_for_resampled(lesions),
        sources=_sources(rows_of_run),
        points=manifest.variants[0].operating_points,
        preferred=manifest.variants[0].name,
        coreml=any(variant.format == "coreml" for variant in manifest.variants),
        rounded=[one.name for one in manifest.variants if one.name in _ROUNDED],
        litert=version("ai-edge-litert"),
    )
    # Text outside of attributes: quotes need no escape, and people read the source of a card.
    text = text.replace("&#39;", "'").replace("&#34;", '"')
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _sources(rows: Sequence[SplitRow]) -> dict[str, str]:
    """The collection that a part of merged data is from, by split; empty where it is of several."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row.split].add(row.attributes.get(SOURCE_COLUMN, ""))
    merged = len(set().union(*found.values())) > 1
    return {
        split: names.pop() if merged and len(names) == 1 else "" for split, names in found.items()
    }


def _cell(value: Any) -> str:
    """One line that does not end a table's cell; jinja escapes what HTML would read."""
    return " ".join(str(value).split()).replace("|", "/")


def _figure(metric: Metric | None) -> str:
    if metric is None:
        return "-"
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"
