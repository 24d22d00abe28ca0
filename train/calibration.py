"""Calibration: what makes probabilities mean what they say, fitted on validation images.

- Temperature scaling: the logits are divided by one number (Guo et al., On Calibration of Modern
  Neural Networks, ICML 2017, section 4.2). The order of the classes never changes.
- Bias-corrected temperature scaling: besides, a number is added to the logits of the first target,
  melanoma where it is a class (after Alexandari et al., Maximum Likelihood with Bias-Corrected
  Calibration is Hard-To-Beat at Label Shift Adaptation, ICML 2020, who give every class one). It is
  for training that lifts rare classes, by logit adjustment, weights or sampling: melanoma's
  probability becomes that of melanoma being as frequent as on validation, and the other rare
  classes stay lifted against the frequent ones.

Either is kept only where it lowers the log loss with confidence on lesions that it was not fitted
to, and then folded into the last layer, so that whatever runs the file, ours or not, gets
calibrated probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import TrainingError
from train.config import CalibrationKind
from train.evaluation.bootstrap import interval, lesion_weights
from train.metrics import Predictions

COLDEST, HOTTEST = 0.05, 20.0
_SMALLEST = 1e-7  # probabilities below it are taken for it, as a float32 softmax cannot tell
_FITS = 200
"""At most; a lesion is left out of a third of them."""
_LARGEST_BIAS = 10.0
"""In nats, for resamples that happen to hold none of the target."""


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
        biases: what is added to the logits after the division, for each class in the order of the
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

    It is fitted anew in resamples of the lesions and scored on those that a resample has left out,
    so that its gain is not the gain on the very images it was fitted to.

    Args:
        predictions: the uncalibrated model's answers on validation.
        kind: a temperature alone, or a bias of the first target too.
        bootstrap: number of resamples of lesions.
        seed: of the resampling.
    """
    logits = np.log(np.clip(predictions.probabilities.astype(np.float64), _SMALLEST, 1.0))
    truth = predictions.truth
    lifted = predictions.columns(predictions.targets[0]).astype(np.float64)
    fit = partial(_biased, lifted) if kind == "bias-corrected" else _by_temperature
    scaling = fit(logits, truth)
    before, after = log_losses(logits, truth), log_losses(scaling(logits), truth)
    low, high = _gain(logits, predictions, fit, bootstrap, seed)
    kept = low > 0
    verdict = "folded into the last layer" if kept else "left out, as the gain is not certain"
    biases = tuple(scaling.biases.tolist())
    also = f" and a bias of {predictions.targets[0]}" if biases else ""
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


def unfold(model: Any, calibration: Calibration) -> None:
    """Take back what `fold` did, in place: the model answers as it was trained."""
    if calibration.kept:
        temperature = calibration.temperature
        fold(model, 1 / temperature, [-temperature * bias for bias in calibration.biases])


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


def _biased(
    lifted: NDArray[np.float64], logits: NDArray[np.float64], truth: NDArray[np.int64]
) -> _Scaling:
    """The temperature, and the bias of the classes marked by 1, with the lowest log loss."""
    from scipy.optimize import minimize
    from scipy.special import softmax

    count, classes = logits.shape
    right = np.eye(classes)[truth]

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        divided = logits / np.exp(point[0])
        scaled = divided + point[1] * lifted
        excess = (softmax(scaled, axis=1) - right) / count
        slopes = np.array([-(excess * divided).sum(), (excess @ lifted).sum()])
        return float(log_losses(scaled, truth).mean()), slopes

    bounds = [(np.log(COLDEST), np.log(HOTTEST)), (-_LARGEST_BIAS, _LARGEST_BIAS)]
    log_temperature, bias = minimize(
        loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds
    ).x
    return _Scaling(float(np.exp(log_temperature)), float(bias) * lifted)


def _gain(
    logits: NDArray[np.float64], predictions: Predictions, fit: _Fit, bootstrap: int, seed: int
) -> tuple[float, float]:
    """Interval of the mean gain on lesions that a scaling was not fitted to.

    Every lesion's gain is the mean over the resamples that have left it out (the leave-one-out
    bootstrap: Efron and Tibshirani, Improvements on Cross-Validation, JASA 92, 1997), so that the
    interval is that of as many lesions as there are, not of the third that one resample leaves out.
    """
    truth = predictions.truth
    before = log_losses(logits, truth)
    rng = np.random.default_rng(seed)
    gained, times = np.zeros(len(truth)), np.zeros(len(truth))
    for block in lesion_weights(predictions.groups, min(bootstrap, _FITS), rng):
        for weights in block.astype(np.int64):
            rows, left_out = np.repeat(np.arange(len(weights)), weights), weights == 0
            scaling = fit(logits[rows], truth[rows])
            gained[left_out] += (before - log_losses(scaling(logits), truth))[left_out]
            times += left_out
    judged = times > 0
    if not judged.any():
        return 0.0, 0.0
    gains = gained[judged] / times[judged]
    drawn = [
        block @ gains / block.sum(axis=1)
        for block in lesion_weights(predictions.groups[judged], bootstrap, rng)
    ]
    found = interval("gain", float(gains.mean()), drawn)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high
