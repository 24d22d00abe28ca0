"""The plots of a bundle's report, drawn as those of a run's report are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.report.rows import Row, State
from convert.trial import JUDGED_ON, REPORTED_ON
from convert.variants import LayerError
from edge_runtime.manifest import Metric
from train.report.plots import Plot, figure
from train.report.style import SPLIT_COLOURS, light

ROUNDING = 1 / math.sqrt(12)
"""Error of rounding alone, in quantization steps: a uniform error's standard deviation."""

WORST = 20
"""Layers in the plot; the table has them all."""

MARKS: dict[State, tuple[str, str, bool]] = {
    "pass": ("blue", "o", True),
    "cannot judge": ("muted", "D", False),
    "fail": ("vermillion", "X", True),
}
"""Colour and marker of a verdict, and whether it is filled."""

_ROW = 0.36  # inches of height a variant
_MARGINS_SHOWN = 3.0  # a loss beyond so many margins is drawn at the edge, with its value
_SIDE_BY_SIDE = 0.065  # least distance of two variants, as a share of the axis
_LAYER_LETTERS = 34


@dataclass(frozen=True)
class Priced:
    """A figure of one variant, and what it costs on the horizontal axis."""

    name: str
    cost: float
    metric: Metric
    state: State


def losses(rows: Sequence[Row], name: str, title: str, margin: float) -> Plot | None:
    """A forest plot: one loss of every variant, between its bounds, beside the margin.

    Args:
        rows: from the top to the bottom; those without this loss are left out.
        name: of the loss, for example "melanoma_auc".
        title: of the plot.
        margin: the largest loss that passes.
    """
    drawn = [row for row in rows if row.loss(JUDGED_ON, name) is not None]
    if not drawn:
        return None
    low, high = _range(drawn, name, margin)
    with figure(f"loss_{name}", width=4.6, height=1.05 + _ROW * len(drawn)) as (axes, finish):
        axes.axvline(0, color=light("muted"), linewidth=0.8)
        axes.axvline(margin, color=light("warn"), linewidth=1.4, linestyle=(0, (4, 2)))
        axes.text(margin, 1.0, f" margin {margin:g}", transform=axes.get_xaxis_transform(),
                  color=light("warn"), fontsize=8.5, va="bottom", ha="center")  # fmt: skip
        told = []
        for place, row in enumerate(drawn):
            for split, shift in ((JUDGED_ON, -0.14), (REPORTED_ON, 0.16)):
                loss = row.loss(split, name)
                if loss is not None:
                    _interval(axes, loss, place + shift, split, high)
            told.append(f"{row.name} {_bounded(row.loss(JUDGED_ON, name))}")
        axes.set_yticks(range(len(drawn)), [row.name for row in drawn])
        axes.set(xlim=(low, high), ylim=(len(drawn) - 0.5, -0.5))
        axes.locator_params(axis="x", nbins=6)
        axes.grid(False, axis="y")
        axes.set_title(title, pad=16)
        axes.set_xlabel("loss against the Keras model (right is worse)")
        return finish(f"{title} on validation, margin {margin:g}: {'; '.join(told)}.")


