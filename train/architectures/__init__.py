"""The architectures that can be trained, by name.

Adding one means one new module and one line in ``ARCHITECTURES``. The module holds a constant
``BACKBONE`` (see ``train.architectures._assembly.Backbone``); input, normalisation and head are
the same for every architecture and are added around it.

The contract that every model meets, and that conversion and the explanations rely on:

- input ``image``: float32, shape (batch, input_size, input_size, 3), RGB, values 0 to 255;
- layer ``normalisation`` brings those values into the range that the backbone expects;
- the backbone's layers lie in the same graph, none nested; the last one is named ``features``;
- head: ``pool``, ``dropout``, ``logits`` (Dense), ``probabilities`` (softmax in float32).

Importing this module loads neither Keras nor TensorFlow; building a model does.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING

from edge_runtime.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    import keras

__all__ = [
    "ARCHITECTURES",
    "INPUT_SIZES",
    "Architecture",
    "Built",
    "backbone_layers",
    "build",
    "freeze",
]

INPUT_SIZES = range(32, 513)
"""Edge lengths in pixels. Five halvings of 32 leave one; beyond 512 a small device is too slow."""


@dataclass(frozen=True)
class Architecture:
    """One entry of the registry.

    ``default_input_size`` is an edge length in pixels; ``module`` is imported only on building;
    ``has_width`` says whether a factor on the channels may be chosen.
    """

    name: str
    summary: str
    default_input_size: int
    module: str
    has_width: bool = False


@dataclass(frozen=True)
class Built:
    """A model, and one phrase that says where its weights came from."""

    model: keras.Model
    weights: str


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        architecture.name: architecture
        for architecture in (
            Architecture(
                "plain_cnn",
                "five convolutions trained from scratch; 0.35 M parameters",
                128,
                "train.architectures.plain_cnn",
                has_width=True,
            ),
            Architecture(
                "efficientnet_lite0",
                "EfficientNet-Lite0 with ImageNet weights; 3.4 M parameters, quantizes well",
                160,
                "train.architectures.efficientnet_lite0",
            ),
            Architecture(
                "efficientnet_lite1",
                "the same with more blocks, and ImageNet weights; 4.2 M parameters",
                160,
                "train.architectures.efficientnet_lite1",
            ),
            Architecture(
                "efficientnet_lite2",
                "the same with more blocks and wider ones; 4.9 M parameters",
                192,
                "train.architectures.efficientnet_lite2",
            ),
            Architecture(
                "efficientnet_lite0_front",
                "the first five of EfficientNet-Lite0's seven stages, with ImageNet weights; "
                "0.8 M parameters",
                128,
                "train.architectures.efficientnet_lite0_front",
            ),
            Architecture(
                "mobilenet_v2",
                "MobileNetV2 with a width factor, ImageNet weights where they can be downloaded; "
                "2.3 M parameters at width 1, 0.4 M at 0.35",
                160,
                "train.architectures.mobilenet_v2",
                has_width=True,
            ),
        )
    }
)


def build(
    name: str,
    *,
    input_size: int,
    classes: int,
    dropout: float = 0.2,
    pretrained: bool = True,
    width: float = 1.0,
) -> Built:
    """Build a model that meets the contract in this module's docstring.

    Args:
        name: a key of ``ARCHITECTURES``.
        input_size: edge length of the square input, in pixels, 32 to 512.
        classes: number of classes, at least 2.
        dropout: fraction of pooled features dropped in training, from 0 up to but not 1.
        pretrained: load published weights into the backbone where the architecture has any and
            they can be had. Otherwise it is initialised at random, and ``Built.weights`` says so.
        width: factor on the channels, of architectures that have one; parameters grow with its
            square.

    Random weights follow ``keras.utils.set_random_seed``.

    Raises:
        UsageError: the name, a size or the width is not one that can be built.
        MissingExtraError: the package with the published weights, or Keras, is not installed.
        TrainingError: the published weights are damaged or do not fit the backbone.
    """
    architecture = _find(name)
    _check_sizes(input_size, classes, dropout)
    _check_width(architecture, width)
    try:
        from train.architectures._assembly import assemble
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f'building a model needs {error.name}; run pip install "dermedge[train]"'
        ) from error
    backbone = importlib.import_module(architecture.module).BACKBONE
    model, weights = assemble(
        backbone,
        name=name,
        input_size=input_size,
        classes=classes,
        dropout=dropout,
        pretrained=pretrained,
        options={"width": width} if architecture.has_width else {},
    )
    return Built(model, weights)


def backbone_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers between normalisation and head, in the order in which an image passes them.

    Works on a model just built and on one loaded from a file. Setting ``layer.trainable`` on
    some of them freezes those; the last is ``features``, what Grad-CAM looks at.

    Raises:
        UsageError: the model does not meet the contract in this module's docstring.
    """
    names = [layer.name for layer in model.layers]
    try:
        first, last = names.index("normalisation") + 1, names.index("features")
    except ValueError as error:
        raise UsageError(
            f"model {model.name!r} has no layers named 'normalisation' and 'features'; "
            "expected a model made by train.architectures.build"
        ) from error
    return list(model.layers[first : last + 1])


def freeze(model: keras.Model, stride: int) -> None:
    """Make only those layers of the backbone trainable whose maps are small.

    Args:
        model: as for `backbone_layers`.
        stride: maps whose side is at least the input's divided by this stay as they are; 0 makes
            every layer trainable.
    """
    side = model.input_shape[1]
    for layer in backbone_layers(model):
        layer.trainable = layer.output.shape[1] * stride < side


def _find(name: str) -> Architecture:
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    spelled = name.lower().replace("-", "_").replace(" ", "_")
    near = get_close_matches(spelled, ARCHITECTURES, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"no architecture {name!r}; {hint}choose from: {', '.join(ARCHITECTURES)}")


def _check_sizes(input_size: int, classes: int, dropout: float) -> None:
    if input_size not in INPUT_SIZES:
        raise UsageError(
            f"input size {input_size} cannot be built; expected a whole number of pixels "
            f"from {INPUT_SIZES.start} to {INPUT_SIZES.stop - 1}"
        )
    if classes < 2:
        raise UsageError(f"cannot build a classifier of {classes} classes; expected at least 2")
    if not 0.0 <= dropout < 1.0:
        raise UsageError(f"dropout {dropout} cannot be used; expected a number from 0 to below 1")


def _check_width(architecture: Architecture, width: float) -> None:
    if not (math.isfinite(width) and width > 0):
        raise UsageError(f"width {width} cannot be built; expected a number above 0, such as 0.5")
    if width != 1.0 and not architecture.has_width:
        others = [name for name, other in ARCHITECTURES.items() if other.has_width]
        raise UsageError(
            f"{architecture.name} comes in one width, so width {width:g} cannot be built; leave it "
            f"at 1, or choose from: {', '.join(others)}"
        )
