"""A network that is known to break in 8 bits: MobileNetV3's blocks, small.

Squeeze-and-excitation multiplies a feature map by a gate, hard-swish has no upper end: both give
activations with long tails, of which 256 steps hold little. Blocks: A. Howard et al., "Searching
for MobileNetV3", ICCV 2019, section 5 and table 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import layers

from train.architectures import Architecture
from train.architectures._assembly import Backbone

BATCH_NORM = {"epsilon": 1e-3, "momentum": 0.9}  # a short training has to fill the averages


class Block(NamedTuple):
    expanded: int
    filters: int
    kernel: int
    stride: int
    squeezed: bool
    swish: bool


BLOCKS = (
    Block(16, 16, 3, 2, True, False),
    Block(72, 24, 3, 2, False, False),
    Block(88, 24, 3, 1, False, False),
    Block(96, 40, 5, 2, True, True),
    Block(240, 40, 5, 1, True, True),
    Block(120, 48, 5, 1, True, True),
    Block(288, 96, 5, 2, True, True),
    Block(576, 96, 5, 1, True, True),
)
"""MobileNetV3-Small without three of its blocks that repeat another one."""


def features(x: Any) -> Any:
    x = _conv(x, 16, 3, "stem", 2, swish=True)
    for number, block in enumerate(BLOCKS):
        x = _block(x, block, f"block{number}")
    x = _conv(x, 576, 1, "head", 1, swish=True)
    return layers.Activation("linear", name="features")(x)


def _block(x: Any, block: Block, name: str) -> Any:
    shortcut = x
    x = _conv(x, block.expanded, 1, f"{name}_expand", 1, swish=block.swish)
    x = layers.DepthwiseConv2D(
        block.kernel, strides=block.stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = layers.BatchNormalization(**BATCH_NORM, name=f"{name}_depthwise_bn")(x)
    x = _activation(x, f"{name}_depthwise", swish=block.swish)
    if block.squeezed:
        x = _squeeze_and_excite(x, name)
    x = layers.Conv2D(block.filters, 1, use_bias=False, name=f"{name}_project")(x)
    x = layers.BatchNormalization(**BATCH_NORM, name=f"{name}_project_bn")(x)
    if shortcut.shape == x.shape:
        x = layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def _squeeze_and_excite(x: Any, name: str) -> Any:
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    gate = layers.Conv2D(max(8, channels // 4), 1, activation="relu", name=f"{name}_reduce")(gate)
    gate = layers.Conv2D(channels, 1, name=f"{name}_restore")(gate)
    gate = layers.Activation("hard_sigmoid", name=f"{name}_gate")(gate)
    return layers.Multiply(name=f"{name}_excite")([x, gate])


def _conv(x: Any, filters: int, kernel: int, name: str, stride: int, *, swish: bool) -> Any:
    x = layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(**BATCH_NORM, name=f"{name}_bn")(x)
    return _activation(x, name, swish=swish)


def _activation(x: Any, name: str, *, swish: bool) -> Any:
    return layers.Activation("hard_silu" if swish else "relu", name=f"{name}_activation")(x)


BACKBONE = Backbone(scale=1 / 127.5, offset=-1.0, features=features)
ARCHITECTURE = Architecture(
    "hard_swish", "MobileNetV3's blocks, for tests of the ladder", 96, "tests.convert.hard_swish"
)

LINEAR = {
    ("block1", "block2"): ("block2_expand_conv", "block3_expand_conv"),
    ("block6", "block7"): ("block7_expand_conv", "head_conv"),
}
"""Blocks that add to one feature map without an activation, and the layers that read it."""


def with_unequal_channels(model: Any, decades: float = 2.0, seed: int = 0) -> None:
    """Let the channels of linear feature maps differ in range, which changes nothing in floats.

    What a block writes is multiplied and what the next layers read is divided, channel by channel.
    Published networks have such channels after a long training, and lose their accuracy in 8 bits
    by them (M. Nagel et al., "Data-free quantization through weight equalization and bias
    correction", ICCV 2019, figure 2).
    """
    rng = np.random.default_rng(seed)
    for blocks, readers in LINEAR.items():
        channels = model.get_layer(f"{blocks[0]}_project_bn").gamma.shape[0]
        factor = 10 ** rng.uniform(-decades / 2, decades / 2, channels).astype(np.float32)
        for block in blocks:
            norm = model.get_layer(f"{block}_project_bn")
            norm.gamma.assign(norm.gamma * factor)
            norm.beta.assign(norm.beta * factor)
        for reader in readers:
            kernel = model.get_layer(reader).kernel
            kernel.assign(kernel / factor[None, None, :, None])
