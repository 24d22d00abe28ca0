"""A foreign network rebuilt as those that are trained here.

What comes out meets the contract of `train.architectures` as far as the rest relies on it: input
``image`` of RGB values 0 to 255, normalisation inside, one flat graph of layers in float32, a dense
layer ``logits`` that a temperature can be folded into, a softmax ``probabilities`` in float. The
last map of features is called ``features`` where there is one, for Grad-CAM.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from edge_runtime.errors import ConversionError
from train.importing.foreign import Foreign
from train.importing.graph import flat
from train.importing.normalisation import LAYER, Normalisation

RESERVED = ("image", LAYER, "features", "logits", "probabilities")
"""Names of layers that the rest relies on."""


def rebuild(of: Foreign, size: int, normalisation: Normalisation) -> Any:
    """The same function of bytes, in the form that is described at the top of this module.

    Raises:
        ConversionError: Keras cannot put the layers together anew.
    """
    try:
        image = keras.Input((size, size, 3), dtype="float32", name="image")
        normalised = normalisation.build(image)
        own = None if normalised is image else keras.Model(image, normalised).operations[-1]
        body = _renewed(flat(keras.Model(image, of.model(normalised))), own)
        return _with_head(body, of)
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionError(
            f"The model's layers cannot be put together for images of {size} px ({reason[:200]}); "
            "build it from Keras's own layers, each of them used once."
        ) from None


def _renewed(model: Any, own: Any) -> Any:
    """New layers of the same weights, in float32, under names that a SavedModel can hold.

    Args:
        model: flat.
        own: the one layer that keeps its name; None for no such.
    """
    pairs: list[tuple[Any, Any]] = []
    taken = set(RESERVED)

    def renew(operation: Any) -> Any:
        config = operation.get_config()
        if isinstance(operation, layers.Layer):
            config["dtype"] = "float32"
        if operation is not own:
            config["name"] = _free_name(operation.name, taken)
        new = type(operation).from_config(config)
        pairs.append((operation, new))
        return new

    renewed = keras.models.clone_model(model, clone_function=renew)
    for old, new in pairs:
        if isinstance(old, layers.Layer):
            new.set_weights(old.get_weights())
        if isinstance(new, layers.Normalization):
            new.finalize_state()  # it computes with copies of its weights
    maps = [layer for layer in renewed.layers if _is_map(layer)]
    if maps and maps[-1].name not in ("image", LAYER):
        maps[-1].name = "features"
    return renewed


def _free_name(name: str, taken: set[str]) -> str:
    """A name that no other layer has and that does not begin with an underscore."""
    stem = name.lstrip("_") or "layer"
    free, number = stem, 1
    while free in taken:
        free, number = f"{stem}_{number}", number + 1
    taken.add(free)
    return free


def _is_map(layer: Any) -> bool:
    """Whether a layer's answer, given once, has more than one place in height and in width."""
    try:
        shape = tuple(layer.output.shape)
    except (AttributeError, ValueError):
        return False  # used more than once
    return len(shape) == 4 and None not in shape[1:] and min(shape[1:3]) > 1


def _with_head(body: Any, of: Foreign) -> Any:
    """Logits in a dense layer of their own, then a softmax of at least two classes."""
    features, kernel, bias = _split(body, of)
    if of.outputs == 1:  # softmax([0, z]) is sigmoid(z)
        kernel = np.concatenate([np.zeros_like(kernel), kernel], axis=1)
        bias = np.concatenate([np.zeros_like(bias), bias])
    logits = layers.Dense(of.classes, name="logits", dtype="float32")
    answer = layers.Activation("softmax", dtype="float32", name="probabilities")(logits(features))
    logits.set_weights([kernel, bias])
    return keras.Model(body.inputs[0], answer, name="imported")


def _split(body: Any, of: Foreign) -> tuple[Any, NDArray[np.float32], NDArray[np.float32]]:
    """What goes into the last dense layer, and its weights.

    Where the logits come from something else (a convolution, a pooling), the dense layer is added:
    it passes them on as they are.
    """
    last = body.operations[-1]
    if of.ending != "linear" and not isinstance(last, layers.Dense):
        body = keras.Model(body.inputs[0], last.input)
        last = body.operations[-1]
        plain = isinstance(last, layers.Dense) and last.activation is keras.activations.linear
    else:
        plain = isinstance(last, layers.Dense)
    if not plain:
        return body.outputs[0], np.eye(of.outputs, dtype=np.float32), np.zeros(of.outputs, "f4")
    kernel, *rest = last.get_weights()
    return last.input, kernel, rest[0] if rest else np.zeros(of.outputs, np.float32)
