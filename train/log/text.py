"""The experiment log as people read it, and as machines do."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from edge_runtime._strict import to_json
from edge_runtime.manifest import Metric
from train.config import IMPORTED
from train.evaluation.table import shown
from train.log.comparing import DataDifference, RunComparison
from train.log.entries import Entry
from train.report.style import SPLIT_WORDS
from train.report.tables import figure_groups

DIGITS = 3


def listing(found: Sequence[Entry], *, test: bool = False) -> str:
    """The table, and beneath it why runs did not finish.

    Args:
        found: its rows.
        test: also show the area under the ROC curve on test.
    """
    splits = ("val", "test") if test else ("val",)
    heads = ["run", "began", "data", "architecture", "px", "epochs",
             *(f"{SPLIT_WORDS[split]} AUC" for split in splits), "status"]  # fmt: skip
    rows = [
        [
            entry.name,
            _local(entry.created),
            entry.data,
            _architecture(entry),
            entry.config.get("input_size", ""),
            _epochs(entry),
            *(_auc(entry, split) for split in splits),
            entry.status,
        ]
        for entry in found
    ]
    reasons = [f"{entry.name}: {entry.status}, {entry.reason}" for entry in found if entry.reason]
    table = str(tabulate(rows, heads, "simple", disable_numparse=True))
    return "\n\n".join([table, "\n".join(reasons)] if reasons else [table])


def listing_json(found: Sequence[Entry], *, test: bool = False) -> list[dict[str, Any]]:
    """One object a run; figures on test only where they are asked for."""
    return [
        {
            "name": entry.name,
            "folder": str(entry.folder),
            "status": entry.status,
            "reason": entry.reason,
            "created": entry.created,
            "attempts": entry.attempts,
            "data": entry.data,
            "epochs": len(entry.history) or None,
            "best_epoch": entry.best_epoch,
            "config": dict(entry.config),
            "metrics": {
                split: to_json(metrics)
                for split, metrics in entry.metrics.items()
                if test or split != "test"
            },
        }
        for entry in found
    ]


def comparison(compared: RunComparison) -> str:
    """What differs between two runs, and their figures side by side."""
    a, b = compared.runs
    split = SPLIT_WORDS[compared.split]
    parts = [f"A: {a.folder}\nB: {b.folder}", _settings(compared), _data(compared.data)]
    columns = {"A": compared.metrics[0], "B": compared.metrics[1]}
    if compared.difference is not None:
        columns["A - B"] = compared.difference
    parts += _figures(columns, a.run.codes, split)
    parts.append("\n".join(f"note: {note}." for note in notes(compared)))
    return "\n\n".join(parts)


def notes(compared: RunComparison) -> Iterator[str]:
    """What a reader of the figures has to know."""
    if compared.difference is None:
        yield (
            f"there is no paired difference, as {compared.why_unpaired}; part of what sets the "
            "figures apart may be the images"
        )
    else:
        yield (
            "A - B is paired: both runs are measured on the same resamples of lesions, and a "
            "difference is told from chance where its 95% interval excludes zero"
        )
    if compared.split == "test":
        yield (
            "a run that is chosen by these figures needs other test images to be reported on, as "
            "the best of several is partly the luckiest"
        )
    else:
        yield (
            "the epoch, the temperature and the thresholds were chosen on these images, so the "
            "figures flatter both runs a little"
        )


def comparison_json(compared: RunComparison) -> dict[str, Any]:
    """The same as one object."""
    a, b = compared.runs
    return {
        "a": str(a.folder),
        "b": str(b.folder),
        "settings": {name: list(pair) for name, pair in compared.settings.items()},
        "data": {**to_json(compared.data), "same": compared.data.same},
        "split": compared.split,
        "metrics": [to_json(metrics) for metrics in compared.metrics],
        "difference": None if compared.difference is None else to_json(compared.difference),
        "notes": list(notes(compared)),
    }


def _settings(compared: RunComparison) -> str:
    if not compared.settings:
        return "Both runs have the same settings."
    rows = [[name, *map(_value, pair)] for name, pair in compared.settings.items()]
    return str(tabulate(rows, ["setting", "A", "B"], "simple", disable_numparse=True))


def _value(value: object) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _data(data: DataDifference) -> str:
    if data.same:
        return f"Both runs have the same {data.images[0]:,} images in the same parts."
    rows = [
        ["name", *data.names],
        ["digest", *(digest[:12] for digest in data.digests)],
        ["images", *(f"{count:,}" for count in data.images)],
        ["images that the other has not", *(f"{count:,}" for count in data.only)],
        ["in both, under two labels", f"{data.relabelled:,}", ""],
        ["in both, in two parts", f"{data.moved:,}", ""],
    ]
    return str(tabulate(rows, ["data", "A", "B"], "simple", disable_numparse=True))


def _figures(
    columns: Mapping[str, Mapping[str, Metric]], codes: tuple[str, ...], split: str
) -> Iterator[str]:
    for group in figure_groups(columns, codes):
        rows = [
            [title, *(shown(metrics.get(name), DIGITS) for metrics in columns.values())]
            for title, name in group.rows
        ]
        heads = [f"{group.heading}, {split}", *columns]
        yield str(tabulate(rows, heads, "simple", disable_numparse=True))


def _local(created: str) -> str:
    try:
        return datetime.datetime.fromisoformat(created).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return ""


def _architecture(entry: Entry) -> str:
    width = entry.config.get("width", 1.0)
    return str(entry.config.get("arch", "")) + ("" if width == 1.0 else f" x{width:g}")


def _epochs(entry: Entry) -> str:
    if entry.config.get("arch") == IMPORTED:
        return ""
    asked = entry.config.get("epochs", "")
    if entry.best_epoch is not None:
        return f"{asked}, best {entry.best_epoch}"
    return f"{len(entry.history)} of {asked}"


def _auc(entry: Entry, split: str) -> str:
    found = entry.auc(split)
    return f"{shown(found[1], DIGITS)} {found[0]}" if found else ""
