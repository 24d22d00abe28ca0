"""Augmentation: seeded, within the range of bytes, and each range does what it says."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from train.augment import LUMA, augment, scaled
from train.config import Augmentation

SIDE = 48
USUAL = Augmentation()
NOTHING = Augmentation(
    **{field.name: 0 for field in fields(Augmentation)}
    | {"jpeg_quality": 95, "coarsest": 1, "narrowest": 1.4}
)
TURNS = replace(NOTHING, rotation=180)


def changed(
    images: NDArray[np.uint8], seed: int = 0, strength: float = 1.0, ranges: Augmentation = USUAL
) -> NDArray[np.uint8]:
    return augment(images, np.random.default_rng(seed), strength, ranges)


def noise(count: int = 16) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def disc(count: int = 64, *, x: float = 0, y: float = 0, radius: float = 10) -> NDArray[np.uint8]:
    """White discs on black, (x, y) pixels off the middle."""
    place = np.arange(SIDE) - (SIDE - 1) / 2
    inside = (place[None, :] - x) ** 2 + (place[:, None] - y) ** 2 <= radius**2
    image = np.repeat(inside[..., None], 3, axis=2) * np.uint8(255)
    return np.repeat(image[None], count, axis=0)


def plain(colour: tuple[int, int, int], count: int = 512) -> NDArray[np.uint8]:
    return np.broadcast_to(np.array(colour, np.uint8), (count, 8, 8, 3))


def colours(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean colour of each image, shape (n, 3)."""
    return images.mean(axis=(1, 2), dtype=np.float64)


