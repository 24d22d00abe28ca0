"""The plots of `docs/quality.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.checks.damage import DAMAGES
from edge_runtime.checks import Checks
from edge_runtime.quality import READINGS, Figures, Flaw

_ALARMS = np.linspace(0, 1, 26) ** 2
"""Shares of good images refused at which an ROC curve is drawn: close together where it matters."""
_MOST_SHOWN = 0.15
"""Of test images refused: to where the curve of refusals is drawn."""


def values_of(found: Sequence[Figures], flaw: Flaw) -> NDArray[np.float64]:
    """A flaw's figure, turned so that high is bad."""
    reading = READINGS[flaw]
    values = np.array([getattr(one, reading.figure) for one in found])
    return values if reading.high else -values


def share_over(values: NDArray[np.float64], flaw: Flaw, threshold: float) -> float:
    """The share of `values_of` that lies beyond a limit."""
    limit = threshold if READINGS[flaw].high else -threshold
    return float((values > limit).mean())


def plot_quality(
    path: Path, checks: Checks, good: Sequence[Figures],
    curves: Mapping[Flaw, Sequence[Sequence[Figures]]],
) -> None:  # fmt: skip
    """ROC curves of every flaw's figure, one for each severity.

    Args:
        path: of the SVG.
        checks: whose limits are marked.
        good, curves: figures of good images, and of the same damaged, by flaw and severity.
    """
    from sklearn.metrics import roc_curve

    figure, axes = _subplots(2, 4, figsize=(13, 6.4), sharex=True, sharey=True)
    for axis, (flaw, damage) in zip(axes.flat, DAMAGES.items(), strict=False):
        fine = values_of(good, flaw)
        for severity in range(5 if flaw == "absent" else 1, 6):
            spoilt = values_of(curves[flaw][severity - 1], flaw)
            truth = np.r_[np.zeros(len(fine)), np.ones(len(spoilt))]
            alarms, found, _ = roc_curve(truth, np.r_[fine, spoilt])
            axis.plot(
                _ALARMS, np.interp(_ALARMS, alarms, found),
                label=f"{damage.values[severity - 1]:g}",
            )  # fmt: skip
        limit = checks.limits[flaw]
        spoilt = values_of(curves[flaw][damage.fitted - 1], flaw)
        dot = [share_over(values, flaw, limit.threshold) for values in (fine, spoilt)]
        axis.plot(*dot, "ko", ms=5)
        axis.set(title=damage.title, xlim=(-0.02, 1), ylim=(0, 1.02))
        axis.legend(title=damage.parameter, fontsize=7, title_fontsize=7, loc="lower right")
    axes.flat[-1].axis("off")
    figure.supxlabel("share of good test images refused")
    figure.supylabel("share of damaged ones found (dot: limit, at its severity)")
    _save(figure, path)


def plot_refusal(
    path: Path, known: NDArray[np.float64], away: NDArray[np.float64], seen: NDArray[np.bool_],
    threshold: float,
) -> None:  # fmt: skip
    """What is found of other photographs, against what is refused of test images.

    Args:
        path: of the SVG.
        known: distances of test images.
        away, seen: distances of whole photographs of anything else, and which are of seen sources.
        threshold: of the bundle; it is marked.
    """
    figure, axis = _subplots(1, 1, figsize=(6.4, 4.2))
    limits = np.quantile(known, np.linspace(1, 1 - _MOST_SHOWN, 61))

    def found(chosen: NDArray[np.bool_], limit: float) -> float:
        return float((away[chosen] > limit).mean())

    refused = [float((known > limit).mean()) for limit in limits]
    for name, chosen in (("seen sources", seen), ("unseen sources", ~seen)):
        count = int(chosen.sum())
        if count:
            line = axis.step(
                refused, [found(chosen, limit) for limit in limits], where="post",
                label=f"{name}, {count} photographs",
            )[0]  # fmt: skip
            axis.plot(
                float((known > threshold).mean()), found(chosen, threshold), "o",
                color=line.get_color(),
            )  # fmt: skip
    axis.axvline(0.05, color="grey", lw=0.8, ls=":")
    axis.axhline(0.95, color="grey", lw=0.8, ls=":")
    axis.set(
        xlim=(0, _MOST_SHOWN), ylim=(0.5, 1.01), xlabel="share of test images called unfamiliar",
        ylabel="share of other photographs called unfamiliar",
    )  # fmt: skip
    axis.legend(loc="lower right", title="dots: threshold of the bundle")
    _save(figure, path)


def _subplots(*shape: int, **kind: Any) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    # The same page twice is the same file, and text stays text.
    mpl.rcParams.update({"svg.hashsalt": "dermedge", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt

    return plt.subplots(*shape, **kind)


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot as plt

    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
