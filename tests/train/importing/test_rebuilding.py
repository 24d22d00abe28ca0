"""A foreign model is rebuilt and answers as before, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import (
    ConversionError,
    UsageError,
)
from tests.train import foreign as elsewhere
from tests.train.importing.asking import (
    answers,
    ending,
    random_images,
)
from train.importing.normalisation import NORMALISATIONS


def of_keras(name: str, images: np.ndarray) -> np.ndarray:
    """Keras's own preprocessing, which `NORMALISATIONS` says it repeats."""
    from keras.applications.imagenet_utils import preprocess_input

    if name == "none":
        return images
    return images / 255.0 if name == "unit" else preprocess_input(images.copy(), mode=name)


def rebuilt(model: Any, normalisation: str = "none", size: int | None = None) -> Any:
    from train.importing.foreign import foreign, input_size
    from train.importing.network import rebuild

    found = foreign(model)
    return rebuild(found, input_size(found, size), NORMALISATIONS[normalisation])


def expected(kind: str, model: Any, images: np.ndarray) -> np.ndarray:
    """Probabilities that a model's answers stand for, worked out by hand."""
    raw = answers(model, images).astype(np.float64)
    if kind == "logits":
        return np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    if raw.shape[1] > 1:
        return raw
    positive = 1 / (1 + np.exp(-raw)) if kind == "logit" else raw
    return np.concatenate([1 - positive, positive], axis=1)


@pytest.mark.parametrize(
    "kind",
    [
        "softmax", "softmax layer", "softmax activation", "softmax operation", "softmax of a relu",
        "softmax of a convolution", "logits", "sigmoid", "sigmoid layer", "logit",
    ],
)  # fmt: skip
@pytest.mark.parametrize("normalisation", ["unit", "caffe"])
def test_rebuilt_model_answers_bytes_as_the_model_answered_what_was_made_of_them(
    kind: str, normalisation: str
):
    model, images = ending(kind), random_images()
    new = rebuilt(model, normalisation)
    fed = of_keras(normalisation, images.astype(np.float32))
    np.testing.assert_allclose(answers(new, images), expected(kind, model, fed), atol=1e-5)
    assert new.get_layer("logits").get_weights()[1].shape == (new.output_shape[1],)
    assert new.get_layer("probabilities").compute_dtype == "float32"


@pytest.mark.parametrize("name", list(NORMALISATIONS))
def test_normalisations_are_those_of_keras(name: str):
    images = random_images()
    by_keras = of_keras(name, images.astype(np.float32))
    np.testing.assert_allclose(NORMALISATIONS[name].apply(images), by_keras, atol=1e-4)


def test_rebuilt_model_survives_saving_and_its_layers_can_be_exported(tmp_path: Path):
    import keras

    model, images = ending("softmax"), random_images()
    new = rebuilt(model, "torch")
    new.save(tmp_path / "new.keras")
    loaded = keras.models.load_model(tmp_path / "new.keras")
    np.testing.assert_array_equal(answers(loaded, images), answers(new, images))
    names = [layer.name for layer in new.layers]
    assert not [name for name in names if name.startswith("_")]  # the model had one
    assert len(set(names)) == len(names)
    assert names[:2] == ["image", "normalisation"]


def test_models_inside_a_model_are_laid_open_so_that_grad_cam_finds_the_last_features():
    import keras
    from keras import layers

    from train.report.gradcam import explainable, grad_cam

    inner = keras.Sequential(
        [
            keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="logits"),
            layers.BatchNormalization(), layers.ReLU(),
        ]
    )  # fmt: skip
    image = keras.Input((32, 32, 3), name="features")
    x = layers.RandomFlip()(image)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    x = keras.Sequential([layers.RandomRotation(0.1), inner], name="_backbone")(x, training=False)
    x = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model, images = keras.Model(image, x), random_images()
    new = rebuilt(model)
    np.testing.assert_allclose(answers(new, images), answers(model, images), atol=1e-6)
    kinds = {type(layer).__name__ for layer in new.layers}
    assert not kinds & {"Functional", "Sequential", "RandomFlip", "RandomRotation"}
    assert explainable(new)
    assert isinstance(new.get_layer("features"), layers.ReLU)
    again = keras.models.clone_model(new)
    again.set_weights(new.get_weights())
    assert grad_cam(again, images, np.zeros(5, np.int64)).shape == (5, 30, 30)


