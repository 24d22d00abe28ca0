"""The front of EfficientNet-Lite0: its first five of seven stages, and a small head of its own.

The two last stages and the head hold three quarters of the weights, for the thousand classes of
ImageNet. What is left has a quarter, and the published ones: a small network need not begin from
random weights.
"""

from __future__ import annotations

import keras

from train.architectures import efficientnet_lite0 as whole
from train.architectures._assembly import Backbone
from train.architectures._lite_weights import load_published

STAGES = whole.STAGES[:5]
HEAD_FILTERS = 224
_HEAD = "front_head"


def features(x: keras.KerasTensor) -> keras.KerasTensor:
    """Map images (batch, size, size, 3) in about -1 to 1 to a map of 224 channels.

    Its edge is size / 16, rounded up.
    """
    x = whole.conv(whole.blocks(x, STAGES), HEAD_FILTERS, 1, _HEAD)
    return whole.relu6(x, "features")


def load_weights(model: keras.Model) -> str:
    """Set the published weights and return where they came from; the head keeps its random ones.

    Raises:
        MissingExtraError, TrainingError: as for the whole network.
    """
    source = load_published(model, whole.PUBLISHED, new=frozenset((f"{_HEAD}_conv", f"{_HEAD}_bn")))
    return f"first five stages of {source}"


BACKBONE = Backbone(
    scale=whole.BACKBONE.scale,
    offset=whole.BACKBONE.offset,
    features=features,
    load_weights=load_weights,
)
