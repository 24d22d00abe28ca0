"""The loss that a fit lowers, and how it treats rare classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.config import TrainConfig


def class_weights(labels: NDArray[np.int64], classes: int, power: float) -> NDArray[np.float32]:
    """Weight of each class: inverse frequency to ``power``, scaled to a mean of 1 over the images.

    Args:
        labels: class indices of the training images.
        classes: number of classes.
        power: 0 gives equal weights, 1 equal sums of weights.
    """
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    weights = np.where(counts > 0, counts, 1.0) ** -power
    scaled: NDArray[np.float32] = (weights / weights[labels].mean()).astype(np.float32)
    return scaled


def log_frequencies(
    labels: NDArray[np.int64], weights: NDArray[np.float32], config: TrainConfig
) -> NDArray[np.float32]:
    """Logarithm of the share of each class that a network meets, after sampling and weights.

    Args:
        labels: class indices of the training images.
        weights: of each class.
        config: its sampling is used.
    """
    classes = len(weights)
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    met = (np.ones(classes) if config.sampling == "balanced" else np.maximum(counts, 1)) * weights
    return np.log(met / met.sum()).astype(np.float32)


def logit_offsets(
    labels: NDArray[np.int64], weights: NDArray[np.float32], config: TrainConfig
) -> NDArray[np.float32]:
    """What is added to the logits in training only, shape (classes,).

    Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, equation 10: the logarithm
    of the class frequencies times `TrainConfig.logit_adjustment`. The frequencies are those that
    the network meets, see `log_frequencies`.

    Args:
        labels: class indices of the training images.
        weights: of each class.
        config: how sampling and adjustment are set.
    """
    adjustment = np.float32(config.logit_adjustment)
    return adjustment * log_frequencies(labels, weights, config)


def cross_entropy(
    labels: NDArray[np.int64], weights: NDArray[np.float32], config: TrainConfig
) -> Callable[[Any, Any], Any]:
    """Cross-entropy of targets (n, classes) and logits (n, classes), one value an image.

    Args:
        labels: class indices of the training images.
        weights: of each class.
        config: sets label smoothing and logit adjustment.
    """
    import keras

    offsets = logit_offsets(labels, weights, config)

    def loss(targets: Any, logits: Any) -> Any:
        return keras.losses.categorical_crossentropy(
            targets, logits + offsets, from_logits=True, label_smoothing=config.label_smoothing
        )

    return loss
