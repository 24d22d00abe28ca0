"""How bytes become the values that a network was trained on, and the layer that does it.

The rules are those that come with Keras's own networks, the modes of
``keras.applications.imagenet_utils.preprocess_input``:

    none    bytes as they are, 0 to 255; the network brings its own rule as a layer (EfficientNet,
            EfficientNetV2, MobileNetV3, ConvNeXt)
    unit    x / 255, from 0 to 1; the usual ``Rescaling(1 / 255)``
    tf      x / 127.5 - 1, from -1 to 1 (MobileNet, MobileNetV2, Inception, Xception, NASNet,
            ResNet V2)
    torch   x / 255, less the mean, by the standard deviation of ImageNet's channels (DenseNet)
    caffe   blue, green, red; less the mean of ImageNet's channels (VGG, ResNet)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYER = "normalisation"
"""Name of the layer, as in the networks that are trained here."""

# Of ImageNet's channels: means 0.485, 0.456, 0.406 and deviations 0.229, 0.224, 0.225.
_BY_DEVIATION = (1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225))
_LESS_MEAN = (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225)
_LESS_MEAN_BGR = (-103.939, -116.779, -123.68)  # in grey levels

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Normalisation:
    """One rule: channel by channel, ``byte * scale + offset``.

    Attributes:
        name: as users call it.
        formula: in a few words.
        scale, offset: of the channels, in the order in which the network takes them.
        bgr: the network takes blue first.
    """

    name: str
    formula: str
    scale: Channels = (1.0, 1.0, 1.0)
    offset: Channels = (0.0, 0.0, 0.0)
    bgr: bool = False

    def apply(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network is fed, in NumPy; both of shape (n, height, width, 3)."""
        ordered = images[..., ::-1] if self.bgr else images
        scale, offset = np.array(self.scale, np.float32), np.array(self.offset, np.float32)
        answer: NDArray[np.float32] = ordered * scale + offset
        return answer

    def build(self, image: Any) -> Any:
        """The same as a layer, applied to a Keras tensor of RGB values 0 to 255.

        The order of the channels is changed by a convolution of ones and zeros: exact in float,
        and every converter and 8-bit kernel knows it, which cannot be said of a reversal.
        """
        from keras import layers

        if self.bgr:
            layer = layers.Conv2D(3, 1, trainable=False, name=LAYER)
            swapped = layer(image)
            kernel = np.eye(3)[::-1] * np.array(self.scale)
            layer.set_weights([kernel[np.newaxis, np.newaxis], np.array(self.offset)])
            return swapped
        if self.scale == (1.0, 1.0, 1.0) and self.offset == (0.0, 0.0, 0.0):
            return image
        return layers.Rescaling(_shortest(self.scale), _shortest(self.offset), name=LAYER)(image)


def _shortest(values: Channels) -> float | list[float]:
    """One number where all channels share it: one number less for a quantizer to round."""
    return values[0] if len(set(values)) == 1 else list(values)


NORMALISATIONS: Mapping[str, Normalisation] = {
    rule.name: rule
    for rule in (
        Normalisation("none", "0 to 255"),
        Normalisation("unit", "x / 255", scale=(1 / 255,) * 3),
        Normalisation("tf", "x / 127.5 - 1", scale=(1 / 127.5,) * 3, offset=(-1.0,) * 3),
        Normalisation("torch", "(x / 255 - mean) / deviation", _BY_DEVIATION, _LESS_MEAN),
        Normalisation("caffe", "BGR, x - mean", offset=_LESS_MEAN_BGR, bgr=True),
    )
}
"""Every rule that can be named, and that is tried on the images."""
