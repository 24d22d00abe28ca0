"""Temperature scaling: one number that makes probabilities mean what they say.

The logits are divided by a temperature that is fitted on validation images (Guo et al., On
Calibration of Modern Neural Networks, ICML 2017, section 4.2). It is kept only where it lowers the
log loss there with confidence, and then folded into the weights of the last layer, so that whatever
runs the file, ours or not, gets calibrated probabilities. The order of the classes never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import TrainingError
from train.metrics import CONFIDENCE, Predictions

COLDEST, HOTTEST = 0.05, 20.0
_SMALLEST = 1e-7  # probabilities below it are taken for it, as a float32 softmax cannot tell


@dataclass(frozen=True)
class Calibration:
    """What was found on validation, and what was done.

    Attributes:
        temperature: the fitted one; above 1 the model was overconfident.
        kept: whether it is folded into the model.
        loss_before, loss_after: log loss on validation in nats, without and with the temperature.
        gain_low, gain_high: 95% interval of what the temperature gains, resampled by lesion.
        reason: in words.
    """

    temperature: float
    kept: bool
    loss_before: float
    loss_after: float
    gain_low: float
    gain_high: float
    reason: str


def calibrate(predictions: Predictions, *, bootstrap: int, seed: int) -> Calibration:
    """Fit a temperature and decide whether it is worth keeping.

    The temperature is fitted anew in every resample and scored on the images that the resample has
    left out, so that its gain is not the gain on the very images it was fitted to.

    Args:
        predictions: the uncalibrated model's answers on validation.
        bootstrap: number of resamples of lesions; at most 200 are used.
        seed: of the resampling.
    """
    logits = np.log(np.clip(predictions.probabilities.astype(np.float64), _SMALLEST, 1.0))
    truth = predictions.truth
    temperature = fit_temperature(logits, truth)
    before, after = log_losses(logits, truth, 1.0), log_losses(logits, truth, temperature)
    gains = _gains(logits, predictions, min(bootstrap, 200), seed)
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(end) for end in np.quantile(gains, [tail, 1 - tail]))
    kept = low > 0
    verdict = "folded into the last layer" if kept else "left out, as the gain is not certain"
    return Calibration(
        temperature=temperature,
        kept=kept,
        loss_before=float(before.mean()),
        loss_after=float(after.mean()),
        gain_low=low,
        gain_high=high,
        reason=f"temperature {temperature:.3f}, gain of log loss on validation between {low:.4f} "
        f"and {high:.4f}; {verdict}",
    )


def fold_temperature(model: Any, temperature: float) -> None:
    """Divide the weights of the layer "logits" by ``temperature``, in place.

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
    layer.set_weights([kernel / np.float32(temperature), bias / np.float32(temperature)])


def fit_temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The temperature with the lowest log loss.

    Args:
        logits: shape (n, classes).
        truth: index of the right class, shape (n,).
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return float(log_losses(logits, truth, float(np.exp(log_temperature))).mean())

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def log_losses(
    logits: NDArray[np.float64], truth: NDArray[np.int64], temperature: float
) -> NDArray[np.float64]:
    """Log loss of every image in nats, shape (n,), at a temperature."""
    from scipy.special import log_softmax

    scaled: NDArray[np.float64] = log_softmax(logits / temperature, axis=1)
    return -scaled[np.arange(len(truth)), truth]


def _gains(
    logits: NDArray[np.float64], predictions: Predictions, count: int, seed: int
) -> NDArray[np.float64]:
    """Mean gain on the lesions left out of each resample, by a temperature fitted to the others."""
    _, lesion = np.unique(predictions.groups, return_inverse=True)
    lesions = int(lesion.max()) + 1
    rng = np.random.default_rng(seed)
    gains = []
    for _ in range(count):
        weights = np.bincount(rng.integers(0, lesions, lesions), minlength=lesions)[lesion]
        rows, left_out = np.repeat(np.arange(len(weights)), weights), weights == 0
        if not left_out.any():
            continue
        temperature = fit_temperature(logits[rows], predictions.truth[rows])
        kept, truth = logits[left_out], predictions.truth[left_out]
        gains.append((log_losses(kept, truth, 1.0) - log_losses(kept, truth, temperature)).mean())
    return np.array(gains or [0.0])