def priced(
    points: Sequence[Priced], keras: Metric | None, cost: str, title: str, name: str
) -> Plot | None:
    """A figure with its interval against a cost, on a logarithmic axis.

    Args:
        points: the variants.
        keras: the Keras model's figure; a line and a band.
        cost: label of the horizontal axis.
        title: of the plot.
        name: of the plot, for its own ids.
    """
    if not points:
        return None
    ordered = sorted(points, key=lambda point: point.cost)
    where = apart(np.log10([point.cost for point in ordered]))
    with figure(name, width=4.6, height=3.9) as (axes, finish):
        if keras is not None:
            axes.axhline(keras.value, color=light("muted"), linewidth=1, linestyle=(0, (4, 2)))
            if keras.low is not None and keras.high is not None:
                axes.axhspan(keras.low, keras.high, color=light("muted"), alpha=0.1, linewidth=0)
        for at, point in zip(where, ordered, strict=True):
            colour, marker, filled = MARKS.get(point.state, MARKS["cannot judge"])
            low, high = _ends(point.metric)
            axes.vlines(at, low, high, color=light(colour), linewidth=1.4)
            axes.plot(
                at, point.metric.value, marker=marker, markersize=5.5, linestyle="none",
                markeredgecolor=light(colour),
                markerfacecolor=light(colour if filled else "paper"),
            )  # fmt: skip
            axes.annotate(
                point.name, (at, high), xytext=(0, 5), textcoords="offset points", rotation=90,
                ha="center", va="bottom", fontsize=7.5, color=light("muted"),
            )  # fmt: skip
        shown = [point.metric for point in ordered] + ([keras] if keras is not None else [])
        bottom = min(_ends(metric)[0] for metric in shown)
        top = max(_ends(metric)[1] for metric in shown)
        span = max(top - bottom, 0.02)
        axes.set_ylim(bottom - 0.06 * span, top + 0.75 * span)  # room for the names
        axes.set_yticks([tick for tick in axes.get_yticks() if bottom - span / 10 < tick <= 1])
        axes.set_ylim(bottom - 0.06 * span, top + 0.75 * span)
        edge = 0.08 * max(float(where[-1] - where[0]), 0.3)
        axes.set_xlim(where[0] - edge, where[-1] + edge)
        ticks = _ticks(float(where[0]) - edge, float(where[-1]) + edge)
        axes.set_xticks([math.log10(tick) for tick in ticks], [f"{tick:g}" for tick in ticks])
        axes.set_title(title)
        axes.set_xlabel(cost)
        told = "; ".join(
            f"{point.name} {point.metric.value:.3f} at {point.cost:.3g}" for point in ordered
        )
        return finish(f"{title} against {cost}: {told}.")


def layer_errors(errors: Sequence[LayerError], name: str) -> Plot | None:
    """The layers with the largest errors, beside what rounding alone does.

    Args:
        errors: in any order.
        name: of the variant.
    """
    found = [(_layer(one), one.error) for one in errors if math.isfinite(one.error)]
    title, unit = f"Error of a layer, {name}", "root mean square error, in quantization steps"
    return _bars(found, title, unit, f"layer_errors_{name}", rounding=True)


def layer_effects(errors: Sequence[LayerError], name: str) -> Plot | None:
    """The layers that move the probabilities most; None where that was not measured.

    Args:
        errors: in any order.
        name: of the variant.
    """
    found = [(_layer(one), one.effect) for one in errors if one.effect is not None]
    title, unit = f"Effect on the answer, {name}", "mean divergence of the probabilities, in nats"
    return _bars(found, title, unit, f"layer_effects_{name}")


def _bars(
    found: Sequence[tuple[str, float]], title: str, unit: str, name: str, *, rounding: bool = False
) -> Plot | None:
    """The largest `WORST` figures as bars, from the top."""
    drawn = sorted(found, key=lambda one: -one[1])[:WORST]
    if not drawn:
        return None
    with figure(name, width=4.9, height=1.05 + 0.2 * len(drawn)) as (axes, finish):
        places = np.arange(len(drawn))
        axes.barh(places, [value for _, value in drawn], height=0.68, color=light("blue"))
        if rounding:
            axes.axvline(ROUNDING, color=light("warn"), linewidth=1.4, linestyle=(0, (4, 2)))
            axes.text(
                ROUNDING, 1.0, "rounding alone: 0.29", transform=axes.get_xaxis_transform(),
                color=light("warn"), fontsize=8.5, va="bottom", ha="center",
            )  # fmt: skip
        axes.set_yticks(places, [label for label, _ in drawn], fontsize=7.5)
        axes.set(ylim=(len(drawn) - 0.4, -0.6))
        least = 1.3 * ROUNDING if rounding else 1e-9
        axes.set_xlim(0, 1.08 * max(drawn[0][1], least))
        axes.locator_params(axis="x", nbins=5)
        axes.grid(False, axis="y")
        axes.set_title(title, pad=16)
        axes.set_xlabel(unit)
        told = "; ".join(f"{label} {value:.2g}" for label, value in drawn)
        return finish(f"{title}: {unit}, the largest first: {told}.")


