"""Fast layers: the same numbers as Keras's own layers, on the same variables."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from train.architectures import build
from train.fast_layers import with_fast_layers

SIZE = 33  # odd: "same" pads the two sides of a stride unlike


@pytest.fixture
def plain() -> keras.Model:
    """Every kind of layer that has a fast form, with the strides that occur."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, use_bias=False)(image)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.ReLU(6)(x)
    for kernel, stride in ((3, 1), (5, 1), (5, 2), (5, 2)):
        x = keras.layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU(6)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(3)(x))


def images(count: int = 6) -> Any:
    return tf.constant(np.random.default_rng(0).normal(size=(count, SIZE, SIZE, 3)), tf.float32)


def step(model: keras.Model) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Gradients and moving averages of one training step, in the order of the variables."""

    @tf.function(jit_compile=False)
    def gradients() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(images(), training=True) - 1.0))
        return tape.gradient(loss, [variable.value for variable in model.trainable_variables])

    found = [gradient.numpy() for gradient in gradients()]
    return found, [variable.numpy() for variable in model.non_trainable_variables]


def operations(model: keras.Model, *, training: bool = True) -> Counter[str]:
    """What a step of training, or of inference, consists of, by kind of operation."""

    @tf.function(jit_compile=False)
    def work() -> Any:
        with tf.GradientTape() as tape:
            outputs = tf.reduce_mean(model(images(), training=training))
        if not training:
            return outputs
        return tape.gradient(outputs, [variable.value for variable in model.trainable_variables])

    return Counter(op.type for op in work.get_concrete_function().graph.get_operations())


def test_gradients_and_moving_averages_are_those_of_keras(plain: keras.Model) -> None:
    fast, start = with_fast_layers(plain), plain.get_weights()
    of_fast = step(fast)
    plain.set_weights(start)
    of_plain = step(plain)
    for one, other in zip(chain(*of_fast), chain(*of_plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_outputs_in_inference_are_those_of_keras(plain: keras.Model) -> None:
    fast = with_fast_layers(plain)
    step(fast)  # moves the averages away from their start
    np.testing.assert_allclose(
        fast(images(), training=False), plain(images(), training=False), rtol=1e-5, atol=1e-6
    )


def test_training_step_has_the_fused_operation_and_not_the_elementary_ones(
    plain: keras.Model,
) -> None:
    before, after = operations(plain), operations(with_fast_layers(plain))
    assert (before["FusedBatchNormV3"], after["FusedBatchNormV3"]) == (0, 5)
    assert (before["SquaredDifference"], after["SquaredDifference"]) == (5, 0)
    assert sum(after.values()) < 0.7 * sum(before.values())


def test_moving_averages_are_joined_with_the_convolution_in_inference(plain: keras.Model) -> None:
    found = operations(with_fast_layers(plain), training=False)
    assert (found["BiasAdd"], found["FusedBatchNormV3"]) == (6, 0)  # five and the last layer's


def test_frozen_layers_are_joined_and_the_others_are_trained(plain: keras.Model) -> None:
    for layer in plain.layers[:8]:  # a convolution and a depthwise one, and what follows them
        layer.trainable = False
    fast, start = with_fast_layers(plain), plain.get_weights()
    assert operations(fast)["FusedBatchNormV3"] == 3
    of_fast = step(fast)
    plain.set_weights(start)
    for one, other in zip(chain(*of_fast), chain(*step(plain)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_convolution_that_others_read_too_is_not_joined() -> None:
    image = keras.Input((SIZE, SIZE, 3))
    shared = keras.layers.Conv2D(4, 3, use_bias=False)(image)
    both = keras.layers.BatchNormalization()(shared) + shared
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(both))
    fast = with_fast_layers(model)
    assert operations(fast, training=False)["FusedBatchNormV3"] == 1
    expected = model(images(), training=False)
    np.testing.assert_allclose(fast(images(), training=False), expected, rtol=1e-5, atol=1e-6)


def test_variables_are_the_same_objects_in_the_same_order() -> None:
    built = build("efficientnet_lite0", input_size=32, classes=3, pretrained=False).model
    fast = with_fast_layers(built)
    for kind in ("variables", "trainable_variables", "non_trainable_variables"):
        theirs, ours = getattr(fast, kind), getattr(built, kind)
        assert [id(variable) for variable in theirs] == [id(variable) for variable in ours]


def test_frozen_batch_normalization_keeps_its_averages(plain: keras.Model) -> None:
    fast = with_fast_layers(plain)
    for layer in plain.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    before = [variable.numpy() for variable in plain.non_trainable_variables]
    step(fast)
    for was, variable in zip(before, plain.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(was, variable.numpy())


def test_trained_model_is_saved_and_read_without_the_fast_layers(
    plain: keras.Model, tmp_path: Any
) -> None:
    fast = with_fast_layers(plain)
    fast.compile("adam", "mse", jit_compile=False)
    fast.fit(images(), np.zeros((6, 3)), verbose=0)
    plain.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(images()), fast(images()), rtol=1e-5, atol=1e-6)
