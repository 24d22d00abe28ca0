"""The plots of a report, as inline SVG that holds no address and follows the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from edge_runtime.manifest import Metric, OperatingPoint
from train.evaluation.reliability import BINS
from train.evaluation.shares import wilson
from train.metrics import Predictions
from train.report.style import (
    PALETTE,
    SPLIT_COLOURS,
    SPLIT_LINES,
    SPLIT_WORDS,
    light,
    matplotlib_style,
)

WIDTH, HEIGHT = 4.4, 3.3  # inches: 9 point letters stay legible on a phone


@dataclass(frozen=True)
class Plot:
    """An SVG element and what it shows, in words."""

    svg: Markup
    alt: str


@dataclass(frozen=True)
class Bin:
    """One bin of the reliability diagram: mean probability, share that is true, its 95% interval.

    The interval is Wilson's (Journal of the American Statistical Association 22, 1927).
    """

    predicted: float
    observed: float
    low: float
    high: float
    images: int


def learning_curves(history: Sequence[Mapping[str, float]], best_epoch: int) -> tuple[Plot, Plot]:
    """Training and validation loss, and training and validation accuracy, by epoch."""
    epochs = [row["epoch"] for row in history]

    def curve(measure: str) -> Plot:
        with figure(f"curve_{measure}") as (axes, finish):
            for split, column in (("train", measure), ("val", f"val_{measure}")):
                values = [row[column] for row in history]
                axes.plot(
                    epochs, values, color=light(SPLIT_COLOURS[split]), marker="o", markersize=3,
                    linestyle=SPLIT_LINES[split], label=SPLIT_WORDS[split],
                )  # fmt: skip
            axes.axvline(best_epoch, color=light("muted"), linewidth=1)
            axes.annotate(
                f"best epoch: {best_epoch}", (best_epoch, 1), xycoords=("data", "axes fraction"),
                xytext=(-4 if best_epoch > np.mean(epochs) else 4, -2),
                textcoords="offset points", va="top", fontsize=8.5, color=light("muted"),
                ha="right" if best_epoch > np.mean(epochs) else "left",
            )  # fmt: skip
            axes.set_title(measure.capitalize())
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            if measure == "accuracy":
                axes.set_ylim(0, 1.02)
            else:
                axes.set_ylim(bottom=0)
            axes.legend(loc="lower center" if measure == "accuracy" else "lower left")
            best = history[best_epoch - 1]
            return finish(
                f"{measure.capitalize()} by epoch. At the best epoch, {best_epoch}: training "
                f"{best[measure]:.3f}, validation {best[f'val_{measure}']:.3f}; in the last "
                f"epoch, {len(history)}: training {history[-1][measure]:.3f}, validation "
                f"{history[-1][f'val_{measure}']:.3f}."
            )

    return curve("loss"), curve("accuracy")


def roc_curves(splits: Mapping[str, Predictions], target: str, point: OperatingPoint) -> Plot:
    """Receiver operating characteristic of one target, with the frozen operating point."""
    from sklearn.metrics import roc_auc_score, roc_curve

    with figure(f"roc_{target}", square=True) as (axes, finish):
        told = []
        axes.plot([0, 1], [0, 1], color=light("line"), linewidth=1)
        for split, scores, positive in _scored(splits, target):
            across, up, _ = roc_curve(positive, scores, drop_intermediate=True)
            area = roc_auc_score(positive, scores)
            called = scores >= point.threshold
            _draw(axes, split, across, up, f"AUC {area:.3f}")
            _mark(axes, split, (called[~positive].mean(), called[positive].mean()))
            told.append(
                f"{SPLIT_WORDS[split]}: area {area:.3f}, operating point at sensitivity "
                f"{called[positive].mean():.3f} and specificity {1 - called[~positive].mean():.3f}"
            )
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.set_xlabel("false alarms (1 - specificity)")
        axes.set_title(f"ROC, {target}: sensitivity")
        axes.legend(loc="lower right")
        return finish(f"ROC curves for {target}. {'; '.join(told)}.")


def precision_recall_curves(
    splits: Mapping[str, Predictions], target: str, point: OperatingPoint
) -> Plot:
    """Precision against recall of one target; the level of chance is the share of positives."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    with figure(f"pr_{target}", square=True) as (axes, finish):
        told = []
        for split, scores, positive in _scored(splits, target):
            up, across, _ = precision_recall_curve(positive, scores, drop_intermediate=True)
            area = average_precision_score(positive, scores)
            called = scores >= point.threshold
            _draw(axes, split, across, up, f"AP {area:.3f}")
            axes.axhline(
                positive.mean(), color=light(SPLIT_COLOURS[split]), linewidth=0.8,
                linestyle=SPLIT_LINES[split], alpha=0.5,
            )  # fmt: skip
            precision = positive[called].mean() if called.any() else 1.0
            _mark(axes, split, (called[positive].mean(), precision))
            told.append(
                f"{SPLIT_WORDS[split]}: average precision {area:.3f} where chance gives "
                f"{positive.mean():.3f}, precision {precision:.3f} at the operating point"
            )
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.set_xlabel("recall (sensitivity)")
        axes.set_title(f"Precision-recall, {target}: precision")
        axes.legend(loc="best")  # a rare class leaves room elsewhere than a common one
        return finish(f"Precision-recall curves for {target}. {'; '.join(told)}.")


