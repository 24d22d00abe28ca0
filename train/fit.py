"""Fitting a Keras model to cached tensors: schedule, loss, averages, best epoch, progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import RunError, TrainingError
from train import progress
from train.architectures import freeze
from train.checkpoint import Checkpoint, CheckpointFile
from train.config import TrainConfig
from train.evaluation.figures import proper
from train.fast_layers import with_fast_layers
from train.head import fit_head
from train.memory import check_fits
from train.metrics import Predictions
from train.objective import class_weights, cross_entropy, log_frequencies
from train.pipeline import Predict, predictor, steps_per_epoch, training_batches
from train.teaching import Teacher, taught

OnEpoch = Callable[[Mapping[str, float]], None]


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
        best_epoch: counted from 1, the best by `TrainConfig.monitor`.
    """

    history: tuple[Mapping[str, float], ...]
    best_epoch: int


def fit(
    model: keras.Model, parts: Parts, config: TrainConfig, *,
    checkpoints: CheckpointFile | None = None, on_epoch: OnEpoch | None = None,
    no_more: bool = False, teachers: Sequence[Teacher] = (),
) -> Fitted:  # fmt: skip
    """Train ``model`` in place and leave it with the weights of its best epoch.

    Args:
        model: from `train.architectures.build`; its layer "logits" feeds the softmax.
        parts: what to learn from and what to watch.
        config: how.
        checkpoints: where the state is kept after every epoch; a state that is there is gone on
            from. With the same seed the batches and the dropout of an epoch are the same whether or
            not the run was broken.
        on_epoch: called with every new row of the history; what it raises ends the fit.
        no_more: take the best epoch of those that were kept, and train no further.
        teachers: the mean of their probabilities is learnt beside the labels.

    Raises:
        TrainingError: the loss is no longer finite, memory or disk are too small, or there is no
            epoch to take.
        RunError: the kept state is not this network's.
    """
    check_fits(model, config)
    if config.frozen_stride:
        freeze(model, config.frozen_stride)
    learner = _Learner(model, parts, config, teachers)
    kept = checkpoints.load() if checkpoints else None
    if kept is not None:
        learner.restore(kept)
        progress.say(f"going on after epoch {len(kept.history)} of {config.epochs}")
    elif config.frozen_epochs and not no_more:
        fit_head(model, parts.tensors, parts.train, parts.train_labels, config)
    history = [dict(row) for row in kept.history] if kept else []
    best = list(kept.best) if kept else []
    while not no_more and len(history) < config.epochs and not _out_of_patience(history, config):
        row = learner.epoch(len(history))
        history.append(row)
        is_best = _best(history, config) == len(history)
        with learner.averaged():
            if is_best:
                best = model.get_weights()
        progress.say(_line(history, config.epochs) + ("  best so far" if is_best else ""))
        if checkpoints is not None:
            checkpoints.save(Checkpoint(tuple(history), learner.state(), best))
        if on_epoch is not None:
            on_epoch(row)
    if not best:
        raise TrainingError("No epoch was finished, so there is none to take; train with --resume.")
    model.set_weights(best)
    if config.frozen_stride:
        freeze(model, 0)
    return Fitted(tuple(history), _best(history, config))


