"""The tables of a report: figures by group, figures by class, the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge_runtime.manifest import Label, Metric
from train.metrics import Predictions
from train.report import words
from train.run import Run

Columns = Mapping[str, Mapping[str, Metric]]
"""Metrics by split, then by name."""


@dataclass(frozen=True)
class FigureGroup:
    """Figures that belong together: a heading and (name for people, key) of each."""

    heading: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ClassRow:
    """One class: images, and its own figures (None where they were not measured)."""

    label: Label
    images: int
    metrics: tuple[Metric | None, ...]


@dataclass(frozen=True)
class ConfusionRow:
    """Images of one class: how many, and for each answer (count, share of the row)."""

    label: Label
    images: int
    cells: tuple[tuple[int, float], ...]


def figure_groups(columns: Columns, codes: tuple[str, ...]) -> Iterator[FigureGroup]:
    """Every figure besides those of single classes, grouped, in the order in which they come."""
    of_classes = {f"{kind}_{code}" for kind in words.OF_CLASS for code in codes}
    names = list(dict.fromkeys(name for metrics in columns.values() for name in metrics))
    names = [name for name in names if name not in of_classes or name in words.OVERALL]
    groups: dict[str, list[tuple[str, str]]] = {"All classes": []}
    for target in words.TARGETS:
        groups[target.capitalize()] = []
    groups["Calibration"] = []
    for name in names:
        heading, title = words.place_of(name)
        groups[heading].append((title, name))
    yield from (FigureGroup(heading, tuple(rows)) for heading, rows in groups.items() if rows)


def class_rows(run: Run, split: str) -> tuple[ClassRow, ...]:
    """The figures of single classes, as `words.OF_CLASS` orders them; empty without any."""
    metrics = run.metrics[split]
    rows = tuple(
        ClassRow(
            label,
            run.counts[split].get(label.code, 0),
            tuple(metrics.get(f"{kind}_{label.code}") for kind in words.OF_CLASS),
        )
        for label in run.labels
    )
    return rows if any(any(row.metrics) for row in rows) else ()


def confusion(predictions: Predictions) -> tuple[ConfusionRow, ...]:
    """Answers by class: one row a class of the truth, one cell a class of the answer."""
    from sklearn.metrics import confusion_matrix

    answers = predictions.probabilities.argmax(axis=1)
    classes = list(range(len(predictions.labels)))
    counts = confusion_matrix(predictions.truth, answers, labels=classes).tolist()
    return tuple(
        ConfusionRow(label, sum(row), tuple((n, n / max(1, sum(row))) for n in row))
        for label, row in zip(predictions.labels, counts, strict=True)
    )