def centroids(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """First moments of brightness, in pixels off the middle, shape (n, 2) of x and y."""
    place = np.arange(SIDE) - (SIDE - 1) / 2
    grey = images.mean(axis=3, dtype=np.float64)
    total = grey.sum(axis=(1, 2))
    return np.stack([grey.sum(axis=1) @ place, grey.sum(axis=2) @ place], axis=1) / total[:, None]


def untouched(images: NDArray[np.uint8], were: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.array([np.array_equal(new, old) for new, old in zip(images, were, strict=True)])


# What holds for every change


def test_same_seed_gives_the_same_images_and_another_seed_others() -> None:
    first, again, other = (changed(noise(), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


def test_images_of_a_batch_are_changed_unlike_each_other() -> None:
    alike = changed(disc(8, x=8)).astype(np.int64)
    assert min(np.abs(alike[0] - one).mean() for one in alike[1:]) > 1


def test_strength_zero_leaves_images_as_they_are() -> None:
    np.testing.assert_array_equal(changed(noise(), strength=0), noise())


def test_ranges_of_zero_leave_images_as_they_are() -> None:
    np.testing.assert_array_equal(changed(noise(), ranges=NOTHING), noise())


def test_images_given_are_not_written_to() -> None:
    given = noise()
    given.setflags(write=False)
    found = changed(given, strength=3)
    np.testing.assert_array_equal(given, noise())
    assert (found.shape, found.dtype) == (given.shape, np.uint8)


def test_one_range_does_not_change_what_another_draws() -> None:
    turned = changed(disc(x=8), ranges=TURNS)
    also_shared = changed(disc(x=8), ranges=replace(TURNS, jpeg_share=1e-12, coarse_share=1e-12))
    np.testing.assert_array_equal(turned, also_shared)


def test_small_strengths_change_little() -> None:
    ramp = np.linspace(60, 190, SIDE).astype(np.uint8)
    smooth = np.ascontiguousarray(np.broadcast_to(ramp[None, None, :, None], (32, SIDE, SIDE, 3)))
    ranges = replace(USUAL, horizontal_flip=0, vertical_flip=0)
    slight = changed(smooth, strength=0.02, ranges=ranges).astype(np.int64)
    assert 0 < np.abs(slight - smooth).mean() < 2


# How strength scales the ranges


def test_strength_one_keeps_the_ranges() -> None:
    assert vars(scaled(USUAL, 1.0)) == pytest.approx(vars(USUAL))


def test_strength_of_a_half_is_half_of_every_change() -> None:
    found = scaled(USUAL, 0.5)
    assert (found.rotation, found.horizontal_flip, found.blur_share) == (90, 0.25, 0.05)
    assert (found.jpeg_quality, found.coarsest) == (67.5, pytest.approx(0.725))


def test_strength_zero_is_no_change_in_every_field() -> None:
    assert scaled(USUAL, 0.0) == NOTHING


def test_strength_three_stays_within_what_a_configuration_may_say() -> None:
    found = scaled(USUAL, 3.0)  # `replace` checks the ranges
    assert (found.rotation, found.coarse_share, found.coarsest) == (180, pytest.approx(0.9), 0.1)
    assert scaled(replace(USUAL, jpeg_share=0.8), 3.0).jpeg_share == 1


def test_strength_does_not_make_every_image_a_flipped_one() -> None:
    assert scaled(USUAL, 3.0).horizontal_flip == 0.5
    assert scaled(replace(USUAL, vertical_flip=0.2), 2.0).vertical_flip == pytest.approx(0.4)
    assert scaled(replace(USUAL, vertical_flip=1.0), 2.0).vertical_flip == 1


# Where things are moved to


def test_lesion_in_the_middle_stays_there_when_the_image_is_turned() -> None:
    turned = changed(disc(), ranges=TURNS)
    assert np.abs(centroids(turned)).max() < 0.1
    assert turned.mean() == pytest.approx(disc().mean(), rel=0.02)


def test_lesion_off_the_middle_is_turned_about_it_to_any_angle() -> None:
    places = centroids(changed(disc(256, x=8, y=3, radius=4), ranges=TURNS))
    np.testing.assert_allclose(np.hypot(*places.T), np.hypot(8, 3), atol=0.1)
    angles = np.degrees(np.arctan2(*places.T))
    assert min(np.histogram(angles, bins=8, range=(-180, 180))[0]) > 10


def test_rotation_is_in_degrees_either_way() -> None:
    places = centroids(changed(disc(256, x=12, radius=4), ranges=replace(NOTHING, rotation=30)))
    angles = np.degrees(np.arctan2(places[:, 1], places[:, 0]))
    assert -31 < angles.min() < -27
    assert 27 < angles.max() < 31


@pytest.mark.parametrize(("name", "axis"), [("horizontal_flip", 2), ("vertical_flip", 1)])
def test_share_of_images_is_mirrored_exactly(name: str, axis: int) -> None:
    found = changed(noise(256), ranges=replace(NOTHING, **{name: 0.5}))
    mirrored = untouched(found, np.flip(noise(256), axis))
    assert (mirrored | untouched(found, noise(256))).all()
    assert 0.4 < mirrored.mean() < 0.6


def test_lesion_is_shifted_by_no_more_than_the_share_of_the_side() -> None:
    places = centroids(changed(disc(), ranges=replace(NOTHING, shift=0.06)))
    assert np.abs(places).max() < 0.06 * SIDE + 0.1
    assert (np.abs(places).max(axis=0) > 0.04 * SIDE).all()
    assert np.abs(places.mean(axis=0)).max() < 1


def test_lesion_is_zoomed_in_and_out_within_the_range() -> None:
    zoomed = changed(disc(), ranges=replace(NOTHING, zoom=0.25))
    scales = np.sqrt(zoomed.mean(axis=(1, 2, 3)) / disc(1).mean())
    assert 0.74 < scales.min() < 0.85
    assert 1.15 < scales.max() < 1.26
    assert np.abs(centroids(zoomed)).max() < 0.1


@pytest.mark.parametrize("strength", [1, 3])
def test_outside_the_image_is_its_mirror_image_and_not_black(strength: float) -> None:
    light = np.full((32, SIDE, SIDE, 3), 200, np.uint8)
    ranges = replace(TURNS, zoom=0.25, shift=0.2)
    np.testing.assert_array_equal(changed(light, strength=strength, ranges=ranges), 200)


# What becomes of colours


def test_brightness_is_one_factor_on_all_channels() -> None:
    found = colours(changed(plain((160, 80, 40)), ranges=replace(NOTHING, brightness=0.2)))
    np.testing.assert_allclose(found / found[:, :1], [[1, 0.5, 0.25]] * 512, atol=0.01)
    factors = found[:, 0] / 160
    assert (0.79 < factors.min() < 0.82, 1.18 < factors.max() < 1.21) == (True, True)


def test_colour_cast_is_a_factor_on_each_channel_by_itself() -> None:
    factors = colours(changed(plain((100, 100, 100)), ranges=replace(NOTHING, colour_cast=0.1)))
    factors /= 100
    assert (factors.min(axis=0) < 0.92).all()
    assert (factors.max(axis=0) > 1.08).all()
    assert np.abs(np.corrcoef(factors.T) - np.eye(3)).max() < 0.2
    assert np.abs(factors - 1).max() < 0.106  # rounding to bytes included


def test_contrast_is_changed_about_the_mean() -> None:
    halves = np.full((64, SIDE, SIDE, 3), 100, np.uint8)
    halves[:, : SIDE // 2] = 150
    found = changed(halves, ranges=replace(NOTHING, contrast=0.25)).astype(np.int64)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), 125, atol=0.6)
    spans = found.max(axis=(1, 2, 3)) - found.min(axis=(1, 2, 3))
    assert (37 <= spans.min() < 43, 57 < spans.max() <= 63) == (True, True)


def test_saturation_keeps_grey_and_luma() -> None:
    ranges = replace(NOTHING, saturation=0.5)
    np.testing.assert_array_equal(changed(plain((90, 90, 90)), ranges=ranges), 90)
    found = colours(changed(plain((150, 100, 80)), ranges=ranges))
    np.testing.assert_allclose(found @ LUMA, np.dot([150, 100, 80], LUMA), atol=0.6)
    spread = found.max(axis=1) - found.min(axis=1)
    assert (34 <= spread.min() < 40, 100 < spread.max() <= 106) == (True, True)


def test_hue_is_turned_by_so_many_degrees_and_keeps_grey_luma_and_saturation() -> None:
    ranges = replace(NOTHING, hue=30)
    np.testing.assert_array_equal(changed(plain((90, 90, 90)), ranges=ranges), 90)
    found = changed(plain((150, 100, 80)), ranges=ranges)
    np.testing.assert_allclose(colours(found) @ LUMA, np.dot([150, 100, 80], LUMA), atol=0.6)
    was = cv2.cvtColor(plain((150, 100, 80), 1)[0], cv2.COLOR_RGB2YCrCb)[0, 0, 1:] - 128.0
    chroma = np.stack([cv2.cvtColor(i, cv2.COLOR_RGB2YCrCb)[0, 0, 1:] for i in found]) - 128.0
    np.testing.assert_allclose(np.hypot(*chroma.T), np.hypot(*was), atol=1.5)
    turned = np.degrees(np.arctan2(*chroma.T) - np.arctan2(*was))
    assert (-33 < turned.min() < -26, 26 < turned.max() < 33) == (True, True)


def test_colours_vary_about_what_they_were() -> None:
    found = colours(changed(plain((200, 150, 120))))
    np.testing.assert_allclose(found.mean(axis=0), [200, 150, 120], rtol=0.02)
    assert (found.std(axis=0) > 8).all()


# What becomes of sharpness


@pytest.mark.parametrize(
    "ranges",
    [
        replace(NOTHING, blur_share=0.3, blur=0.1),
        replace(NOTHING, coarse_share=0.3, coarsest=0.3),
        replace(NOTHING, jpeg_share=0.3, jpeg_quality=5),
    ],
    ids=["blur", "coarse", "jpeg"],
)
def test_share_of_images_loses_detail_and_keeps_its_mean(ranges: Augmentation) -> None:
    found = changed(noise(256), ranges=ranges)
    same = untouched(found, noise(256))
    assert 0.6 < same.mean() < 0.8
    np.testing.assert_allclose(colours(found), colours(noise(256)), atol=6)
    assert not np.array_equal(found[~same], noise(256)[~same])


def test_blur_is_no_wider_than_the_share_of_the_side() -> None:
    point = np.zeros((64, SIDE, SIDE, 3), np.uint8)
    point[:, 20:28, 20:28] = 255
    found = changed(point, ranges=replace(NOTHING, blur_share=1, blur=0.05)).astype(np.float64)
    place = np.arange(SIDE) - (SIDE - 1) / 2
    variances = (found[..., 0].sum(axis=1) @ place**2) / found[..., 0].sum(axis=(1, 2))
    deviations = np.sqrt(np.maximum(variances - variances.min(), 0))
    assert 0.6 * 0.05 * SIDE < deviations.max() < 1.1 * 0.05 * SIDE


def test_coarser_images_have_less_detail() -> None:
    def detail(coarsest: float) -> float:
        ranges = replace(NOTHING, coarse_share=1, coarsest=coarsest)
        found = changed(noise(), ranges=ranges).astype(np.int64)
        return float(np.abs(np.diff(found, axis=1)).mean())

    assert detail(0.3) < 0.8 * detail(0.8) < 0.8 * detail(1.0)


def test_compression_keeps_red_red() -> None:
    skin = plain((200, 120, 90), 8)
    found = changed(skin, ranges=replace(NOTHING, jpeg_share=1, jpeg_quality=40))
    np.testing.assert_allclose(colours(found), colours(skin), atol=4)


def test_corners_are_dark_and_the_middle_is_as_it_was() -> None:
    skin = np.full((64, SIDE, SIDE, 3), 200, np.uint8)
    found = changed(skin, ranges=replace(NOTHING, corner_share=1, narrowest=0.8))
    darkest = np.stack([found[:, y, x, 0] for y in (0, -1) for x in (0, -1)]).min(axis=0)
    assert (darkest < 200).mean() > 0.9
    assert (darkest == 0).mean() > 0.3
    quarter = SIDE // 4
    np.testing.assert_array_equal(found[:, quarter:-quarter, quarter:-quarter], 200)


def test_share_of_images_has_dark_corners() -> None:
    skin = np.full((256, SIDE, SIDE, 3), 200, np.uint8)
    found = changed(skin, ranges=replace(NOTHING, corner_share=0.3, narrowest=0.8))
    assert 0.6 < untouched(found, skin).mean() < 0.85
