"""A Keras model as one flat graph of what it does in use."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

_AUGMENTATIONS = (
    layers.RandAugment, layers.AugMix, layers.MixUp, layers.CutMix,
    *(
        kind for name, kind in vars(layers).items()
        if name.startswith("Random") and name != "RandomCrop"  # which crops in use as well
    ),
)  # fmt: skip
"""Layers that only training needs. Keras leaves their random numbers in the graph all the same, and
no format for devices has such operators."""


def flat(model: Any) -> Any:
    """The model's graph on the same layers: inner models laid open, augmentation left out.

    Args:
        model: functional.
    """

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(layer, _AUGMENTATIONS):
            return arguments[0]
        if isinstance(layer, keras.Model):
            return layer.call(*arguments, **options)
        return layer(*arguments, **options)

    unwanted = (keras.Model, *_AUGMENTATIONS)
    while any(isinstance(operation, unwanted) for operation in model.operations):
        model = keras.models.clone_model(
            model, clone_function=lambda layer: layer, call_function=call
        )
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model
