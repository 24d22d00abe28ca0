"""Figures as people read them, and as machines do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_runtime._strict import to_json
from edge_runtime.manifest import Metric
from train.evaluation.evaluation import Comparison, Evaluation
from train.evaluation.subgroups import Subgroup

DIGITS = 3
_OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "precision", "recall", "auc_macro")
_CALIBRATION = ("ece", "ece_by_chance", "brier")
_OF_CLASS = ("precision", "recall", "f1", "auc")
_TARGETS = ("melanoma", "malignant")
_SPELLING = {"auc": "AUC", "ece": "ECE", "f1": "F1", "brier": "Brier"}

Columns = Mapping[str, Mapping[str, Metric]]
"""Metrics by the heading of their column."""


def shown(metric: Metric | None, digits: int) -> str:
    """``0.912 [0.880, 0.941]``, without the interval where there is none."""
    if metric is None:
        return "-"
    value = _decimal(metric.value, digits)
    if metric.low is None or metric.high is None:
        return value
    return f"{value} [{_decimal(metric.low, digits)}, {_decimal(metric.high, digits)}]"


def _decimal(number: float, digits: int) -> str:
    """A rounded number, without the sign of a zero."""
    text = f"{number:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def evaluation_table(evaluation: Evaluation) -> str:
    """The figures of one model, grouped, with its subgroups and notes."""
    heading = f"{evaluation.subject.title} on {_images(evaluation)}"
    parts = [
        heading,
        *_groups(_columns(evaluation)),
        _classes(evaluation),
        _refused(evaluation),
        *_subgroup_tables(evaluation.subgroups),
        _notes(evaluation.notes),
    ]
    return "\n\n".join(part for part in parts if part)


def comparison_table(comparison: Comparison) -> str:
    """The figures of two models side by side, and their difference."""
    a, b = comparison.a, comparison.b
    heading = f"A: {a.subject.title}, B: {b.subject.title}, on {_images(a)}"
    columns = {"A": a.metrics, "B": b.metrics, "A - B": comparison.difference}
    notes = _notes(list(dict.fromkeys([*a.notes, *b.notes, *comparison.notes])))
    subgroups = [
        f"{name}\n\n{table}"
        for name, found in (("A", a.subgroups), ("B", b.subgroups))
        for table in _subgroup_tables(found)
    ]
    return "\n\n".join(part for part in (heading, *_groups(columns), *subgroups, notes) if part)


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """The object that ``evaluate --json`` prints."""
    subject = evaluation.subject
    return {
        "n": evaluation.n,
        "metrics": to_json(evaluation.metrics),
        "data": evaluation.images.data,
        "split": evaluation.images.split,
        "model": {
            "name": subject.name, "kind": subject.kind, "variant": subject.variant,
            "sha256": subject.sha256,
        },
        "resampled": evaluation.resampled,
        "lesions": len(set(evaluation.predictions.groups.tolist())),
        "labels": [
            {**to_json(label), "images": evaluation.counts[label.code]}
            for label in evaluation.predictions.labels
        ],
        "operating_points": to_json(
            {name: subject.points[name] for name in evaluation.predictions.targets}
        ),
        "subgroups": to_json(evaluation.subgroups),
        "answered": to_json(evaluation.answered),
        "notes": list(evaluation.notes),
    }  # fmt: skip


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The object of the first model, beside it that of the other, and their difference."""
    return {
        **evaluation_json(comparison.a),
        "notes": [*comparison.a.notes, *comparison.notes],
        "against": evaluation_json(comparison.b),
        "difference": to_json(comparison.difference),
    }


def _images(evaluation: Evaluation) -> str:
    lesions = len(set(evaluation.predictions.groups.tolist()))
    counted = f" of {lesions:,} lesions" if evaluation.resampled == "lesions" else ""
    images = evaluation.images
    return (
        f"{images.data}, {images.split}: {evaluation.n:,} images{counted}; "
        f"95% intervals over {evaluation.resampled}"
    )


def _columns(evaluation: Evaluation) -> Columns:
    """All images, and beside them the answered ones where a bundle refuses some."""
    if evaluation.answered is None:
        return {"": evaluation.metrics}
    return {"all images": evaluation.metrics, "answered": evaluation.answered.metrics}


def _refused(evaluation: Evaluation) -> str:
    """How many images the bundle's checks refuse, among the positives too."""
    from tabulate import tabulate

    found = evaluation.answered
    if found is None:
        return ""
    rows = [["answered", f"{found.images:,} images"]]
    rows += [[name, shown(metric, DIGITS)] for name, metric in found.refused.items()]
    rows += [
        [f"refused of {target}", shown(metric, DIGITS)]
        for target, metric in found.refused_of.items()
    ]
    return str(tabulate(rows, ["checks", "share"], "simple", disable_numparse=True))


def _groups(columns: Columns) -> list[str]:
    named = list(dict.fromkeys(name for metrics in columns.values() for name in metrics))
    calibration = [name for name in named if name in _CALIBRATION or name.endswith("_brier")]
    parts = [_table("overall", {name: name for name in _OVERALL if name in named}, columns)]
    for target in _TARGETS:
        rows = {
            name: name.removeprefix(f"{target}_")
            for name in named
            if name.startswith(f"{target}_") and name not in calibration
        }
        parts.append(_table(target, rows, columns))
    order = sorted(calibration, key=lambda name: name.endswith("brier"))
    parts.append(_table("calibration", {name: name for name in order}, columns))
    return [part for part in parts if part]


def _table(title: str, rows: Mapping[str, str], columns: Columns) -> str:
    from tabulate import tabulate

    if not rows:
        return ""
    body = [
        [_words(words), *(shown(metrics.get(name), DIGITS) for metrics in columns.values())]
        for name, words in rows.items()
    ]
    return str(tabulate(body, [title, *columns], "simple", disable_numparse=True))


def _classes(evaluation: Evaluation) -> str:
    from tabulate import tabulate

    metrics = evaluation.metrics
    rows = [
        [code, f"{count:,}", *(shown(metrics.get(f"{kind}_{code}"), 2) for kind in _OF_CLASS)]
        for code, count in evaluation.counts.items()
        if f"recall_{code}" in metrics
    ]
    heads = ["class", "images", *map(_words, _OF_CLASS)]
    return str(tabulate(rows, heads, "simple", disable_numparse=True)) if rows else ""


def _subgroup_tables(found: Sequence[Subgroup]) -> list[str]:
    from tabulate import tabulate

    names = list(dict.fromkeys(name for group in found for name in group.metrics))
    tables = []
    for attribute in dict.fromkeys(group.attribute for group in found):
        rows = [
            [group.value, f"{group.images:,}", f"{group.positives:,}",
             *(shown(group.metrics.get(name), 2) for name in names)]
            for group in found
            if group.attribute == attribute
        ]  # fmt: skip
        heads = [attribute, "images", "positives", *map(_words, names)]
        tables.append(str(tabulate(rows, heads, "simple", disable_numparse=True)))
    return tables


def _notes(notes: Sequence[str]) -> str:
    return "\n".join(f"note: {note}." for note in notes)


def _words(name: str) -> str:
    words = [_SPELLING.get(word, word) for word in name.split("_")]
    if words[-1].isdigit():
        words[-1] = f"{int(words[-1]) / 100:.2f}"
    return " ".join(words)
