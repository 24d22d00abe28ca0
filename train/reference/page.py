"""`docs/model-search.md`: every recipe that was tried, and what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate

from edge_runtime.manifest import Metric
from train.evaluation.table import DIGITS, shown
from train.reference.recipes import FIGURES, Found, Try

_LOST = (
    "Those that have no row above were tried on other machines before rows were kept "
    "(`docs/model-search.json`); figures in words are what the same commands printed there."
)


def page(listed: Iterable[Try], found: Mapping[str, Found]) -> str:
    """The page, in Markdown.

    Args:
        listed: the recipes, in the order in which they were tried; those that were not yet are left
            out.
        found: what came of each, by its name; one whose figures are no longer there is told of in
            its answer alone.
    """
    tried = [one for one in listed if one.name in found or one.answer]
    rows = [_row(one, found[one.name]) for one in tried if one.name in found]
    told = [f"- `{one.name}`: {one.answer}" for one in tried if one.answer]
    lost = () if len(rows) == len(tried) else (_LOST,)
    heads = (
        "try", "question", "melanoma AUC", "melanoma AUC, mean of the resolutions",
        "balanced accuracy", "macro-F1",
        "melanoma AUC on ISIC 2017, not trained on", "best epoch", "minutes",
    )  # fmt: skip
    return "\n\n".join((
        "# The search for the reference model",
        "Written by `make model-search`; do not edit. Figures are of the Keras models on "
        "HAM10000's published validation part, with 95% intervals by lesion, and on ISIC 2017's "
        "training images where those were left out. A run evaluates its test part once, too; no "
        "choice rests on what it found there. Minutes are of training, on a busy machine of two "
        "cores.",
        str(tabulate(rows, heads, "github", disable_numparse=True)),
        *(("## What they told", *lost, "\n".join(told)) if told else ()),
        "## Commands",
        "The tables are made by `train/reference/data.py`; paths are those where "
        "`make model-search` puts them.",
        "\n".join(_command(one) for one in tried),
    )) + "\n"  # fmt: skip


def _row(one: Try, found: Found) -> tuple[str, ...]:
    foreign = _text(None if found.foreign is None else found.foreign["melanoma_auc"])
    return (
        f"`{one.name}`", one.question, *(_text(found.own.get(name)) for name in FIGURES), foreign,
        f"{found.best_epoch} of {found.epochs}", f"{found.minutes:.0f}",
    )  # fmt: skip


def _text(metric: Mapping[str, Any] | None) -> str:
    return "" if metric is None else shown(Metric(**metric), DIGITS)


def _command(one: Try) -> str:
    folder = Path("out/reference")
    words = one.command(folder / one.data / "table.csv", folder / "search" / one.name)
    return f"- `{one.name}`: `{shlex.join(['dermedge', *words])}`"
