"""Random changes to training images, by OpenCV on bytes.

A lesion has no up or down, its distance and its lighting vary with the dermatoscope, and files come
in many resolutions and qualities; none of this may tell the class. Files differ in sharpness and
compression first, then the picture is moved, in one resampling, and coloured, in one matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from train.config import Augmentation

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601, section 2.5.1); what saturation and hue leave alone."""

_LIMITS = {
    "rotation": 180.0, "zoom": 0.8, "shift": 0.5, "brightness": 1.0, "contrast": 1.0,
    "saturation": 1.0, "hue": 180.0, "colour_cast": 1.0, "blur_share": 1.0, "blur": 0.1,
    "jpeg_share": 1.0, "coarse_share": 1.0, "corner_share": 1.0,
}  # fmt: skip
"""How far strength may take each range: as far as a configuration may."""

_SOFT_EDGE, _OFF_MIDDLE = 0.1, 0.1
"""How wide dark corners fade in, and how far their circle lies off the middle, in half sides."""

_FLIPS = ("horizontal_flip", "vertical_flip")
_BEST_QUALITY = 95.0
_WIDEST = 1.4  # radius of a circle, in half sides, that holds the corners
_LOWEST = {
    "jpeg_quality": (_BEST_QUALITY, 5.0), "coarsest": (1.0, 0.1), "narrowest": (_WIDEST, 0.3),
}  # fmt: skip
"""What strength 0 means, and the least that strength may come down to."""


def scaled(ranges: Augmentation, strength: float) -> Augmentation:
    """The ranges times the strength, as far as each may go.

    The lower bounds (``jpeg_quality``, ``coarsest``, ``narrowest``) go down from the mildest
    change. The share of flipped images grows to a half at most, where it varies most, unless it was
    given as more.
    """
    found = {name: min(limit, strength * getattr(ranges, name)) for name, limit in _LIMITS.items()}
    for name in _FLIPS:
        share = getattr(ranges, name)
        found[name] = min(strength * share, max(0.5, share))
    for name, (mildest, least) in _LOWEST.items():
        found[name] = max(least, mildest - strength * (mildest - getattr(ranges, name)))
    return replace(ranges, **found)


def augment(
    images: NDArray[np.uint8], random: np.random.Generator, strength: float, ranges: Augmentation
) -> NDArray[np.uint8]:
    """Change every image of a batch at random.

    Args:
        images: RGB, shape (n, size, size, 3).
        random: the same state gives the same changes.
        strength: factor on every range, see `scaled`; 0 returns the images as they are.
        ranges: of the changes.

    Returns:
        new array of the same shape, or ``images`` itself at strength 0.
    """
    if strength == 0:
        return images
    drawn = _draw(random, len(images), images.shape[1], scaled(ranges, strength))
    changed = np.empty_like(images)
    for index, image in enumerate(images):
        changed[index] = _change(image, drawn, index)
    return changed


@dataclass(frozen=True)
class _Drawn:
    """What happens to n images of one size.

    Attributes:
        blur: standard deviation in pixels; 0 for none.
        small: side in pixels to which an image is scaled down and up again; 0 for none.
        quality: of the JPEG compression; 0 for none.
        move: shape (n, 2, 3): (x, y, 1) in the output to (x, y) in the input.
        colour: shape (n, 3, 3), the factors on red, green and blue.
        contrast: factor on the distance from the image's mean luma.
        circle: shape (n, 3): middle (x, y) and radius of the circle around which it is dark, in
            half sides; a radius of 0 for none.
    """

    blur: NDArray[np.float64]
    small: NDArray[np.int64]
    quality: NDArray[np.int64]
    move: NDArray[np.float64]
    colour: NDArray[np.float64]
    contrast: NDArray[np.float64]
    circle: NDArray[np.float64]


