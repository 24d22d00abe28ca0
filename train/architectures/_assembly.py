"""Input, normalisation and head around a backbone: what every architecture has in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from edge_runtime.errors import UsageError

RANDOM_WEIGHTS = "random initialisation"


@dataclass(frozen=True)
class Backbone:
    """What a module of this package says about its architecture, as its constant ``BACKBONE``.

    Attributes:
        scale, offset: bytes become ``byte * scale + offset`` before the first layer.
        features: ``features(x, **options)`` maps a Keras tensor (batch, size, size, 3) to a
            feature map (batch, height, width, channels) whose last layer is named ``features``.
            Options are keyword-only with defaults. No layer's name starts with an underscore
            (a SavedModel cannot hold it), none is a nested model, and activations are ReLU or
            ReLU6, which every converter and int8 kernel knows.
        load_weights: sets every weight of the backbone in a model just built and returns where
            they came from; None where nothing is published.
    """

    scale: float
    offset: float
    features: Callable[..., keras.KerasTensor]
    load_weights: Callable[[keras.Model], str] | None = None


def assemble(
    backbone: Backbone,
    *,
    name: str,
    input_size: int,
    classes: int,
    dropout: float,
    pretrained: bool,
    options: Mapping[str, Any],
) -> tuple[keras.Model, str]:
    """Build the model around ``backbone``; return it and where its weights came from.

    Raises:
        UsageError: an option that the backbone does not take.
        MissingExtraError, TrainingError: as ``backbone.load_weights`` does.
    """
    _check_options(backbone, name, options)
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
        return model, backbone.load_weights(model)
    return model, RANDOM_WEIGHTS


def _check_options(backbone: Backbone, name: str, options: Mapping[str, Any]) -> None:
    parameters = inspect.signature(backbone.features).parameters.values()
    known = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(
            f"architecture {name!r} has no option {', '.join(map(repr, unknown))}; "
            f"it takes: {', '.join(known) or 'none'}"
        )
