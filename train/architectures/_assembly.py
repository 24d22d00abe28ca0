"""Input, normalisation and head around a backbone: what every architecture has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
from keras import layers

RANDOM_WEIGHTS = "random initialisation"


@dataclass(frozen=True)
class Backbone:
    """What a module of this package says about its architecture, as its constant ``BACKBONE``.

    Attributes:
        scale, offset: bytes become ``byte * scale + offset`` before the first layer.
        features: ``features(x, **options)`` maps a Keras tensor (batch, size, size, 3) to a
            feature map (batch, height, width, channels) whose last layer is named ``features``.
            The only option is ``width``, a factor on the channels, keyword-only and 1 by default,
            of architectures that have one. No layer's name starts with an underscore
            (a SavedModel cannot hold it), none is a nested model, and activations are ReLU or
            ReLU6, which every converter and int8 kernel knows.
        load_weights: ``load_weights(model, **options)`` sets every weight of the backbone in a
            model just built and returns where they came from; None where nothing is published.
    """

    scale: float
    offset: float
    features: Callable[..., keras.KerasTensor]
    load_weights: Callable[..., str] | None = None


def assemble(
    backbone: Backbone,
    *,
    name: str,
    input_size: int,
    classes: int,
    dropout: float,
    pretrained: bool,
    options: Mapping[str, float],
) -> tuple[keras.Model, str]:
    """Build the model around ``backbone``; return it and where its weights came from.

    Raises:
        MissingExtraError, TrainingError: as ``backbone.load_weights`` does.
    """
    image = keras.Input((input_size, input_size, 3), dtype="float32", name="image")
    x = layers.Rescaling(backbone.scale, backbone.offset, name="normalisation")(image)
    x = backbone.features(x, **options)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(classes, name="logits")(x)
    # In float32 whatever the precision policy: in half precision probabilities do not sum to one.
    x = layers.Activation("softmax", dtype="float32", name="probabilities")(x)
    model = keras.Model(image, x, name=name)

    if pretrained and backbone.load_weights is not None:
        return model, backbone.load_weights(model, **options)
    return model, RANDOM_WEIGHTS
