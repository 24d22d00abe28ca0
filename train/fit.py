"""Fitting a Keras model to cached tensors: schedule, loss, best epoch, progress."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import TrainingError
from train import progress
from train.config import TrainConfig
from train.metrics import Predictions
from train.pipeline import predictor, training_batches


@dataclass(frozen=True)
class Parts:
    """The cached tensors and which rows of them train and validate.

    Attributes:
        tensors: uint8 of shape (n, size, size, 3).
        train: row indices of the training part.
        train_labels: their class indices.
        val: row indices of the validation part.
        val_truth: the validation part's answers, its probabilities yet unknown.
    """

    tensors: NDArray[np.uint8]
    train: NDArray[np.int64]
    train_labels: NDArray[np.int64]
    val: NDArray[np.int64]
    val_truth: Predictions


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves: the model has the weights of the best epoch.

    Attributes:
        history: one row an epoch.
        best_epoch: counted from 1, the one with the lowest validation loss.
    """

    history: tuple[Mapping[str, float], ...]
    best_epoch: int


def fit(model: keras.Model, parts: Parts, config: TrainConfig) -> Fitted:
    """Train ``model`` in place and leave it with the weights of its best epoch.

    Args:
        model: from `train.architectures.build`; its layer "logits" feeds the softmax.
        parts: what to learn from and what to watch.
        config: how.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    classes = model.output_shape[-1]
    learner = keras.Model(model.inputs, model.get_layer("logits").output)  # shares the weights
    learner.compile(
        optimizer=_optimizer(config, steps=math.ceil(len(parts.train) / config.batch_size)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,  # XLA on a CPU is several times slower for these networks
    )
    weights = class_weights(parts.train_labels, classes, config.class_weighting)
    predict = predictor(model)
    history: list[dict[str, float]] = []
    best_loss, best_weights = math.inf, model.get_weights()
    for epoch in range(config.epochs):
        started = time.monotonic()
        batches = training_batches(
            parts.tensors, parts.train, parts.train_labels, weights[parts.train_labels],
            batch_size=config.batch_size, seed=config.seed, amount=config.augmentation,
            epoch=epoch,
        )  # fmt: skip
        with progress.bar(f"epoch {epoch + 1}/{config.epochs}", len(parts.train)) as update:
            watch = _Watch(update, config, len(parts.train), epoch + 1)
            fitted = learner.fit(batches, shuffle=False, verbose=0, callbacks=[watch])
        row = {
            "epoch": epoch + 1,
            "loss": fitted.history["loss"][0],
            "accuracy": fitted.history["accuracy"][0],
            **_validate(predict(parts.tensors, parts.val), parts.val_truth),
            "seconds": round(time.monotonic() - started, 1),
        }
        history.append(row)
        better = row["val_loss"] < best_loss
        if better:
            best_loss, best_weights = row["val_loss"], model.get_weights()
        progress.say(_line(row, config.epochs) + ("  best so far" if better else ""))
    if not math.isfinite(best_loss):
        raise TrainingError(
            "The validation loss was never a finite number; lower --learning-rate "
            f"(it is {config.learning_rate:g})."
        )
    model.set_weights(best_weights)
    best = min(history, key=lambda row: row["val_loss"])
    return Fitted(tuple(history), int(best["epoch"]))


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


def _optimizer(config: TrainConfig, steps: int) -> Any:
    warmup = int(config.warmup_epochs * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / 25 if warmup else config.learning_rate,
        decay_steps=max(1, config.epochs * steps - warmup),
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay, clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _validate(probabilities: NDArray[np.float32], truth: Predictions) -> dict[str, float]:
    from sklearn.metrics import log_loss, roc_auc_score

    answered = Predictions(probabilities, truth.truth, truth.groups, truth.labels, truth.melanoma)
    if not np.isfinite(probabilities).all():
        return {"val_loss": math.inf, "val_accuracy": math.nan, "val_auc": math.nan}
    target = answered.targets[0]
    classes = np.arange(probabilities.shape[1])
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)  # float32 sums miss 1 by more than log_loss allows
    return {
        "val_loss": float(log_loss(truth.truth, exact, labels=classes)),
        "val_accuracy": float((probabilities.argmax(axis=1) == truth.truth).mean()),
        "val_auc": float(roc_auc_score(answered.positive(target), answered.scores(target))),
    }


def _line(row: Mapping[str, float], epochs: int) -> str:
    figures = "  ".join(
        f"{name} {row[name]:.3f}"
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "val_auc")
    )
    return f"epoch {row['epoch']:.0f}/{epochs}  {figures}  {row['seconds']:.0f} s"


class _Watch(keras.callbacks.Callback):
    """Draws the bar and stops at the first loss that is not finite."""

    def __init__(self, update: Any, config: TrainConfig, images: int, epoch: int) -> None:
        super().__init__()
        self._update, self._config, self._images, self._epoch = update, config, images, epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keras calls this after every step."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss is {loss} in epoch {self._epoch}, step {batch + 1}; lower "
                f"--learning-rate (it is {self._config.learning_rate:g})."
            )
        done = min(self._images, (batch + 1) * self._config.batch_size)
        self._update(done, note=f"loss {loss:.3f}")
