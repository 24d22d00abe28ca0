from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import UsageError
from edge_runtime.manifest import Label, OperatingPoint
from train.metrics import Predictions
from train.robustness import (
    CLEAN,
    CORRUPTIONS,
    SEVERITIES,
    corrupt,
    names_of,
    random_of,
    robustness,
)

LABELS = (Label("mel", "melanoma", True), Label("nv", "nevus", False))
POINTS = {
    "melanoma": OperatingPoint(0.5, 0.9, 0.9, 0.9),
    "malignant": OperatingPoint(0.5, 0.9, 0.9, 0.9),
}


@pytest.fixture(scope="module")
def lesion() -> np.ndarray:
    """A dark disc on speckled skin, 64 x 64."""
    rng = np.random.default_rng(1)
    down, across = np.mgrid[:64, :64]
    skin = np.array([205, 160, 140]) + rng.normal(0, 8, (64, 64, 1))
    disc = (np.hypot(down - 30, across - 34) < 16)[..., None]
    return np.clip(np.where(disc, skin * 0.4, skin), 0, 255).astype(np.uint8)


def by_severity(image: np.ndarray, name: str, seed: int = 0) -> list[np.ndarray]:
    return [corrupt(image, name, severity, random_of(seed, name, 5)) for severity in range(6)]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_severity_is_further_from_the_clean_image_than_the_one_before(name, lesion):
    for seed in range(3):
        worse = by_severity(lesion, name, seed)
        distances = [np.abs(image.astype(float) - lesion).mean() for image in worse]
        assert distances[0] == 0
        assert all(np.diff(distances) > 0), distances


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_shape_and_type_are_kept_and_the_image_itself_is_not_touched(name, lesion):
    before = lesion.copy()
    for image in by_severity(lesion, name):
        assert image.shape == lesion.shape
        assert image.dtype == np.uint8
    assert np.array_equal(lesion, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_seed_gives_the_same_corruption(name, lesion):
    for first, second in zip(by_severity(lesion, name), by_severity(lesion, name), strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("name", ["noise", "hair", "ruler", "dark_corners"])
def test_another_image_gets_other_noise_and_other_hairs(name, lesion):
    one, other = (corrupt(lesion, name, 4, random_of(0, name, index)) for index in (1, 2))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("size", [32, 160])
def test_blur_grows_with_the_input_so_that_it_looks_the_same_at_any_size(size, lesion):
    from PIL import Image

    image = np.array(Image.fromarray(lesion).resize((size, size), Image.Resampling.BICUBIC))
    blurred = corrupt(image, "blur", 3, random_of(0, "blur", 0)).astype(float)
    shrunk = np.array(Image.fromarray(blurred.round().astype(np.uint8)).resize((32, 32)))
    reference = corrupt(lesion, "blur", 3, random_of(0, "blur", 0))
    expected = np.array(Image.fromarray(reference).resize((32, 32)))
    assert np.abs(shrunk.astype(float) - expected).mean() < 3


def test_darker_and_brighter_keep_the_hue(lesion):
    for name in ("darker", "brighter"):
        changed = corrupt(lesion, name, 2, random_of(0, name, 0)).astype(float)
        ratios = (changed[40, 34] / lesion[40, 34], changed[2, 2] / lesion[2, 2])
        for ratio in ratios:
            assert np.ptp(ratio) < 0.03


def test_unknown_corruptions_and_severities_are_refused(lesion):
    with pytest.raises(UsageError, match="No corruption 'fog'"):
        corrupt(lesion, "fog", 1, random_of(0, "fog", 0))
    with pytest.raises(UsageError, match="severity is 6"):
        corrupt(lesion, "blur", 6, random_of(0, "blur", 0))


def brightness_model(tensors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Calls dark pictures melanoma."""
    melanoma = 1 - tensors[rows].mean(axis=(1, 2, 3)) / 255
    return np.stack([melanoma, 1 - melanoma], axis=1).astype(np.float32)


def pictures(count: int) -> tuple[np.ndarray, Predictions]:
    rng = np.random.default_rng(0)
    truth = (rng.random(count) < 0.75).astype(np.int64)  # 0 is melanoma
    level = np.where(truth == 0, 70, 190) + rng.normal(0, 15, count)
    tensors = np.clip(level[:, None, None, None] + rng.normal(0, 5, (count, 32, 32, 3)), 0, 255)
    groups = np.array([f"lesion {index}" for index in range(count)])
    return tensors.astype(np.uint8), Predictions(
        np.empty((count, 0), np.float32), truth, groups, LABELS, "mel"
    )


def test_there_is_a_row_for_every_corruption_and_severity_and_one_for_the_clean_images():
    tensors, truth = pictures(60)
    done = []
    found = robustness(
        brightness_model, tensors, np.arange(60), truth, POINTS, seed=3,
        progress=lambda count, total: done.append((count, total)),
    )  # fmt: skip
    expected = [(CLEAN, 0)] + [(name, level) for name in CORRUPTIONS for level in SEVERITIES]
    assert [(row.corruption, row.severity) for row in found] == expected
    for row in found:
        assert set(row.metrics) == set(names_of(truth))
        assert row.images == 60
    assert found[0].metrics["melanoma_auc"].low is not None
    assert done[-1] == (60 * len(expected), 60 * len(expected))


def test_a_model_of_brightness_loses_specificity_in_the_dark_and_sensitivity_in_the_light():
    tensors, truth = pictures(80)
    found = robustness(brightness_model, tensors, np.arange(80), truth, POINTS, seed=3)
    at = {(row.corruption, row.severity): row.metrics for row in found}
    clean = at[CLEAN, 0]
    assert clean["melanoma_sensitivity"].value == clean["melanoma_specificity"].value == 1
    assert at["darker", 5]["melanoma_specificity"].value < 0.7
    assert at["darker", 5]["melanoma_sensitivity"].value == 1
    assert at["brighter", 5]["melanoma_sensitivity"].value < 0.7


def test_robustness_is_the_same_again_with_the_same_seed():
    tensors, truth = pictures(50)
    first, second = (
        robustness(brightness_model, tensors, np.arange(50), truth, POINTS, seed=4, most=30)
        for _ in range(2)
    )
    assert first == second


def test_of_many_images_a_part_is_used_with_the_classes_in_proportion():
    tensors, truth = pictures(200)
    seen = []

    def watching(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        seen.append(images)
        return brightness_model(images, rows)

    found = robustness(watching, tensors, np.arange(200), truth, POINTS, seed=0, most=40)
    assert found[0].images == len(seen[0]) == 40
    dark = int((seen[0].mean(axis=(1, 2, 3)) < 130).sum())
    assert dark == pytest.approx(40 * float((truth.truth == 0).mean()), abs=1)
