"""What K folds say together: mean, spread and interval of every figure.

The value of a figure is the mean of its values in the folds, each measured with the fold's own
model, thresholds and test images. Answers of different folds are not thrown together before
measuring, since a probability of one model need not mean what it means in another (Forman &
Scholz: Apples-to-apples in cross-validation studies, SIGKDD Explorations 12(1), 2010, 49-57).

The interval comes from the out-of-fold answers of all images: lesions are resampled within each
fold, and the mean over the folds is taken of every resample. It tells how far the figure would
move with other test lesions. How far it moves with other training images is told by the standard
deviation over the folds, which holds both causes.

No t-interval is made of the K values. Any two folds share most of their training images, so the
values are correlated, and their variance divided by K falls short of the variance of the mean; an
estimator without bias does not exist (Bengio & Grandvalet: No unbiased estimator of the variance
of K-fold cross-validation, Journal of Machine Learning Research 5, 2004, 1089-1105).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import OperatingPoint
from train.evaluation.bootstrap import interval, lesion_weights
from train.evaluation.figures import figures
from train.evaluation.weighted import weighted_figures
from train.metrics import Predictions


@dataclass(frozen=True)
class Fold:
    """A trained fold's answers on its test images, and its frozen operating points."""

    predictions: Predictions
    points: Mapping[str, OperatingPoint]


@dataclass(frozen=True)
class Figure:
    """One figure over the folds.

    Attributes:
        value: mean over the folds that have it.
        low, high: 95% interval over lesions.
        sd: standard deviation over the folds (of a sample); None where one fold only has it.
        folds: the value in every fold; None where the fold's images cannot give it.
    """

    value: float
    low: float | None
    high: float | None
    sd: float | None
    folds: tuple[float | None, ...]


def summarize(folds: Sequence[Fold], *, bootstrap: int, seed: int) -> dict[str, Figure]:
    """Every figure that at least one fold can give, in the order of `train.evaluation.figures`.

    Args:
        folds: the answers of every fold.
        bootstrap: number of resamples.
        seed: of the resampling.
    """
    values = [figures(fold.predictions, fold.points) for fold in folds]
    drawn = [_resampled(fold, bootstrap, seed + k) for k, fold in enumerate(folds)]
    richest = max(values, key=len)
    names = [*richest, *sorted({name for found in values for name in found} - set(richest))]
    return {name: _figure(name, values, drawn) for name in names}


def _resampled(fold: Fold, bootstrap: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Every figure of a fold under each resample of its lesions, arrays of shape (bootstrap,)."""
    blocks = [
        weighted_figures(fold.predictions, fold.points, weights)
        for weights in lesion_weights(fold.predictions.groups, bootstrap, seed)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _figure(
    name: str, values: Sequence[Mapping[str, float]],
    drawn: Sequence[Mapping[str, NDArray[np.float64]]],
) -> Figure:  # fmt: skip
    found = [one[name] for one in values if name in one]
    resamples = [block[name] for one, block in zip(values, drawn, strict=True) if name in one]
    metric = interval(name, float(np.mean(found)), [np.mean(resamples, axis=0)])
    return Figure(
        value=metric.value,
        low=metric.low,
        high=metric.high,
        sd=float(np.std(found, ddof=1)) if len(found) > 1 else None,
        folds=tuple(one.get(name) for one in values),
    )