def test_normalisation_that_was_adapted_to_the_images_comes_along():
    import keras
    from keras import layers

    adapted = layers.Normalization()
    adapted.adapt(random_images().astype(np.float32))
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(adapted(image)))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    np.testing.assert_allclose(
        answers(rebuilt(model), random_images()), answers(model, random_images()), atol=1e-6
    )


def test_model_in_half_precision_is_rebuilt_in_float32():
    import keras
    from keras import layers

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((32, 32, 3))
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(inputs))
        model = keras.Model(inputs, layers.Dense(3, activation="softmax", dtype="float32")(x))
    finally:
        keras.config.set_dtype_policy(before)
    new = rebuilt(model, "unit")
    assert {layer.compute_dtype for layer in new.layers} == {"float32"}
    images = random_images()
    from train.importing.foreign import foreign

    difference = np.abs(answers(new, images) - answers(model, images / np.float32(255))).max()
    assert 0 < difference < foreign(model).tolerance == 0.02
    assert foreign(ending("softmax")).tolerance == 1e-4


def test_model_of_any_size_is_built_for_the_size_that_is_asked_for():
    import keras
    from keras import layers

    inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    with pytest.raises(UsageError, match="takes images of any size; say which with --input-size"):
        rebuilt(model)
    assert rebuilt(model, size=48).input_shape == (None, 48, 48, 3)
    with pytest.raises(UsageError, match="takes images of 32 px, not 48"):
        rebuilt(ending("softmax"), size=48)


def _dense(*shape: int | None, **options: Any) -> Any:
    import keras
    from keras import layers

    inputs = keras.Input(shape)
    x = layers.Flatten()(inputs) if None not in shape else inputs
    return keras.Model(inputs, layers.Dense(**options)(x))


def _two_inputs() -> Any:
    import keras
    from keras import layers

    one, two = keras.Input((32, 32, 3)), keras.Input((4,))
    x = layers.Concatenate()([layers.Flatten()(one), two])
    return keras.Model([one, two], layers.Dense(3, activation="softmax")(x))


def _mean_of_two() -> Any:
    import keras
    from keras import layers

    body = elsewhere.features(4)
    heads = [layers.Dense(3, activation="softmax")(body.outputs[0]) for _ in range(2)]
    return keras.Model(body.inputs[0], layers.Average()(heads))


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: _dense(32, 32, 1, units=3), r"shape \(any, 32, 32, 1\), which is grey"),
        (lambda: _dense(3, 32, 32, units=3), "three channels .channels come last.: "),
        (lambda: _dense(32, 48, 3, units=3), "which is not square"),
        (lambda: _dense(32, 32, 4, units=3), "expected three channels"),
        (lambda: _dense(100, units=3), r"shape \(any, 100\), expected \(images, height, width, 3"),
        (lambda: _dense(None, None, 3, units=3), "answers with the shape"),
        (_two_inputs, "has 2 inputs and 1 outputs, expected one image"),
        (lambda: _dense(32, 32, 3, units=3, activation="sigmoid"), "sigmoid of 3 outputs"),
        (lambda: _dense(32, 32, 3, units=3, activation="tanh"), "ends in the activation tanh"),
        (lambda: _dense(32, 32, 3, units=1, activation="softmax"), "which is always one"),
    ],
)
def test_model_that_is_no_classifier_of_rgb_squares_is_refused(build: Any, sentence: str):
    from train.importing.foreign import foreign

    with pytest.raises(ConversionError, match=sentence):
        foreign(build())


def test_answers_that_are_probabilities_already_are_not_taken_for_logits():
    from train.importing.foreign import foreign

    with pytest.raises(ConversionError, match=r"answers sum to one, and its last layer .Average."):
        foreign(_mean_of_two()).probabilities(random_images(), NORMALISATIONS["unit"])
