"""Where a network begins and ends, for variants that quantize what lies between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from convert.variants import VARIANTS, Exported, ends
from convert.variants.tflite import float32

SIZE = 16
RESCALING = keras.layers.Rescaling(1 / 127.5, -1)


def network(*head: Any, normalisation: Any = RESCALING) -> keras.Model:
    """A convolution behind a normalisation, and a head of these layers."""
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = normalisation.__class__.from_config(normalisation.get_config())(image)
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    for layer in head:
        x = layer(x)
    return keras.Model(image, keras.layers.Softmax()(x), name="network")


def exported(model: keras.Model, folder: Path) -> Exported:
    signature = [keras.InputSpec(shape=(1, SIZE, SIZE, 3), dtype="float32", name="image")]
    model.export(folder, format="tf_saved_model", input_signature=signature, verbose=False)
    pictures = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3)).astype(np.uint8)
    return Exported(model, folder, SIZE, pictures, ("mel", "nv"))


def usual_head() -> tuple[Any, ...]:
    pool = keras.layers.GlobalAveragePooling2D(name="pool")
    return pool, keras.layers.Dense(2, name="logits")


def test_head_is_the_pooling_and_the_last_layer(tmp_path: Path) -> None:
    names = ends.tflite_head(float32(exported(network(*usual_head()), tmp_path)))
    assert [name.split("/")[1] for name in names] == ["logits_1", "pool_1"]


def test_only_the_last_of_several_dense_layers_is_head(tmp_path: Path) -> None:
    """The others may hold most of the weights."""
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")
    last = keras.layers.Dense(2, name="logits")
    names = ends.tflite_head(
        float32(exported(network(keras.layers.Flatten(), hidden, last), tmp_path))
    )
    assert [name.split("/")[1] for name in names] == ["logits_1"]


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (RESCALING, True),
        (keras.layers.Rescaling([0.1, 0.2, 0.3], [0.0, 0.1, 0.2]), False),
        (keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0]), False),
        (keras.layers.ReLU(), False),
    ],
)
def test_normalisation_is_one_that_is_the_same_for_all_channels(layer: Any, found: bool) -> None:
    assert (ends.normalisation(network(*usual_head(), normalisation=layer)) is not None) == found


def test_normalisation_whose_input_goes_elsewhere_too_is_left_where_it_is() -> None:
    image = keras.Input((SIZE, SIZE, 3), name="image")
    both = keras.layers.Concatenate()([keras.layers.Rescaling(1 / 255)(image), image])
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(both))
    assert ends.normalisation(model) is None


@pytest.mark.parametrize("name", ["tflite_int8", "onnx_int8"])
@pytest.mark.parametrize(
    "layer", [RESCALING, keras.layers.Rescaling([0.01, 0.009, 0.008], [-1.0, -0.9, -0.8])]
)
def test_quantized_file_answers_as_the_network_whatever_its_normalisation(
    name: str, layer: Any, tmp_path: Path
) -> None:
    from train.evaluation.execution import run_images

    keras.utils.set_random_seed(0)
    given = exported(network(*usual_head(), normalisation=layer), tmp_path)
    content = VARIANTS[name].convert(given).model()
    pictures = given.calibration
    answers = run_images(content, VARIANTS[name].format, pictures, np.arange(len(pictures)))
    expected = given.model.predict(pictures.astype(np.float32), verbose=0)
    np.testing.assert_allclose(answers, expected, atol=0.01)
    assert np.ptp(expected[:, 0]) > 1e-3


def test_file_whose_first_layer_is_in_float_still_takes_bytes(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    from train.evaluation.execution import run_images

    keras.utils.set_random_seed(0)
    given = exported(network(*usual_head()), tmp_path)
    made = VARIANTS["tflite_int8"].convert(given)
    (first,) = [one for one in made.layer_errors() if "conv" in one.layer]
    content = made.model([first.tensor])
    (source,) = Interpreter(model_content=content).get_input_details()
    assert source["dtype"] == np.uint8
    answers = run_images(content, "tflite", given.calibration, np.arange(8))
    expected = given.model.predict(given.calibration.astype(np.float32), verbose=0)
    np.testing.assert_allclose(answers, expected, atol=2e-3)
