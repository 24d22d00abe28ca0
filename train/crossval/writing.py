"""A cross-validation as people read it, and as machines do."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from edge_runtime._files import write_bytes, write_text
from edge_runtime._strict import to_json
from edge_runtime.manifest import Metric
from train.crossval.plot import plot_folds
from train.crossval.summary import Figure
from train.crossval.validation import CrossValidation
from train.evaluation.certainty import certainty_notes, resampling_notes
from train.evaluation.table import shown

SCHEMA_VERSION = 1
RESULT_FILE, PREDICTIONS_FILE, PLOT_FILE = "crossval.json", "predictions.csv", "folds.png"

INTERVAL_NOTE = (
    "The interval resamples lesions within the folds; the standard deviation over the folds also "
    "holds what other training images change. They are no t-interval, since folds share training "
    "images (docs/scale.md)."
)
_DIGITS = 3
_OF_CLASS = ("precision", "recall", "f1", "auc")
_SPELLING = {"auc": "AUC", "ece": "ECE", "f1": "F1", "brier": "Brier"}


def write_results(result: CrossValidation, out: Path) -> None:
    """`crossval.json`, `predictions.csv` and `folds.png`, into the folder of the folds."""
    write_text(out / RESULT_FILE, json.dumps(result_json(result), indent=1) + "\n")
    write_text(out / PREDICTIONS_FILE, _predictions(result))
    drawn = {name: _words(name) for name in _general(result) if not _aside(name)}
    beside = out / f".{PLOT_FILE}"
    plot_folds(result.metrics, drawn, beside)
    write_bytes(out / PLOT_FILE, beside.read_bytes())
    beside.unlink()


def result_json(result: CrossValidation) -> dict[str, Any]:
    """The object of `crossval.json`, which ``--json`` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "data": result.data,
        "images": result.images,
        "lesions": result.lesions,
        "left_out": result.left_out,
        "folds": [
            {
                "run": run.folder.name,
                "images": len(fold.predictions.truth),
                "best_epoch": run.run.best_epoch,
            }
            for run, fold in zip(result.runs, result.answers, strict=True)
        ],
        "metrics": to_json(result.metrics),
        "config": to_json(result.config),
        "notes": [INTERVAL_NOTE, *_notes(result)],
    }


def result_table(result: CrossValidation) -> str:
    """The figures as text."""
    from tabulate import tabulate

    rows = [_row(_words(name), result.metrics[name]) for name in _general(result)]
    heads = ["", "mean [95% interval]", "sd", "lowest", "highest"]
    parts = [
        f"{len(result.runs)} folds of {result.data}: {result.images:,} images"
        + (f" of {result.lesions:,} lesions" if result.lesions_known else ""),
        str(tabulate(rows, heads, "simple", disable_numparse=True)),
        _classes(result),
        "\n".join([INTERVAL_NOTE, *_notes(result)]),
    ]
    return "\n\n".join(part for part in parts if part)


def _row(words: str, figure: Figure) -> list[str]:
    values = [value for value in figure.folds if value is not None]
    sd = "-" if figure.sd is None else f"{figure.sd:.{_DIGITS}f}"
    ends = [f"{value:.{_DIGITS}f}" for value in (min(values), max(values))]
    return [words, shown(Metric(figure.value, figure.low, figure.high), _DIGITS), sd, *ends]


def _classes(result: CrossValidation) -> str:
    from tabulate import tabulate

    def cell(figure: Figure | None) -> str:
        if figure is None:
            return "-"
        return f"{figure.value:.2f}" + ("" if figure.sd is None else f" ({figure.sd:.2f})")

    rows = [
        [code, *(cell(result.metrics.get(f"{kind}_{code}")) for kind in _OF_CLASS)]
        for code in result.runs[0].run.codes
    ]
    heads = ["class: mean (sd)", *map(_words, _OF_CLASS)]
    return str(tabulate(rows, heads, "simple", disable_numparse=True))


def _general(result: CrossValidation) -> list[str]:
    """Names of the figures that are not of one class."""
    codes = result.runs[0].run.codes
    of_class = {f"{kind}_{code}" for kind in _OF_CLASS for code in codes}
    return [name for name in result.metrics if name not in of_class]


def _aside(name: str) -> bool:
    """Whether a figure is left to the table: of another scale, or one of a series."""
    return name.endswith("brier") or "_at_sensitivity_" in name


def _notes(result: CrossValidation) -> list[str]:
    notes = []
    if result.left_out:
        notes.append(
            f"{result.left_out:,} images of the data's own test part were used in no fold."
        )
    partial = {
        name: sum(value is not None for value in figure.folds)
        for name, figure in result.metrics.items()
        if None in figure.folds
    }
    notes += [
        f"{_words(name)} is the mean of {count} folds, as the others lack the images for it."
        for name, count in partial.items()
    ]
    metrics = {
        name: Metric(figure.value, figure.low, figure.high)
        for name, figure in result.metrics.items()
    }
    said = [
        *resampling_notes(result.lesions_known, result.images),
        *certainty_notes(metrics, [fold.predictions for fold in result.answers]),
    ]
    return [*notes, *(f"{note}." for note in said)]


def _predictions(result: CrossValidation) -> str:
    """Every image's out-of-fold answer: the model of its fold has not seen it."""
    codes = result.runs[0].run.codes
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image_id", "lesion_id", "label", "fold", *(f"p_{code}" for code in codes)))
    for number, (run, fold) in enumerate(zip(result.runs, result.answers, strict=True), start=1):
        rows = [row for row in run.rows() if row.split == "test"]
        for row, answer in zip(rows, fold.predictions.probabilities, strict=True):
            writer.writerow((row.image_id, row.lesion_id, row.label, number, *map(str, answer)))
    return text.getvalue()


def _words(name: str) -> str:
    return " ".join(_SPELLING.get(part, part) for part in name.split("_"))