def reliability_bins(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Images in the order of the probability, cut into `BINS` bins of as equal size as can be.

    Where the cut falls among images of one probability, both bins have the share of them that is
    true, so that the order of the images does not matter.

    Args:
        scores: probabilities, shape (n,).
        positive: what is true, shape (n,).
    """
    _, level = np.unique(scores, return_inverse=True)
    true = (np.bincount(level, positive) / np.bincount(level))[level]
    bins = []
    for chosen in np.array_split(np.argsort(scores), BINS):
        if len(chosen):
            share, mean = float(true[chosen].mean()), float(scores[chosen].mean())
            bins.append(Bin(mean, share, *wilson(share, len(chosen)), len(chosen)))
    return tuple(bins)


def reliability(bins: Sequence[Bin], scores: NDArray[np.float64], target: str) -> Plot:
    """Share that is true against the probability that was answered; below, where images lie."""
    name = f"reliability_{target}"
    with figure(name, rows=(4, 1), height=HEIGHT * 1.25) as ((axes, below), finish):
        axes.plot([0, 1], [0, 1], color=light("muted"), linewidth=1, linestyle=":")
        predicted = [b.predicted for b in bins]
        axes.vlines(predicted, [b.low for b in bins], [b.high for b in bins],
                    color=light("blue"), linewidth=1.2, alpha=0.6)  # fmt: skip
        axes.plot(predicted, [b.observed for b in bins], color=light("blue"), marker="o",
                  markersize=4, linewidth=1.2)  # fmt: skip
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.set_title(f"Share that is {target}")
        axes.tick_params(labelbottom=False)
        below.hist(scores, bins=np.linspace(0, 1, 31), color=light("muted"))
        below.set_ylabel("images")
        below.set_yscale("log")
        below.set_ylim(bottom=0.6)  # so that a bar of one image shows
        below.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        below.yaxis.minorticks_off()
        below.set_xlabel(f"probability of {target} that the model answers")
        below.set_xlim(-0.01, 1.01)
        pairs = ", ".join(f"{b.predicted:.2f}: {b.observed:.2f}" for b in bins)
        return finish(
            f"Reliability diagram for {target}; mean probability and share that is true in each of "
            f"{len(bins)} bins: {pairs}."
        )


def robustness_curve(
    title: str, severities: Sequence[int], figures: Mapping[str, Sequence[Metric | None]]
) -> Plot:
    """Figures by severity under one corruption; severity 0 is the images as they are.

    Args:
        title: of the corruption.
        severities: m of them, from 0.
        figures: three or fewer sequences of m metrics by their name.
    """
    with figure(f"robustness_{title}", width=2.9, height=2.1) as (axes, finish):
        told = []
        for (name, metrics), (colour, marker) in zip(
            figures.items(), ROBUSTNESS_MARKS, strict=False
        ):
            values = [metric.value if metric else np.nan for metric in metrics]
            axes.plot(severities, values, color=light(colour), marker=marker, markersize=3.5,
                      linewidth=1.4, label=name)  # fmt: skip
            told.append(f"{name} from {values[0]:.2f} to {values[-1]:.2f}")
        axes.set(ylim=(-0.03, 1.03), xticks=list(severities), yticks=[0, 0.25, 0.5, 0.75, 1])
        axes.set_title(title)
        return finish(f"{title}, severity 0 to {severities[-1]}: {'; '.join(told)}.")


ROBUSTNESS_MARKS = (("blue", "o"), ("vermillion", "^"), ("green", "s"))
"""Colour and marker of the first, second and third figure that a robustness curve shows."""


def _scored(
    splits: Mapping[str, Predictions], target: str
) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.bool_]]]:
    """The splits that hold both answers to the question."""
    for split, predictions in splits.items():
        scores, positive = predictions.scores(target), predictions.positive(target)
        if positive.any() and not positive.all():
            yield split, scores, positive


def _draw(axes: Any, split: str, x: Any, y: Any, figure: str) -> None:
    axes.plot(
        x, y, color=light(SPLIT_COLOURS[split]), linestyle=SPLIT_LINES[split],
        label=f"{SPLIT_WORDS[split]}, {figure}",
    )  # fmt: skip


def _mark(axes: Any, split: str, at: tuple[float, float]) -> None:
    """The operating point: a ring that stays visible on the curve."""
    axes.plot(
        *at, marker="o", markersize=8, markerfacecolor=light("paper"), markeredgewidth=2,
        markeredgecolor=light(SPLIT_COLOURS[split]), linestyle="none", zorder=5,
    )  # fmt: skip


@contextmanager
def figure(
    name: str, *, width: float = WIDTH, height: float = HEIGHT, square: bool = False,
    rows: Sequence[float] = (),
) -> Iterator[tuple[Any, Callable[[str], Plot]]]:  # fmt: skip
    """Axes (one a row) and the function that makes the plot of them, given its words.

    `Figure` instead of pyplot: no global state, no screen, safe in any thread.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(matplotlib_style()):
        figure = Figure(figsize=(width, width if square else height), layout="constrained")
        if rows:
            axes: Any = figure.subplots(len(rows), 1, height_ratios=list(rows), sharex=True)
        else:
            axes = figure.add_subplot()
        yield axes, lambda alt: Plot(_inline(figure, name), alt)


def _inline(figure: Any, name: str) -> Markup:
    """The figure as an `svg` element: own ids, no addresses, colours as CSS variables."""
    content = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(content, format="svg", metadata=nothing)
    svg = content.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s+xmlns(:\w+)?=\"[^\"]*\"", "", svg)
    prefix = re.sub(r"\W", "_", name)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    for variable, colour in PALETTE.items():
        svg = svg.replace(colour.light, f"var(--{variable})")
    return Markup(svg)