def _draw(random: np.random.Generator, count: int, side: int, ranges: Augmentation) -> _Drawn:
    """Always as many numbers in the same order, so that one range does not change another."""

    def either_way(reach: float, *shape: int) -> NDArray[np.float64]:
        return reach * random.uniform(-1, 1, (count, *shape))

    def chosen(share: float) -> NDArray[np.bool_]:
        return random.random(count) < share

    def between(low: float, high: float) -> NDArray[np.float64]:
        return random.uniform(low, high, count)

    move = _moves(
        side,
        angle=np.radians(either_way(ranges.rotation)),
        scale=1 + either_way(ranges.zoom),
        shift=side * either_way(ranges.shift, 2),
        flip=np.stack([chosen(ranges.horizontal_flip), chosen(ranges.vertical_flip)], axis=1),
    )
    gain = (1 + either_way(ranges.colour_cast, 3)) * (1 + either_way(ranges.brightness, 1))
    tone = _tones(1 + either_way(ranges.saturation), np.radians(either_way(ranges.hue)))
    contrast = 1 + either_way(ranges.contrast)
    return _Drawn(
        blur=np.where(chosen(ranges.blur_share), between(0, ranges.blur * side), 0),
        small=np.where(
            chosen(ranges.coarse_share), np.rint(side * between(ranges.coarsest, 1)), 0
        ).astype(np.int64),
        quality=np.where(
            chosen(ranges.jpeg_share), np.rint(between(ranges.jpeg_quality, _BEST_QUALITY)), 0
        ).astype(np.int64),
        move=move,
        colour=gain[:, :, None] * tone,
        contrast=contrast,
        circle=np.column_stack([
            either_way(_OFF_MIDDLE, 2),
            np.where(chosen(ranges.corner_share), between(ranges.narrowest, _WIDEST), 0),
        ]),
    )  # fmt: skip


def _moves(
    side: int, *, angle: NDArray[np.float64], scale: NDArray[np.float64],
    shift: NDArray[np.float64], flip: NDArray[np.bool_],
) -> NDArray[np.float64]:  # fmt: skip
    """Flip, turn and scale about the middle, then shift: all in one affine map, inverted."""
    mirror = np.where(flip, -1.0, 1.0)  # of x and of y
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    turn = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)
    linear = mirror[:, :, None] * turn
    middle = np.full(2, (side - 1) / 2)
    offset = middle - linear @ middle + shift
    return np.concatenate([linear, offset[:, :, None]], axis=2)


_TO_CHROMA = np.array(
    [LUMA, *((np.eye(3)[c] - LUMA) / (2 * (1 - LUMA[c])) for c in (2, 0))]
)  # luma, Cb and Cr of RGB (BT.601, section 2.5.2)
_FROM_CHROMA = np.linalg.inv(_TO_CHROMA)


def _tones(saturation: NDArray[np.float64], hue: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrices on RGB that scale and turn the plane of Cb and Cr; hue in radians."""
    inner = np.zeros((len(hue), 3, 3))
    inner[:, 0, 0] = 1
    inner[:, 1, 1] = inner[:, 2, 2] = saturation * np.cos(hue)
    inner[:, 1, 2] = -saturation * np.sin(hue)
    inner[:, 2, 1] = saturation * np.sin(hue)
    return _FROM_CHROMA @ inner @ _TO_CHROMA


def _change(image: NDArray[np.uint8], drawn: _Drawn, index: int) -> Any:
    side = image.shape[0]
    if drawn.blur[index] > 0:
        image = cv2.GaussianBlur(image, (0, 0), drawn.blur[index], borderType=cv2.BORDER_REFLECT)
    if small := int(drawn.small[index]):
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
    if quality := int(drawn.quality[index]):
        image = _compressed(image, quality)
    image = cv2.warpAffine(
        image, drawn.move[index], (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    # Brightness, cast and tone of (mean + contrast * (image - mean)), whose mean luma tone keeps.
    contrast = drawn.contrast[index]
    mean = np.dot(LUMA, cv2.mean(image)[:3])
    offset = (1 - contrast) * mean * drawn.colour[index].sum(axis=1)
    image = cv2.transform(image, np.column_stack([contrast * drawn.colour[index], offset]))
    return _with_dark_corners(image, *drawn.circle[index]) if drawn.circle[index, 2] else image


def _with_dark_corners(image: Any, x: float, y: float, radius: float) -> Any:
    along = (np.arange(image.shape[0], dtype=np.float32) + 0.5) * (2 / image.shape[0]) - 1
    away = np.hypot(along[None, :] - np.float32(x), along[:, None] - np.float32(y))
    light = np.clip((radius + _SOFT_EDGE - away) / _SOFT_EDGE, 0, 1)
    return (image * light[..., None]).astype(np.uint8)


def _compressed(image: NDArray[np.uint8], quality: int) -> Any:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: Any = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
    return decoded
