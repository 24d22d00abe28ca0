"""Models as people who train elsewhere bring them: their input is normalised outside the model.

The network is small: two random convolutions, whose features go into a dense layer that
scikit-learn fits. That takes a second, tells the classes of the generated images apart, and answers
much worse where its input is normalised by another rule.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.preprocess import InputRule
from train.data.table import Dataset, read_data
from train.data.tensors import digest_files, load_tensors

SIZE = 32
Preprocess = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def tensors_of(data: Dataset, size: int = SIZE) -> NDArray[np.float32]:
    """The images as float bytes, of shape (n, size, size, 3)."""
    files = [record.file for record in data.records]
    return np.asarray(load_tensors(files, digest_files(files), InputRule(size)), np.float32)


def rows_of(data: Dataset, part: str) -> NDArray[np.bool_]:
    return np.array([record.split == part for record in data.records])


def codes_of(data: Dataset) -> NDArray[np.str_]:
    return np.array([record.label for record in data.records])


def features(filters: int = 48) -> Any:
    """Random convolutions and a pooling, always the same ones."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(filters, 5, strides=2, activation="relu", name="_stem"),
            layers.Conv2D(filters, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    for layer in model.layers[:2]:
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, np.random.default_rng(4).normal(0, 0.2, bias.shape)])
    return model


def trained(folder: Path, preprocess: Preprocess, positive: str | None = None) -> Any:
    """A network that ends in logits.

    Args:
        folder: data whose part "train" it is fitted to.
        preprocess: from float bytes to its input, outside the model.
        positive: with a class, a single logit for it; otherwise one for each class.
    """
    import keras
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = read_data(folder)
    seen = rows_of(data, "train")
    body = features()
    inputs = np.asarray(body(preprocess(tensors_of(data)[seen].copy())))
    truth = codes_of(data)[seen]
    if positive is not None:
        truth = np.where(truth == positive, "z", "a")  # scikit-learn sorts
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    fitted.fit(inputs, truth)
    scaler, regression = fitted[0], fitted[1]
    kernel = (regression.coef_ / scaler.scale_).T
    bias = regression.intercept_ - scaler.mean_ @ kernel
    dense = keras.layers.Dense(kernel.shape[1])
    model = followed_by(body, dense)
    dense.set_weights([kernel, bias])
    return model


def followed_by(model: Any, layer: Any) -> Any:
    """The model and one layer more."""
    import keras

    return keras.Sequential([keras.Input(model.input_shape[1:]), *model.layers, layer])


def unit(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """What most people do."""
    return images / 255.0