class _Learner:
    """A network in training: what one epoch does, and the state between two."""

    def __init__(
        self, model: keras.Model, parts: Parts, config: TrainConfig, teachers: Sequence[Teacher]
    ) -> None:
        self._model, self._parts, self._config = model, parts, config
        self._teachers = teachers
        self._steps = steps_per_epoch(len(parts.train), config.batch_size)
        self._predict: Predict = predictor(with_fast_layers(model))
        self._batches: Any = None
        classes = model.output_shape[-1]
        self._weights = class_weights(parts.train_labels, classes, config.class_weighting)
        self._network = with_fast_layers(
            keras.Model(model.inputs, model.get_layer("logits").output)
        )  # the same variables
        self._network.compile(
            optimizer=_optimizer(config, self._steps),
            loss=cross_entropy(parts.train_labels, self._weights, config),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=False,  # XLA on a CPU is several times slower for these networks
        )
        self._network.make_train_function()  # traced once, for batches of any length
        self._network.optimizer.build(self._network.trainable_variables)
        self._average = keras.callbacks.SwapEMAWeights()
        self._average.set_model(self._network)

    def epoch(self, number: int) -> dict[str, float]:
        """Train for one epoch, counted from 0, and validate."""
        started = time.monotonic()
        config, images = self._config, len(self._parts.train)
        self._seed_dropout(number)
        loss = accuracy = 0.0
        seen, batches = 0, self._stream(number)
        with progress.bar(f"epoch {number + 1}/{config.epochs}", images) as update:
            for step in range(self._steps):
                logs = self._step(batches)
                if not math.isfinite(logs["loss"]):
                    raise TrainingError(
                        f"The loss is {logs['loss']} in epoch {number + 1}, step {step + 1}; lower "
                        f"--learning-rate (it is {config.learning_rate:g})."
                        + (f" The {number} epochs before are kept." if number else "")
                    )
                count = min(config.batch_size, images - seen)
                seen += count
                loss += logs["loss"] * count
                accuracy += logs["accuracy"] * count
                update(seen, note=f"loss {loss / seen:.3f}")
        with self.averaged():
            answers = self._predict(self._parts.tensors, self._parts.val)
        figures = _validate(answers, self._parts.val_truth)
        if not math.isfinite(figures["val_loss"]):
            raise TrainingError(
                f"The validation loss is not a finite number in epoch {number + 1}; lower "
                f"--learning-rate (it is {config.learning_rate:g})."
            )
        return {
            "epoch": number + 1,
            "loss": loss / seen,
            "accuracy": accuracy / seen,
            **figures,
            "seconds": round(time.monotonic() - started, 1),
        }

    def averaged(self) -> Any:
        """A block in which the network has its averaged weights, if averages are kept."""
        return _Averaged(self._average if self._config.average_weights else None)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """All variables of network and optimizer."""
        return {name: np.asarray(v.numpy()) for name, v in self._variables().items()}

    def restore(self, kept: Checkpoint) -> None:
        """Put every variable back.

        Raises:
            RunError: they are not this network's.
        """
        variables = self._variables()
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        if shapes != {name: value.shape for name, value in kept.state.items()}:
            raise RunError(
                "The checkpoint's weights do not fit this architecture; it was written by another "
                "version of dermedge or Keras: use that one, or train anew."
            )
        for name, variable in variables.items():
            variable.assign(kept.state[name])

    def _variables(self) -> dict[str, Any]:
        network = {f"network/{i}": v for i, v in enumerate(self._network.variables)}
        optimizer = {f"optimizer/{i}": v for i, v in enumerate(self._network.optimizer.variables)}
        return network | optimizer

    def _step(self, batches: Any) -> dict[str, float]:
        """Train on the next batch; loss and accuracy of that batch alone."""
        import tensorflow as tf

        self._network.reset_metrics()
        try:
            logs = self._network.train_function(batches)
        except tf.errors.ResourceExhaustedError:
            raise TrainingError(
                f"Memory does not hold a step of {self._config.batch_size} images of "
                f"{self._config.input_size} px; lower --batch-size or --input-size."
            ) from None
        return {name: float(value) for name, value in logs.items()}

    def _stream(self, first_epoch: int) -> Any:
        """Batches of all epochs from ``first_epoch`` on, made once."""
        if self._batches is None:
            parts = self._parts
            batches = training_batches(
                parts.tensors, parts.train, parts.train_labels, self._weights[parts.train_labels],
                classes=len(self._weights), config=self._config, first_epoch=first_epoch,
            )  # fmt: skip
            if self._teachers:
                met = log_frequencies(parts.train_labels, self._weights, self._config)
                batches = taught(batches, self._teachers, met, self._config.distillation)
            self._batches = iter(batches)
        return self._batches

    def _seed_dropout(self, epoch: int) -> None:
        """Dropout of an epoch depends on the seed and the epoch, not on what came before."""
        for layer in self._network.layers:
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                generator.state.assign(np.array([self._config.seed, epoch], np.uint32))


class _Averaged:
    """Swaps averaged weights in and, at the end of the block, out again."""

    def __init__(self, swap: Any) -> None:
        self._swap = swap

    def __enter__(self) -> None:
        if self._swap is not None:
            self._swap.on_test_begin()

    def __exit__(self, *_: object) -> None:
        if self._swap is not None:
            self._swap.on_test_end()


def _optimizer(config: TrainConfig, steps: int) -> Any:
    warmup = int(config.warmup_epochs * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / 25 if warmup else config.learning_rate,
        decay_steps=max(1, config.epochs * steps - warmup),
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=config.weight_decay, clipnorm=1.0,
        use_ema=config.average_weights > 0, ema_momentum=config.average_weights or 0.99,
    )  # fmt: skip
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _best(history: list[dict[str, float]], config: TrainConfig) -> int:
    """Number of the best epoch, counted from 1; the first of equals."""
    sign = 1 if config.monitor == "val_loss" else -1
    return 1 + int(np.argmin([sign * row[config.monitor] for row in history]))


def _out_of_patience(history: list[dict[str, float]], config: TrainConfig) -> bool:
    if not config.patience or not history:
        return False
    stop = len(history) - _best(history, config) >= config.patience
    if stop:
        progress.say(f"stopped early: {config.patience} epochs without a better {config.monitor}")
    return stop


def _validate(probabilities: NDArray[np.float32], truth: Predictions) -> dict[str, float]:
    from sklearn.metrics import log_loss, roc_auc_score

    answered = Predictions(probabilities, truth.truth, truth.groups, truth.labels, truth.melanoma)
    if not np.isfinite(probabilities).all():
        return {"val_loss": math.inf, "val_accuracy": math.nan, "val_auc": math.nan}
    target = answered.targets[0]
    classes = np.arange(probabilities.shape[1])
    return {
        "val_loss": float(log_loss(truth.truth, proper(probabilities), labels=classes)),
        "val_accuracy": float((probabilities.argmax(axis=1) == truth.truth).mean()),
        "val_auc": float(roc_auc_score(answered.positive(target), answered.scores(target))),
    }


def _line(history: list[dict[str, float]], epochs: int) -> str:
    row = history[-1]
    figures = "  ".join(
        f"{name} {row[name]:.3f}"
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "val_auc")
    )
    left = (epochs - len(history)) * float(np.median([row["seconds"] for row in history]))
    told = f", {left / 60:.0f} min left" if left >= 60 else ""
    return f"epoch {row['epoch']:.0f}/{epochs}  {figures}  {row['seconds']:.0f} s{told}"
