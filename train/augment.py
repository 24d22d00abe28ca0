"""Random changes to training images, as TensorFlow operations on whole batches.

A lesion has no up or down, its distance and its lighting vary with the dermatoscope, and files come
in many resolutions; none of this may tell the class. One seed gives the same images every time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Strength:
    """Ranges of the changes at strength 1; all are scaled by the configured strength."""

    rotation: float = math.pi  # radians either way: any angle
    zoom: float = 0.25  # scale from 1 - zoom to 1 + zoom
    shift: float = 0.06  # of the side, either way
    brightness: float = 0.15  # of the full range, either way
    contrast: float = 0.25  # factor from 1 - contrast to 1 + contrast
    saturation: float = 0.25
    colour_cast: float = 0.06  # factor on each channel by itself
    coarse_share: float = 0.3  # share of images that are scaled down and up again
    coarsest: float = 0.45  # the smallest such scale


USUAL = Strength()
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def augment(images: Any, seed: Any, amount: float, strength: Strength = USUAL) -> Any:
    """Change a batch at random.

    Args:
        images: tensor of shape (n, size, size, 3), values 0 to 255.
        seed: int tensor of shape (2,); the same seed gives the same changes.
        amount: factor on every range; 0 returns the images as they are.
        strength: the ranges.

    Returns:
        float32 tensor of the same shape, values 0 to 255.
    """
    images = tf.cast(images, tf.float32)
    if amount == 0:
        return images
    seeds = tf.random.split(seed, 3)
    images = _coarsen(images, seeds[0], amount * strength.coarse_share, strength.coarsest)
    images = _move(images, seeds[1], amount, strength)
    return _recolour(images, seeds[2], amount, strength)


def _uniform(seed: Any, shape: Any, reach: float) -> Any:
    return tf.random.stateless_uniform(shape, seed, -reach, reach)


def _move(images: Any, seed: Any, amount: float, strength: Strength) -> Any:
    """Rotate, flip, zoom and shift in one resampling; outside pixels repeat the mirror image."""
    count, side = tf.shape(images)[0], images.shape[1]
    seeds = tf.random.split(seed, 4)
    angle = _uniform(seeds[0], (count,), min(1.0, amount) * strength.rotation)
    scale = 1.0 + _uniform(seeds[1], (count,), min(0.8, amount * strength.zoom))
    shift = _uniform(seeds[2], (count, 2), amount * strength.shift * side)
    flip = tf.where(tf.random.stateless_uniform((count,), seeds[3]) < 0.5, 1.0, -1.0)
    cosine, sine = tf.cos(angle) / scale, tf.sin(angle) / scale
    centre = (side - 1) / 2
    # Output (x, y) is taken from input (a x + b y + c, d x + e y + f), turned about the centre.
    a, b, d, e = cosine * flip, -sine, sine * flip, cosine
    c = centre - a * centre - b * centre + shift[:, 0]
    f = centre - d * centre - e * centre + shift[:, 1]
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, c, d, e, f, zero, zero], axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def _recolour(images: Any, seed: Any, amount: float, strength: Strength) -> Any:
    """Brightness, contrast, saturation and colour cast, by image."""
    count = tf.shape(images)[0]
    seeds = tf.random.split(seed, 4)

    def factor(index: int, reach: float, channels: int = 1) -> Any:
        shape = (count, 1, 1, channels)
        return 1.0 + _uniform(seeds[index], shape, min(0.9, amount * reach))

    grey = tf.reduce_sum(images * tf.constant(_LUMA), axis=3, keepdims=True)
    images = grey + (images - grey) * factor(0, strength.saturation)
    mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    images = mean + (images - mean) * factor(1, strength.contrast)
    images = images * factor(2, strength.colour_cast, 3) * factor(3, strength.brightness)
    return tf.clip_by_value(images, 0.0, 255.0)


def _coarsen(images: Any, seed: Any, share: float, coarsest: float) -> Any:
    """Scale some images down and up again, so that sharpness tells nothing of the class."""
    count, side = tf.shape(images)[0], images.shape[1]
    seeds = tf.random.split(seed, 2)
    scale = tf.random.stateless_uniform((), seeds[0], coarsest, 1.0)
    small = tf.cast(tf.round(scale * side), tf.int32)
    coarse = tf.image.resize(images, (small, small), antialias=True)
    coarse = tf.image.resize(coarse, (side, side))
    chosen = tf.random.stateless_uniform((count, 1, 1, 1), seeds[1]) < share
    return tf.where(chosen, coarse, images)
