"""The figures of every fold as points, in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from train.crossval.summary import Figure
from train.report.style import light, matplotlib_style

ROW_INCHES, WIDTH_INCHES, MARGIN_INCHES = 0.32, 6.4, 1.1
DOTS_PER_INCH = 150


def plot_folds(metrics: Mapping[str, Figure], words: Mapping[str, str], path: Path) -> None:
    """Write a PNG: one row a figure, a point a fold, a bar for the mean and its interval.

    Args:
        metrics: by name.
        words: the names to draw, from the top, and how they are spelled.
        path: of the picture.
    """
    import matplotlib
    from matplotlib.figure import Figure as Picture

    with matplotlib.rc_context({**matplotlib_style(), "figure.facecolor": "white"}):
        height = MARGIN_INCHES + ROW_INCHES * len(words)
        picture = Picture(figsize=(WIDTH_INCHES, height), layout="constrained")
        axes = picture.subplots()
        for row, name in enumerate(words):
            figure = metrics[name]
            values = [value for value in figure.folds if value is not None]
            if figure.low is not None and figure.high is not None:
                axes.plot([figure.low, figure.high], [row, row], color=light("line"), linewidth=7,
                          solid_capstyle="butt", zorder=2)  # fmt: skip
            axes.plot(values, [row] * len(values), "o", color=light("blue"), markersize=5,
                      markerfacecolor="none", zorder=3)  # fmt: skip
            axes.plot([figure.value] * 2, [row - 0.3, row + 0.3], color=light("vermillion"),
                      zorder=4)  # fmt: skip
        axes.set_yticks(range(len(words)), list(words.values()))
        axes.set_ylim(len(words) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_title("Folds, their mean, its 95% interval")
        picture.savefig(path, dpi=DOTS_PER_INCH, facecolor="white")
