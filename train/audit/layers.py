"""Filtered versions of the thumbnails: what `alignment` lays over each other and correlates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.audit import polar, settings

_CUT = 2.5  # standard deviations at which a blur ends
_DETAIL_UNIT = 1 / 40  # so that +-3 local deviations fit into a signed byte


@dataclass(frozen=True)
class Layers:
    """n grey pictures, each the whole frame squashed to a square; every array (n, size, size).

    Attributes:
        smooth, sharp: uint8 brightness, blurred by `settings.BLURS`.
        detail: int8; what a blur leaves over, divided by how strong such detail is nearby, so that
            a hair on plain skin counts as much as the edge of a dark lesion.
        frames: width and height of every frame in shorter sides, float32 of shape (n, 2).
    """

    smooth: NDArray[np.uint8]
    sharp: NDArray[np.uint8]
    detail: NDArray[np.int8]
    frames: NDArray[np.float32]


def empty(aspects: NDArray[np.float64]) -> Layers:
    """Room for the layers of pictures with these aspects (width over height), shape (n,)."""
    shape = (len(aspects), settings.THUMBNAIL, settings.THUMBNAIL)
    frames = np.array([polar.frame(float(a)) for a in aspects], np.float32).reshape(-1, 2)
    return Layers(
        np.empty(shape, np.uint8), np.empty(shape, np.uint8), np.empty(shape, np.int8), frames
    )


def fill(layers: Layers, thumbnails: NDArray[np.uint8], part: slice) -> None:
    """Filter the grey thumbnails of ``part``, uint8 of shape (n, size, size), into the layers."""
    grey = thumbnails[part].astype(np.float32)
    smooth, sharp = (_blur(grey, deviation) for deviation in settings.BLURS)
    detail = sharp - _blur(grey, settings.DETAIL_BLUR)
    power = _blur(detail * detail, settings.DETAIL_NEIGHBOURHOOD)
    detail /= np.sqrt(power + settings.DETAIL_NOISE**2)
    layers.smooth[part] = (smooth + 0.5).astype(np.uint8)
    layers.sharp[part] = (sharp + 0.5).astype(np.uint8)
    layers.detail[part] = np.clip(np.rint(detail / _DETAIL_UNIT), -127, 127).astype(np.int8)


def _blur(pictures: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    blurred: NDArray[np.float32] = gaussian_filter(
        pictures, deviation, axes=(1, 2), mode="nearest", truncate=_CUT
    )
    return blurred
