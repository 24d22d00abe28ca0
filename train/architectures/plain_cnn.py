"""A plain convolutional network, trained from scratch: the baseline that others must beat.

Five times convolution, batch normalization and ReLU; max pooling follows the first three. The
first convolution takes every second pixel: on full-size maps, batch normalization alone took
half of a training step. The feature map's edge is thus a sixteenth of the input's (2 x 2 at 32
pixels), and one of its positions has seen 105 x 105 pixels.
"""

from __future__ import annotations

import keras
from keras import layers

from train.architectures._assembly import Backbone

FILTERS = (24, 48, 96, 128, 160)
KERNEL = 3
STEM_STRIDE = 2
POOLED_STAGES = 3
CHANNEL_MULTIPLE = 8
"""Channels stay a multiple of this: integer kernels on small processors work in groups of 8."""
BATCH_NORM_MOMENTUM = 0.9
"""Keras's 0.99 needs some 500 steps to forget its start; a small data set has 50 in an epoch."""


def features(x: keras.KerasTensor, *, width: float = 1.0) -> keras.KerasTensor:
    """Map images (batch, size, size, 3) in -1 to 1 to a map of 160 channels at width 1.

    Its edge is about size / 16 (each halving may round). ``width`` multiplies the channels of
    every stage; parameters grow with its square.
    """
    for stage, filters in enumerate(FILTERS, start=1):
        last = stage == len(FILTERS)
        x = layers.Conv2D(
            _scaled(filters, width),
            KERNEL,
            strides=STEM_STRIDE if stage == 1 else 1,
            padding="same",
            use_bias=False,  # batch normalization follows and has one
            kernel_initializer="he_normal",
            name=f"stage{stage}_conv",
        )(x)
        x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"stage{stage}_bn")(x)
        x = layers.ReLU(name="features" if last else f"stage{stage}_relu")(x)
        if stage <= POOLED_STAGES:
            x = layers.MaxPooling2D(name=f"stage{stage}_pool")(x)
    return x


def _scaled(filters: int, width: float) -> int:
    groups = round(filters * width / CHANNEL_MULTIPLE)
    return CHANNEL_MULTIPLE * max(1, groups)


BACKBONE = Backbone(scale=1 / 127.5, offset=-1.0, features=features)
