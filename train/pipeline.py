"""Batches for training, from the cached tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.augment import augment
from train.config import Sampling, TrainConfig

_AHEAD = 2
"""Batches made in advance. One thread makes a batch in a twentieth of the time of a step."""

_ORDER, _CHANGES = 1, 2
"""Keep the random numbers of an epoch's order and of a step's changes apart."""


def training_batches(
    tensors: NDArray[np.uint8], rows: NDArray[np.int64], labels: NDArray[np.int64],
    weights: NDArray[np.float32], *, classes: int, config: TrainConfig, first_epoch: int = 0,
) -> Any:  # fmt: skip
    """All epochs, one after another: shuffled or drawn, augmented and mixed.

    What a batch holds depends on the seed, its epoch and its step alone, not on threads and not on
    where the stream begins.

    Args:
        tensors: uint8 of shape (n, size, size, 3), usually memory-mapped.
        rows: m indices into ``tensors``.
        labels, weights: class index and weight of each row, shape (m,).
        classes: number of classes.
        config: its seed, epochs, batch size, sampling, mixup and augmentation are used.
        first_epoch: counted from 0; the epochs before it are left out.

    Returns:
        ``tf.data.Dataset`` of (float32 images 0 to 255, float32 one-hot targets of shape
        (n, classes), float32 weights), `steps_per_epoch` of them an epoch; the last batch of an
        epoch may be smaller.
    """
    cv2.setNumThreads(1)  # its own threads would only compete with those of the training
    make = _batch_maker(tensors, rows, labels, weights.astype(np.float32), classes, config)
    size = tensors.shape[1]

    def batch(number: Any) -> tuple[Any, Any, Any]:
        images, targets, shares = tf.numpy_function(
            make, [number], (tf.uint8, tf.float32, tf.float32)
        )
        images = tf.cast(tf.ensure_shape(images, (None, size, size, 3)), tf.float32)
        return (
            images, tf.ensure_shape(targets, (None, classes)), tf.ensure_shape(shares, (None,))
        )  # fmt: skip

    steps = steps_per_epoch(len(rows), config.batch_size)
    numbers = tf.data.Dataset.range(first_epoch * steps, config.epochs * steps)
    return numbers.map(batch).prefetch(_AHEAD)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Batches that hold so many images; the last one may be smaller."""
    return math.ceil(images / batch_size)


Batch = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]


def _batch_maker(
    tensors: NDArray[np.uint8], rows: NDArray[np.int64], labels: NDArray[np.int64],
    weights: NDArray[np.float32], classes: int, config: TrainConfig,
) -> Callable[[np.int64], Batch]:  # fmt: skip
    """A function that makes any batch of the stream by its number."""
    steps = steps_per_epoch(len(rows), config.batch_size)

    @lru_cache(maxsize=1)
    def order_of(epoch: int) -> NDArray[np.int64]:
        random = np.random.default_rng([_ORDER, config.seed, epoch])
        return epoch_order(labels, config.sampling, random)

    def make(number: np.int64) -> Batch:
        epoch, step = divmod(int(number), steps)
        random = np.random.default_rng([_CHANGES, config.seed, epoch, step])
        start = step * config.batch_size
        taken = order_of(epoch)[start : start + config.batch_size]
        images = augment(tensors[rows[taken]], random, config.augmentation, config.augment)
        batch = images, np.eye(classes, dtype=np.float32)[labels[taken]], weights[taken]
        return mix(*batch, random, config.mixup) if config.mixup else batch

    return make


def epoch_order(
    labels: NDArray[np.int64], sampling: Sampling, random: np.random.Generator
) -> NDArray[np.int64]:
    """Which images an epoch shows, as positions in ``labels``, in the order in which it does.

    Args:
        labels: class index of each of m images.
        sampling: "natural" shows every image once; "balanced" every class that has images equally
            often (to within one image), and within a class no image twice before all were shown.
        random: the same state gives the same order.

    Returns:
        m positions.
    """
    count = len(labels)
    if sampling == "natural":
        return random.permutation(count)
    present = random.permutation(np.unique(labels))  # the first ones get what is left over
    shown = []
    for place, label in enumerate(present):
        own = np.flatnonzero(labels == label)
        quota = count // len(present) + (place < count % len(present))
        rounds = [random.permutation(own) for _ in range(math.ceil(quota / len(own)))]
        shown.append(np.concatenate([own[:0], *rounds])[:quota])
    return random.permutation(np.concatenate(shown))


def mix(
    images: NDArray[np.uint8], targets: NDArray[np.float32], weights: NDArray[np.float32],
    random: np.random.Generator, alpha: float,
) -> Batch:  # fmt: skip
    """Mixup (Zhang et al., ICLR 2018): every image becomes a mean of itself and another one's.

    Targets are mixed by share times weight, so that the cross-entropy of the mixture is the sum of
    those of its two images, each by its own weight.

    Args:
        images: shape (n, size, size, 3).
        targets: shape (n, classes), rows that sum to 1.
        weights: shape (n,), none negative.
        random: the same state gives the same mixtures.
        alpha: both parameters of the Beta distribution of an image's own share.

    Returns:
        the same three of the mixtures; images rounded to bytes.
    """
    other = random.permutation(len(images))
    share = random.beta(alpha, alpha, len(images)).astype(np.float32)
    mixed = np.empty_like(images)
    for index, part in enumerate(share.tolist()):
        cv2.addWeighted(images[index], part, images[other[index]], 1 - part, 0, dst=mixed[index])
    own, others = share * weights, (1 - share) * weights[other]
    total = own + others
    sums = own[:, None] * targets + others[:, None] * targets[other]
    means = sums / np.maximum(total, np.finfo(np.float32).tiny)[:, None]
    return mixed, means.astype(np.float32), total.astype(np.float32)


Predict = Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.float32]]


def predictor(model: Any, batch_size: int = 64) -> Predict:
    """A function that gives a Keras model's outputs for some rows of the cached tensors.

    Args:
        model: takes float32 images of values 0 to 255.
        batch_size: images at a time.

    Returns:
        function of (tensors uint8 (n, size, size, 3), m row indices), giving float32 (m, classes).
    """
    shape = (None, *model.input_shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8)])
    def step(images: Any) -> Any:
        return model(tf.cast(images, tf.float32), training=False)

    def predict(tensors: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        starts = range(0, len(rows), batch_size)
        outputs = [step(tensors[rows[start : start + batch_size]]).numpy() for start in starts]
        return np.concatenate(outputs)

    return predict
