"""Training the head alone, on features that the frozen backbone gives once."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import TrainingError
from train import progress
from train.config import TrainConfig
from train.objective import class_weights, cross_entropy
from train.pipeline import predictor

LEARNING_RATE = 1e-3
"""Of the head alone; it is a linear classifier on normalised features, so Adam's usual rate fits
whatever rate the whole network is given."""


def fit_head(
    model: Any, tensors: NDArray[np.uint8], rows: NDArray[np.int64], labels: NDArray[np.int64],
    config: TrainConfig,
) -> None:  # fmt: skip
    """Fit the layer "logits" for `TrainConfig.frozen_epochs`, in place, with all else frozen.

    The images pass the backbone once, as they are, and their pooled features are kept in memory:
    an epoch on them takes less than a second.

    Args:
        model: from `train.architectures.build`.
        tensors: uint8 of shape (n, size, size, 3).
        rows: m indices into ``tensors``.
        labels: class index of each row, shape (m,).
        config: how.

    Raises:
        TrainingError: the loss is not finite.
    """
    started = time.monotonic()
    pooled = keras.Model(model.inputs, model.get_layer("pool").output)
    with progress.bar("features of the frozen backbone", len(rows)):
        features = predictor(pooled)(tensors, rows)
    logits = model.get_layer("logits")
    weights = class_weights(labels, logits.units, config.class_weighting)
    keras.utils.set_random_seed(config.seed)
    head = keras.Sequential([keras.layers.Dropout(config.dropout, seed=config.seed), logits])
    head.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=cross_entropy(labels, weights, config),
        jit_compile=False,
    )
    targets = np.eye(logits.units, dtype=np.float32)[labels]
    chosen = _balanced(labels, config) if config.sampling == "balanced" else np.arange(len(labels))
    history = head.fit(
        features[chosen], targets[chosen], sample_weight=weights[labels[chosen]],
        batch_size=config.batch_size, epochs=config.frozen_epochs, verbose=0,
    ).history["loss"]  # fmt: skip
    if not np.isfinite(history[-1]):
        raise TrainingError(
            f"The loss of the head alone is {history[-1]}; use --frozen-epochs 0, or other weights."
        )
    progress.say(
        f"head alone, on features of the frozen backbone: {config.frozen_epochs} epochs in "
        f"{time.monotonic() - started:.0f} s, loss {history[0]:.3f} to {history[-1]:.3f}"
    )


def _balanced(labels: NDArray[np.int64], config: TrainConfig) -> NDArray[np.int64]:
    """As many positions as there are labels, every class equally often, with replacement."""
    share = 1 / np.bincount(labels)[labels]
    rng = np.random.default_rng(config.seed)
    drawn: NDArray[np.int64] = rng.choice(len(labels), len(labels), p=share / share.sum())
    return drawn
