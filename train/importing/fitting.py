"""Which normalisation a foreign network was trained with, told by how it behaves.

A network that is fed by another rule than its own still answers, only worse, and no error says so.
So every rule is tried on held-out images. One rule **fits clearly better** than another where

- the log loss of its answers, each rule's at its own best temperature, is lower: the interval of
  the difference, paired and resampled by lesion, lies on its side of zero; and
- its AUC (mean over the classes of one against the rest) is not clearly lower, by the same test.

The temperature is there because networks are overconfident: answers that a wrong rule has blurred
may have the lower log loss as they come. The AUC is there because answers that have collapsed to
the frequent class may have it after all; and it has a value that means "no better than chance".

The same comparison tells whether the classes are listed in the order of the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.calibration import fit_temperature, log_losses
from train.evaluation.bootstrap import lesion_weights
from train.evaluation.weighted import weighted_auc

CONFIDENCE = 0.99
"""Of every interval here: four other rules are tried, and a right one should not be refused."""

RESAMPLES = 1000
CHANCE = 0.5
_SMALLEST = 1e-7

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """The n images that everything is tried on.

    Attributes:
        truth: index of the right class, shape (n,).
        weights: how often each image occurs in each resample of lesions, shape (b, n).
        classes: how many the model knows.
    """

    truth: NDArray[np.int64]
    weights: Floats
    classes: int

    @classmethod
    def of(
        cls, truth: NDArray[np.int64], groups: NDArray[np.str_], classes: int, seed: int
    ) -> Sample:
        """Resample the lesions ``groups``, shape (n,), of images with these right answers."""
        weights = np.concatenate(list(lesion_weights(groups, RESAMPLES, seed)))
        return cls(truth, weights, classes)


@dataclass(frozen=True)
class Fit:
    """How well one way of asking the model fits the images.

    Attributes:
        losses: log loss of each image in nats, at the best temperature, shape (n,).
        areas: mean AUC in each resample, shape (b,).
        loss: mean of the losses.
        auc: mean over the classes of one against the rest, with its interval.
    """

    losses: Floats
    areas: Floats
    loss: float
    auc: float
    auc_low: float
    auc_high: float

    @property
    def better_than_chance(self) -> bool:
        """Whether the whole interval of the AUC is above that of tossing a coin."""
        return self.auc_low > CHANCE

    @property
    def words(self) -> str:
        """The figures, for people."""
        return f"log loss {self.loss:.3f}, AUC {self.auc:.3f}"


def fit(probabilities: Floats, sample: Sample) -> Fit:
    """Measure a model's answers.

    Args:
        probabilities: shape (n, classes); a row with a NaN counts as no answer.
        sample: the images.
    """
    answers = _answers(probabilities, sample)
    logits = _logits(answers)
    losses = log_losses(logits / fit_temperature(logits, sample.truth), sample.truth)
    once = np.ones((1, len(losses)))
    areas = _areas(answers, sample, sample.weights)
    low, high = _interval(areas)
    auc = float(_areas(answers, sample, once)[0])
    return Fit(losses, areas, float(losses.mean()), auc, low, high)


def clearly_better(one: Fit, other: Fit, sample: Sample) -> bool:
    """Whether ``one`` fits the images clearly better than ``other``, as said above."""
    total = sample.weights.sum(axis=1)
    gain_low, _ = _interval(sample.weights @ (other.losses - one.losses) / total)
    _, area_high = _interval(one.areas - other.areas)
    return gain_low > 0 and not area_high < 0


def ranked(fits: Mapping[str, Fit]) -> list[str]:
    """The names of several, the lowest log loss first."""
    return sorted(fits, key=lambda name: fits[name].loss)


def best_order(probabilities: Floats, sample: Sample) -> list[int]:
    """The order of the outputs that gives the lowest log loss, at whatever temperature.

    The temperature divides all logits of an image alike, so that it cannot change which assignment
    of outputs to classes is the best one.

    Args:
        probabilities: shape (n, classes).
        sample: the images.

    Returns:
        for every class, the output that answers for it; 0, 1, 2 and so on where all is well.
    """
    from scipy.optimize import linear_sum_assignment

    logits = _logits(_answers(probabilities, sample))
    found = np.zeros((sample.classes, sample.classes))
    np.add.at(found, sample.truth, logits)
    _, outputs = linear_sum_assignment(found, maximize=True)
    return [int(output) for output in outputs]


def _answers(probabilities: Floats, sample: Sample) -> Floats:
    """Without NaN: a row that has one says nothing."""
    usable = np.isfinite(probabilities).all(axis=1, keepdims=True)
    return np.where(usable, probabilities, 1 / sample.classes)


def _logits(answers: Floats) -> Floats:
    logits: Floats = np.log(np.clip(answers, _SMALLEST, 1.0))
    return logits


def _areas(scores: Floats, sample: Sample, weights: Floats) -> Floats:
    """Mean over the classes that the images show, shape (b,); NaN where none can be told."""
    shown = [i for i in range(sample.classes) if 0 < (sample.truth == i).mean() < 1]
    each = [weighted_auc(scores[:, i], sample.truth == i, weights) for i in shown]
    areas = np.stack(each)
    known = ~np.isnan(areas)
    counts = known.sum(axis=0)
    sums = np.where(known, areas, 0.0).sum(axis=0)
    mean: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return mean


def _interval(drawn: Floats) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return float(low), float(high)
