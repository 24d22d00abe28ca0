"""Learning curves of several runs in one picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from edge_runtime._files import write_bytes
from edge_runtime.errors import UsageError
from train.report.style import light, matplotlib_style

COLOURS = ("#0072b2", "#d55e00", "#00805c", "#cc79a7", "#8a6d00", "#56b4e9", "#1c2126")
"""Okabe & Ito's, the yellow darkened so that a line of it shows on white."""
MOST_RUNS = len(COLOURS)
FORMATS = ("png", "svg", "pdf")
MEASURES = (("loss", "Loss"), ("accuracy", "Accuracy"), ("auc", "AUC on validation"))
DPI = 150

Row = Mapping[str, float | None]


@dataclass(frozen=True)
class Curves:
    """What one run adds to the picture: its name, its epochs, and the best of them if known."""

    name: str
    history: Sequence[Row]
    best_epoch: int | None = None


def draw(runs: Sequence[Curves], out: Path) -> None:
    """Draw loss, accuracy and validation AUC by epoch, training dotted and validation solid.

    Args:
        runs: those to lay over each other, each with an epoch at least.
        out: file to write, its suffix one of `FORMATS`.

    Raises:
        UsageError: too many runs to tell apart, another suffix, or a run without an epoch.
    """
    without = [run.name for run in runs if not run.history]
    if without:
        raise UsageError(
            f"{without[0]} has no learning curves, as it was trained elsewhere; leave it out."
        )
    kind = out.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UsageError(
            f"{out} ends in {out.suffix or 'nothing'}; expected .{', .'.join(FORMATS)}."
        )
    if len(runs) > MOST_RUNS:
        raise UsageError(
            f"{len(runs)} runs cannot be told apart in one picture; name {MOST_RUNS} or fewer."
        )
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    shown = [measure for measure in MEASURES if any(_has(run, measure[0]) for run in runs)]
    with mpl.rc_context({**matplotlib_style(), "legend.fontsize": 9}):
        figure = Figure(
            figsize=(4.6 * len(shown), 3.6 + 0.2 * len(runs)), layout="constrained",
            facecolor=light("paper"),
        )  # fmt: skip
        for axes, (measure, title) in zip(
            figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True
        ):
            for run, colour in zip(runs, COLOURS, strict=False):
                _curve(axes, run, measure, colour)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            if measure == "loss":
                axes.set_ylim(bottom=0)
        handles = [
            Line2D([], [], color=colour, label=run.name)
            for run, colour in zip(runs, COLOURS, strict=False)
        ]
        muted = light("muted")
        handles += [
            Line2D([], [], color=muted, linestyle=":", label="training"),
            Line2D([], [], color=muted, label="validation"),
            Line2D([], [], color=muted, marker="o", linestyle="none", label="epoch that was kept"),
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=2 if len(runs) > 1 else 4)
        content = BytesIO()
        figure.savefig(content, format=kind, dpi=DPI, facecolor=light("paper"))
    write_bytes(out, content.getvalue())


def _has(run: Curves, measure: str) -> bool:
    return any(row.get(f"val_{measure}") is not None for row in run.history)


def _curve(axes: Any, run: Curves, measure: str, colour: str) -> None:
    for column, style in ((measure, ":"), (f"val_{measure}", "-")):
        points = [(row["epoch"], row.get(column)) for row in run.history]
        points = [(x, y) for x, y in points if y is not None and math.isfinite(y)]
        if not points:
            continue
        across, up = zip(*points, strict=True)
        alone = "." if len(points) == 1 else None  # a line of one point does not show
        axes.plot(across, up, color=colour, linestyle=style, marker=alone, alpha=0.9)
        if style == "-" and run.best_epoch in across:
            kept = up[across.index(run.best_epoch)]
            axes.plot(run.best_epoch, kept, color=colour, marker="o", markersize=5.5)
