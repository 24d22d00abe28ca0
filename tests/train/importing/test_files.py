"""What is no safe Keras model is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import (
    ConversionError,
    UsageError,
)
from tests.train.importing.asking import ending
from train.importing.file import read_model


def _with_lambda(file: Path) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3))
    x = layers.Lambda(lambda image: image / 255.0)(inputs)
    keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))).save(file)


def _with_own_class(file: Path) -> None:
    import keras
    from keras import layers

    class Halved(layers.Layer):
        def call(self, image: Any) -> Any:
            return image / 2

    inputs = keras.Input((32, 32, 3))
    keras.Model(inputs, layers.Dense(3)(layers.Flatten()(Halved()(inputs)))).save(file)


def _cut_off(file: Path) -> None:
    ending("softmax").save(file)
    file.write_bytes(file.read_bytes()[:2000])


def _without_weights(file: Path) -> None:
    import zipfile

    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("name", "write", "sentence"),
    [
        ("m.keras", None, "There is no file .*m.keras; name a Keras model file"),
        ("m.keras", lambda file: file.write_text("no model"), "damaged or not a Keras model"),
        ("m.keras", _cut_off, "damaged or not a Keras model"),
        ("m.keras", _without_weights, "m.keras does not load with the Keras that is installed"),
        ("m.pt", lambda file: file.write_text("torch"), "m.pt ends in .pt, expected .keras"),
        ("m.h5", lambda file: file.write_text("no model"), "m.h5 does not load with the Keras"),
        ("m.keras", _with_lambda, "holds Python code .a Lambda layer., which is not run"),
        ("m.h5", _with_lambda, "holds Python code .a Lambda layer., which is not run"),
        ("m.keras", _with_own_class, "needs a class of its own, Halved"),
    ],
)
def test_file_that_is_no_safe_keras_model_is_refused(
    tmp_path: Path, name: str, write: Any, sentence: str
):
    if write is not None:
        write(tmp_path / name)
    with pytest.raises((UsageError, ConversionError), match=sentence) as refused:
        read_model(tmp_path / name)
    assert "\n" not in str(refused.value)
