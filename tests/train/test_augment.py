"""Augmentation: seeded, within the range of bytes, and about the middle of the image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from train.augment import USUAL, Strength, augment

SIDE = 48
NOTHING = Strength(
    rotation=0, zoom=0, shift=0, brightness=0, contrast=0, saturation=0, colour_cast=0,
    coarse_share=0,
)  # fmt: skip
TURNS = replace(NOTHING, rotation=USUAL.rotation)


def changed(
    images: NDArray[Any], seed: int = 0, amount: float = 1.0, strength: Strength = USUAL
) -> NDArray[np.float32]:
    found = augment(tf.constant(images), tf.constant([seed, 0], tf.int32), amount, strength)
    return np.asarray(found)


def noise(count: int = 16) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def disc(count: int = 64, *, x: float = 0, y: float = 0, radius: float = 10) -> NDArray[np.uint8]:
    """White discs on black, (x, y) pixels off the middle."""
    place = np.arange(SIDE) - (SIDE - 1) / 2
    inside = (place[None, :] - x) ** 2 + (place[:, None] - y) ** 2 <= radius**2
    image = np.repeat(inside[..., None], 3, axis=2) * np.uint8(255)
    return np.repeat(image[None], count, axis=0)


def centroids(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """First moments of brightness, in pixels off the middle, shape (n, 2) of x and y."""
    place = np.arange(SIDE) - (SIDE - 1) / 2
    grey = images.mean(axis=3, dtype=np.float64)
    total = grey.sum(axis=(1, 2))
    return np.stack([grey.sum(axis=1) @ place, grey.sum(axis=2) @ place], axis=1) / total[:, None]


# What holds for every change


def test_same_seed_gives_the_same_images_and_another_seed_others() -> None:
    first, again, other = (changed(noise(), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 1


def test_images_of_a_batch_are_changed_unlike_each_other() -> None:
    alike = changed(disc(8, x=8))
    assert min(np.abs(alike[0] - one).mean() for one in alike[1:]) > 1


def test_strength_zero_leaves_images_as_they_are() -> None:
    found = changed(noise(), amount=0.0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, noise())


@pytest.mark.parametrize("amount", [0.1, 1.0, 3.0])
def test_values_stay_within_bytes_and_shapes_as_they_were(amount: float) -> None:
    for seed in range(3):
        found = changed(noise(), seed, amount)
        assert (found.shape, found.dtype) == ((16, SIDE, SIDE, 3), np.float32)
        assert np.isfinite(found).all()
        assert 0 <= found.min() <= found.max() <= 255


def test_small_amounts_change_little() -> None:
    ramp = np.linspace(60, 190, SIDE).astype(np.uint8)
    smooth = np.broadcast_to(ramp[None, None, :, None], (32, SIDE, SIDE, 3))
    slight = changed(smooth, amount=0.02, strength=replace(USUAL, rotation=0, coarse_share=0))
    upright = np.minimum(
        np.abs(slight - smooth).mean(axis=(1, 2, 3)),
        np.abs(slight - smooth[:, :, ::-1]).mean(axis=(1, 2, 3)),
    )
    assert upright.max() < 2
    assert upright.max() > 0


# Where things are moved to


def test_lesion_in_the_middle_stays_there_when_the_image_is_turned_and_flipped() -> None:
    turned = changed(disc(), strength=TURNS)
    assert np.abs(centroids(turned)).max() < 0.1
    assert turned.mean() == pytest.approx(disc().mean(), rel=0.02)


def test_lesion_off_the_middle_is_turned_about_it_to_any_angle() -> None:
    places = centroids(changed(disc(256, x=8, y=3, radius=4), strength=TURNS))
    np.testing.assert_allclose(np.hypot(*places.T), np.hypot(8, 3), atol=0.1)
    angles = np.degrees(np.arctan2(*places.T))
    assert min(np.histogram(angles, bins=8, range=(-180, 180))[0]) > 10


def test_half_of_the_images_are_flipped() -> None:
    marked = disc(256, x=8, y=0, radius=4)
    marked[..., 1] = disc(256, x=0, y=8, radius=4)[..., 1]  # red to the right, green below
    found = changed(marked, strength=TURNS)
    red, green = centroids(found[..., [0]]), centroids(found[..., [1]])
    handed = red[:, 0] * green[:, 1] - red[:, 1] * green[:, 0]
    assert np.abs(np.abs(handed) - 64).max() < 2
    assert 0.4 < (handed < 0).mean() < 0.6


def test_lesion_is_shifted_by_no_more_than_the_share_of_the_side() -> None:
    places = centroids(changed(disc(), strength=replace(NOTHING, shift=0.06)))
    assert np.abs(places).max() < 0.06 * SIDE + 0.1
    assert np.abs(places).max() > 0.04 * SIDE
    assert np.abs(places.mean(axis=0)).max() < 1


def test_lesion_is_zoomed_in_and_out_within_the_range() -> None:
    zoomed = changed(disc(), strength=replace(NOTHING, zoom=0.25))
    scales = np.sqrt(zoomed.mean(axis=(1, 2, 3)) / disc(1).mean())
    assert 0.74 < scales.min() < 0.85
    assert 1.15 < scales.max() < 1.26
    assert np.abs(centroids(zoomed)).max() < 0.1


def test_outside_the_image_is_its_mirror_image_and_not_black() -> None:
    white = np.full((8, SIDE, SIDE, 3), 200, np.uint8)
    moved = changed(white, strength=replace(TURNS, zoom=0.25, shift=0.2))
    np.testing.assert_allclose(moved, 200, atol=0.01)


# What becomes of colours and sharpness


def test_brightness_and_colour_vary_about_what_they_were() -> None:
    skin = np.broadcast_to(np.array([200, 150, 120], np.uint8), (512, 8, 8, 3))
    colours = changed(skin, strength=replace(USUAL, coarse_share=0)).mean(axis=(1, 2))
    np.testing.assert_allclose(colours.mean(axis=0), [200, 150, 120], rtol=0.02)
    assert (colours.std(axis=0) > 8).all()
    ratio = colours[:, 0] / colours[:, 2]
    assert ratio.std() > 0.05  # not brightness alone: the hue varies, too


def test_contrast_is_changed_about_the_mean() -> None:
    halves = np.full((64, SIDE, SIDE, 3), 100, np.uint8)
    halves[:, : SIDE // 2] = 150
    found = changed(halves, strength=replace(NOTHING, contrast=0.25))
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), 125, atol=0.1)
    spans = found.max(axis=(1, 2, 3)) - found.min(axis=(1, 2, 3))
    assert 37 < spans.min() < 42
    assert 58 < spans.max() < 63


def test_some_images_lose_their_fine_detail_and_none_its_mean() -> None:
    found = changed(noise(256), strength=replace(NOTHING, coarse_share=0.3))
    same = [
        np.abs(new - old).max() < 1e-3 or np.abs(new - old[:, ::-1]).max() < 1e-3
        for new, old in zip(found, noise(256), strict=True)
    ]
    assert 0.6 < np.mean(same) < 0.8
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), noise(256).mean(axis=(1, 2, 3)), atol=3)
    detail = np.abs(np.diff(found, axis=1)).mean(axis=(1, 2, 3))
    assert detail[~np.array(same)].max() < 0.8 * detail[np.array(same)].min()
