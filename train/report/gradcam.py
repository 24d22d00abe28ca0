"""Grad-CAM: where in an image a model finds what speaks for a class.

Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization,
ICCV 2017, equations 1 and 2: the maps of the last convolution are added up, each weighted by the
mean gradient of the class's logit, and what speaks against the class is dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def explainable(model: Any) -> bool:
    """Whether a model has the layers that `grad_cam` looks at; an imported one may not."""
    return {"features", "logits"} <= {layer.name for layer in model.layers}


def grad_cam(
    model: Any, images: NDArray[np.uint8], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """What speaks for a class, by place.

    Args:
        model: meets the contract of `train.architectures` (layers "features" and "logits").
        images: uint8 of shape (n, size, size, 3).
        classes: index of the class to explain, one an image, shape (n,).

    Returns:
        float32 of shape (n, height, width) as large as the layer "features", each map scaled to a
        largest value of 1; a map is all zeros where nothing speaks for the class.
    """
    import keras
    import tensorflow as tf

    watched = keras.Model(
        model.inputs, [model.get_layer("features").output, model.get_layer("logits").output]
    )
    squares = tf.constant(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(squares)  # so that the way from the features on is recorded, frozen or not
        features, logits = watched(squares, training=False)
        chosen = tf.gather(logits, classes, axis=1, batch_dims=1)
    gradients = tape.gradient(chosen, features)
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1)).numpy()
    largest = maps.max(axis=(1, 2), keepdims=True)
    scaled: NDArray[np.float32] = maps / np.where(largest > 0, largest, 1)
    return scaled
