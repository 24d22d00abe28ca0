"""What the quantizer gets: weights, biases and ranges fitted to images, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from convert.metadata.flatbuffer import parse_model
from convert.variants import Exported, tflite_int8
from convert.variants.tflite import float32
from convert.variants.tflite_fitting import Fitted
from train.evaluation.execution import run_images

SIZE = 24
Layers = tuple[keras.layers.Layer, ...]


def smooth_images(count: int) -> NDArray[np.uint8]:
    """Pictures whose neighbouring pixels are alike."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 4, 4, 3)).astype(np.float32)
    return (
        np.asarray(tf.image.resize(coarse, (SIZE, SIZE), "bicubic")).clip(0, 255).astype(np.uint8)
    )


def exported(layers: Layers, folder: Path) -> Exported:
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, -1, name="normalisation")(image)
    for layer in layers:
        x = layer(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(3, name="logits")(x)
    model = keras.Model(image, keras.layers.Softmax()(x), name="network")
    signature = [keras.InputSpec(shape=(1, SIZE, SIZE, 3), dtype="float32", name="image")]
    model.export(folder, format="tf_saved_model", input_signature=signature, verbose=False)
    return Exported(model, folder, SIZE, smooth_images(40), ("a", "b", "c"))


def inputs(given: Exported) -> Iterator[NDArray[np.float32]]:
    for image in given.calibration:
        yield image[np.newaxis].astype(np.float32)


def convolution(**options: Any) -> Layers:
    return (keras.layers.Conv2D(8, 3, use_bias=True, bias_initializer="normal", name="one",
                                **options),)  # fmt: skip


def depthwise(**options: Any) -> Layers:
    return (keras.layers.DepthwiseConv2D(3, bias_initializer="normal", name="one", **options),)


def activations(model: bytes, given: Exported, name: str) -> NDArray[np.float32]:
    """What the layers whose outputs bear this name answer, over all images."""
    interpreter = tf.lite.Interpreter(
        model_content=model, experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )  # fmt: skip
    interpreter.allocate_tensors()
    (tensor,) = (one for one in interpreter.get_tensor_details() if one["name"] == name)
    found = []
    for image in inputs(given):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        found.append(interpreter.get_tensor(tensor["index"])[0])
    return np.stack(found)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (convolution, {}), (convolution, {"strides": 2}), (convolution, {"strides": 3}),
        (depthwise, {}), (depthwise, {"strides": 2}), (depthwise, {"depth_multiplier": 2}),
    ],
)  # fmt: skip
def test_layer_with_rounded_weights_answers_as_before_in_the_mean(
    layer: Any, options: dict[str, Any], padding: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """All places are looked at, so the means are exact where the right inputs are."""
    monkeypatch.setattr("convert.variants.tflite_fitting._PLACES_OF_AN_IMAGE", SIZE**2)
    keras.utils.set_random_seed(0)
    given = exported(layer(padding=padding, **options), tmp_path)
    plain = float32(given)
    fitted = Fitted(plain, inputs(given))
    (name,) = fitted.weight_errors
    expected = activations(plain, given, name)
    found = activations(fitted.model(), given, name)
    lost = found - expected
    assert np.abs(lost).max() > 1e-4
    np.testing.assert_allclose(lost.mean(axis=(0, 1, 2)), 0, atol=2e-6)
    assert lost.var(axis=(0, 1, 2)).mean() == pytest.approx(fitted.weight_errors[name], rel=0.05)


def test_layers_that_stay_in_float_keep_their_weights(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    given = exported((*convolution(), keras.layers.DepthwiseConv2D(3, name="two")), tmp_path)
    plain = float32(given)
    fitted = Fitted(plain, inputs(given))
    first, second = fitted.weight_errors
    kept = fitted.model([second])
    changed = differing(plain, kept)
    assert changed
    assert not any("/two" in name for name in changed)
    assert not differing(plain, fitted.model([first, second]))
    assert any("/two" in name for name in differing(plain, fitted.model()))


def differing(one: bytes, other: bytes) -> list[str]:
    """Names of the constants in which two files differ."""
    a, b = parse_model(one), parse_model(other)
    return [
        tensor.name.decode()
        for tensor, beside in zip(a.subgraphs[0].tensors, b.subgraphs[0].tensors, strict=True)
        if (held := a.buffers[tensor.buffer].data) is not None
        and bytes(held) != bytes(b.buffers[beside.buffer].data)
    ]


@pytest.mark.parametrize(
    "layers",
    [
        (keras.layers.Conv2D(8, 3, dilation_rate=2),),
        (keras.layers.Conv2D(9, 3, groups=3),),
    ],
)
def test_layers_of_other_kinds_are_left_as_they_are(layers: Layers, tmp_path: Path) -> None:
    given = exported(layers, tmp_path)
    plain = float32(given)
    assert not differing(plain, Fitted(plain, inputs(given)).model())


def test_8_bits_lose_less_than_by_rounding_to_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network whose first filters have large weights that cancel, as real ones have."""
    keras.utils.set_random_seed(1)
    layers = (
        keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu6", name="stem"),
        keras.layers.DepthwiseConv2D(3, padding="same", activation="relu6", name="depthwise"),
        keras.layers.Conv2D(8, 1, name="project"),
    )
    given = exported(layers, tmp_path)
    kernel, bias = layers[1].get_weights()
    kernel = 5 * (kernel - kernel.mean(axis=(0, 1)))
    layers[1].set_weights([kernel, bias + 1])
    pictures = given.calibration.astype(np.float32)
    logits = given.model.get_layer("logits")
    answers = keras.Model(given.model.inputs, logits.output).predict(pictures, verbose=0)
    spread = answers.std(axis=0)  # brought to 1, or all classes are alike, or one is certain
    logits.set_weights([logits.get_weights()[0] / spread, -answers.mean(axis=0) / spread])
    given.model.export(
        tmp_path, format="tf_saved_model", verbose=False,
        input_signature=[keras.InputSpec(shape=(1, SIZE, SIZE, 3), dtype="float32", name="image")],
    )  # fmt: skip
    expected = given.model.predict(pictures, verbose=0)
    assert np.ptp(expected, axis=0).min() > 0.1
    fitted = loss(tflite_int8.Int8Quantizer(given).model(), given, expected)
    monkeypatch.setattr(Fitted, "model", lambda self, float_tensors=(): self._calibrated)
    plain = loss(tflite_int8.Int8Quantizer(given).model(), given, expected)
    assert fitted < 0.1 * plain, (fitted, plain)


def loss(model: bytes, given: Exported, expected: NDArray[np.float32]) -> float:
    """Mean Kullback-Leibler divergence from the network's probabilities, in nats."""
    found = run_images(model, "tflite", given.calibration, np.arange(len(given.calibration)))
    return float((expected * np.log(expected / found)).sum(axis=1).mean())
