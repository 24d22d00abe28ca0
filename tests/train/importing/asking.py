"""What the tests of import share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_runtime.commands import main
from tests.train import foreign as elsewhere
from train.config import TrainConfig
from train.data.table import Dataset

CODES = ("bkl", "mel", "nv")
QUICK = TrainConfig(bootstrap=100)


def random_images(size: int = elsewhere.SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, size, size, 3), np.uint8)


def answers(model: Any, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images.astype(np.float32), training=False))


def without_split(data: Dataset) -> Dataset:
    return data.with_records(replace(record, split=None) for record in data.records)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The sentence with which a call is refused; nothing is left behind."""
    capsys.readouterr()
    assert main(["import", *map(str, words)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last.startswith("dermedge: ")
    return last


def ending(kind: str, body: Any = None) -> Any:
    """A small model that ends in that way."""
    import keras
    from keras import layers

    body = body or elsewhere.features(8)
    x = body.outputs[0]
    if kind == "softmax":
        x = layers.Dense(3, activation="softmax")(x)
    elif kind == "softmax layer":
        x = layers.Softmax()(layers.Dense(3)(x))
    elif kind == "softmax activation":
        x = layers.Activation("softmax")(layers.Dense(3, use_bias=False)(x))
    elif kind == "softmax operation":
        x = keras.ops.softmax(layers.Dense(3)(x))
    elif kind == "softmax of a relu":
        x = layers.Softmax()(layers.Dense(3, activation="relu")(x))
    elif kind == "softmax of a convolution":
        x = layers.Conv2D(3, 1)(layers.Reshape((1, 1, -1))(x))
        x = layers.Activation("softmax")(layers.Flatten()(x))
    elif kind == "logits":
        x = layers.Dense(3)(x)
    elif kind == "sigmoid":
        x = layers.Dense(1, activation="sigmoid")(x)
    elif kind == "sigmoid layer":
        x = layers.Activation("sigmoid")(layers.Dense(1)(x))
    else:
        assert kind == "logit"
        x = layers.Dense(1)(x)
    return keras.Model(body.inputs[0], x)
