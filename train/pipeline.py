"""Batches for training, from the cached tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.augment import augment


def training_batches(
    tensors: NDArray[np.uint8], rows: NDArray[np.int64], labels: NDArray[np.int64],
    weights: NDArray[np.float32], *, batch_size: int, seed: int, amount: float, epoch: int,
) -> Any:  # fmt: skip
    """One epoch of shuffled, augmented batches; the same seed and epoch give the same batches.

    Args:
        tensors: uint8 of shape (n, size, size, 3), usually memory-mapped.
        rows: m indices into ``tensors``.
        labels, weights: class index and weight of each row, shape (m,).
        batch_size: images a step; the last step may be smaller.
        seed, epoch: of the shuffling and the augmentation.
        amount: strength of the augmentation.

    Returns:
        ``tf.data.Dataset`` of (float32 images 0 to 255, int labels, float32 weights).
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(rows))
    size = tensors.shape[1]

    def read(positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        return tensors[rows[positions]]

    def build(positions: Any, step: Any) -> tuple[Any, Any, Any]:
        images = tf.numpy_function(read, [positions], tf.uint8)
        images = tf.ensure_shape(images, (None, size, size, 3))
        key = tf.stack([tf.constant(seed, tf.int64) * 100_003 + epoch, step])
        images = augment(images, tf.cast(key, tf.int32), amount)
        return images, tf.gather(labels, positions), tf.gather(weights, positions)

    positions = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
    steps = tf.data.Dataset.counter()
    return (
        tf.data.Dataset.zip((positions, steps))
        .map(build, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


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