def apart(places: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ascending places on an axis, moved as little as needed for the marks not to cover each other.

    Marks that lie too close are spread evenly around where they are. Shape (n,) in and out.
    """
    wanted = np.asarray(places, np.float64)
    least = _SIDE_BY_SIDE * max(float(wanted[-1] - wanted[0]), 0.3)
    blocks: list[list[int]] = []

    def centre(block: list[int]) -> float:
        return float(wanted[block].mean())

    for index in range(len(wanted)):
        blocks.append([index])
        while len(blocks) > 1:
            left, right = blocks[-2], blocks[-1]
            reach = least * (len(left) + len(right)) / 2
            if centre(right) - centre(left) >= reach:
                break
            blocks[-2:] = [left + right]
    moved = np.empty_like(wanted)
    for block in blocks:
        moved[block] = centre(block) + least * (np.arange(len(block)) - (len(block) - 1) / 2)
    return moved


def _range(rows: Sequence[Row], name: str, margin: float) -> tuple[float, float]:
    known = [row.loss(split, name) for row in rows for split in (JUDGED_ON, REPORTED_ON)]
    found = [loss for loss in known if loss is not None]
    low = min(0.0, *(_ends(loss)[0] for loss in found))
    high = max(margin * 1.25, *(_ends(loss)[1] for loss in found))
    most = _MARGINS_SHOWN * margin
    return max(low, -most) - 0.12 * margin, min(high, most) + 0.12 * margin


def _interval(axes: Any, loss: Metric, place: float, split: str, edge: float) -> None:
    colour = light(SPLIT_COLOURS[split])
    low, high = _ends(loss)
    decides = split == JUDGED_ON
    axes.hlines(place, low, high, color=colour, linewidth=1.8 if decides else 1.1)
    inside = loss.value < edge
    axes.plot(
        loss.value if inside else edge, place, marker=("o" if decides else "s") if inside else ">",
        markersize=5 if decides else 4, color=colour, linestyle="none", clip_on=False,
        markerfacecolor=colour if decides else light("paper"),
    )  # fmt: skip
    if not inside:
        axes.annotate(
            f"{loss.value:.3f}", (edge, place), xytext=(-7, 0), textcoords="offset points",
            ha="right", va="center", fontsize=8, color=colour,
        )  # fmt: skip


def _ends(metric: Metric) -> tuple[float, float]:
    if metric.low is None or metric.high is None:
        return metric.value, metric.value
    return metric.low, metric.high


def _bounded(metric: Metric | None) -> str:
    if metric is None:
        return "not measured"
    low, high = _ends(metric)
    return f"{metric.value:.4f} ({low:.4f} to {high:.4f})"


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten, the more of each decade the shorter the axis."""
    steps: tuple[float, ...] = (1, 2, 5)
    if high - low < 0.7:
        steps = (1, 1.5, 2, 3, 4, 5, 6, 8)
    elif high - low > 2.2:
        steps = (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    every = (step * 10.0**power for power in powers for step in steps)
    found = [round(value, 9) for value in every if low <= math.log10(value) <= high]
    if len(found) < 2:
        found = sorted({float(f"{10**place:.2g}") for place in np.linspace(low, high, 4)[1:3]})
    return found


def _layer(error: LayerError) -> str:
    """What fits beside a bar: the first Keras layer, the operator; the table has all."""
    layers, _, operator = error.layer.partition(" (")
    name = layers.split(" + ")[0]
    if operator and len(name) + len(operator) + 2 <= _LAYER_LETTERS:
        return f"{name} ({operator}"
    return name if len(name) <= _LAYER_LETTERS else f"{name[: _LAYER_LETTERS - 1]}…"
