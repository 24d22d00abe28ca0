"""Calibration: what makes probabilities mean what they say, fitted on validation images.

- Temperature scaling: the logits are divided by one number (Guo et al., On Calibration of Modern
  Neural Networks, ICML 2017, section 4.2). The order of the classes never changes.
- Bias-corrected temperature scaling: besides, a number is added for each class (Alexandari et al.,
  Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label Shift Adaptation, ICML
  2020). This undoes what logit adjustment, class weights or balanced sampling do to probabilities,
  and with it what they do for rare classes: between two classes the more frequent one wins more
  often.

Either is kept only where it lowers the log loss with confidence on lesions that it was not fitted
to, and then folded into the last layer, so that whatever runs the file, ours or not, gets
calibrated probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import TrainingError
from train.config import CalibrationKind
from train.metrics import CONFIDENCE, Predictions

COLDEST, HOTTEST = 0.05, 20.0
_SMALLEST = 1e-7  # probabilities below it are taken for it, as a float32 softmax cannot tell
_BIAS_DEVIATION = 1.0
"""Standard deviation of the Gaussian prior of a bias, in nats: a dozen images of a class do not say
much, and none say nothing."""


@dataclass(frozen=True)
class Calibration:
    """What was found on validation, and what was done.

    Attributes:
        temperature: the fitted one; above 1 the model was overconfident.
        kept: whether it is folded into the model.
        loss_before, loss_after: log loss on validation in nats, without and with it.
        gain_low, gain_high: 95% interval of what it gains on lesions that it was not fitted to,
            resampled by lesion.
        reason: in words.
        biases: what is added to the logits of each class after the division, in the order of the
            labels; empty where only a temperature was fitted.
    """

    temperature: float
    kept: bool
    loss_before: float
    loss_after: float
    gain_low: float
    gain_high: float
    reason: str
    biases: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Scaling:
    temperature: float
    biases: NDArray[np.float64]

    def __call__(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = logits / self.temperature
        return scaled + self.biases if len(self.biases) else scaled


_Fit = Callable[[NDArray[np.float64], NDArray[np.int64]], _Scaling]


def calibrate(
    predictions: Predictions, *, kind: CalibrationKind, bootstrap: int, seed: int
) -> Calibration:
    """Fit a scaling of the logits and decide whether it is worth keeping.

    It is fitted anew in every resample and scored on the images that the resample has left out, so
    that its gain is not the gain on the very images it was fitted to.

    Args:
        predictions: the uncalibrated model's answers on validation.
        kind: a temperature alone, or a bias for each class too.
        bootstrap: number of resamples of lesions; at most 200 are used.
        seed: of the resampling.
    """
    logits = np.log(np.clip(predictions.probabilities.astype(np.float64), _SMALLEST, 1.0))
    truth = predictions.truth
    fit = _biased if kind == "bias-corrected" else _by_temperature
    scaling = fit(logits, truth)
    before, after = log_losses(logits, truth), log_losses(scaling(logits), truth)
    gains = _gains(logits, predictions, fit, min(bootstrap, 200), seed)
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(end) for end in np.quantile(gains, [tail, 1 - tail]))
    kept = low > 0
    verdict = "folded into the last layer" if kept else "left out, as the gain is not certain"
    biases = tuple(scaling.biases.tolist())
    also = " and a bias for each class" if biases else ""
    return Calibration(
        temperature=scaling.temperature,
        kept=kept,
        loss_before=float(before.mean()),
        loss_after=float(after.mean()),
        gain_low=low,
        gain_high=high,
        reason=f"temperature {scaling.temperature:.3f}{also}, gain of log loss on validation "
        f"between {low:.4f} and {high:.4f}; {verdict}",
        biases=biases,
    )


def fold(model: Any, temperature: float, biases: Sequence[float] = ()) -> None:
    """Divide the logits by ``temperature`` and add ``biases``, in the layer "logits", in place.

    Raises:
        TrainingError: the model has no such layer, or not with a kernel and a bias.
    """
    try:
        layer = model.get_layer("logits")
        kernel, bias = layer.get_weights()
    except ValueError as error:
        raise TrainingError(
            f'The model has no dense layer "logits" to hold the temperature ({error}).'
        ) from None
    divisor, added = np.float32(temperature), np.array(biases or 0.0, np.float32)
    layer.set_weights([kernel / divisor, bias / divisor + added])


def fit_temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The temperature with the lowest log loss.

    Args:
        logits: shape (n, classes).
        truth: index of the right class, shape (n,).
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return float(log_losses(logits / np.exp(log_temperature), truth).mean())

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def log_losses(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log loss of every image in nats, shape (n,)."""
    from scipy.special import log_softmax

    shares: NDArray[np.float64] = log_softmax(logits, axis=1)
    return -shares[np.arange(len(truth)), truth]


def _by_temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> _Scaling:
    return _Scaling(fit_temperature(logits, truth), np.zeros(0))


def _biased(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> _Scaling:
    """Temperature and biases of the greatest posterior density."""
    from scipy.optimize import minimize
    from scipy.special import softmax

    count, classes = logits.shape
    right = np.eye(classes)[truth]
    tightness = 1 / (count * _BIAS_DEVIATION**2)

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scaled, biases = logits / np.exp(point[0]), point[1:]
        values = log_losses(scaled + biases, truth).mean() + tightness * (biases**2).sum() / 2
        excess = (softmax(scaled + biases, axis=1) - right) / count
        slopes = np.concatenate([
            [-(excess * scaled).sum()], excess.sum(axis=0) + tightness * biases
        ])  # fmt: skip
        return float(values), slopes

    bounds = [(np.log(COLDEST), np.log(HOTTEST)), *[(None, None)] * classes]
    start = np.array([np.log(fit_temperature(logits, truth)), *np.zeros(classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return _Scaling(float(np.exp(found[0])), found[1:])


def _gains(
    logits: NDArray[np.float64], predictions: Predictions, fit: _Fit, count: int, seed: int
) -> NDArray[np.float64]:
    """Mean gain on the lesions left out of each resample, by a scaling fitted to the others."""
    _, lesion = np.unique(predictions.groups, return_inverse=True)
    lesions = int(lesion.max()) + 1
    rng = np.random.default_rng(seed)
    gains = []
    for _ in range(count):
        weights = np.bincount(rng.integers(0, lesions, lesions), minlength=lesions)[lesion]
        rows, left_out = np.repeat(np.arange(len(weights)), weights), weights == 0
        if not left_out.any():
            continue
        scaling = fit(logits[rows], predictions.truth[rows])
        kept, truth = logits[left_out], predictions.truth[left_out]
        gains.append((log_losses(kept, truth) - log_losses(scaling(kept), truth)).mean())
    return np.array(gains or [0.0])
