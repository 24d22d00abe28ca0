"""MobileNetV2: inverted residuals with linear bottlenecks, as `keras.applications` builds it.

M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, table 2. The
width is the paper's multiplier: it scales the channels of every layer but the last convolution,
which it only widens.
"""

from __future__ import annotations

import keras
from keras import layers

from train.architectures._assembly import Backbone
from train.architectures._mobilenet_v2_weights import load_weights

BATCH_NORM_MOMENTUM = 0.9
"""Keras's 0.999 is for the length of ImageNet: after 1,000 steps, the moving averages still hold a
third of what they began with, and a small data set gives 50 steps in an epoch."""


def features(x: keras.KerasTensor, *, width: float = 1.0) -> keras.KerasTensor:
    """Map images (batch, size, size, 3) in -1 to 1 to a map of 1280 channels, more above width 1.

    Its edge is size / 32, rounded up.
    """
    built = keras.applications.MobileNetV2(
        input_tensor=x, alpha=width, include_top=False, weights=None
    )
    for layer in built.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    # Its own last ReLU6 is left out, since the contract names that layer.
    return layers.ReLU(max_value=6.0, name="features")(built.get_layer("Conv_1_bn").output)


BACKBONE = Backbone(scale=1 / 127.5, offset=-1.0, features=features, load_weights=load_weights)
