from __future__ import annotations

import numpy as np
import pytest

from train.evaluation.reliability import BINS, calibration_error, ece_by_chance


def calibrated(images: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.5, 2.5, images)
    return scores, rng.random(images) < scores, np.arange(images).astype(str)


def test_error_of_a_calibrated_model_is_what_chance_gives():
    for seed in range(5):
        scores, positive, groups = calibrated(seed=seed)
        chance = ece_by_chance(scores, groups, seed=0)
        error = calibration_error(scores, positive)[0]
        assert error == pytest.approx(chance.value, abs=2 * (chance.high - chance.value))


def test_error_of_an_overconfident_model_is_far_above_chance():
    scores, positive, groups = calibrated()
    odds = (scores / (1 - scores)) ** 2.5
    overconfident = odds / (1 + odds)
    chance = ece_by_chance(overconfident, groups, seed=0)
    assert calibration_error(overconfident, positive)[0] > 5 * chance.high


def test_chance_gives_larger_errors_on_fewer_images():
    few, _, of_few = calibrated(images=200)
    many, _, of_many = calibrated(images=5000)
    assert ece_by_chance(few, of_few, 0).value > 3 * ece_by_chance(many, of_many, 0).value


def test_chance_gives_larger_errors_where_images_share_lesions():
    scores, _, alone = calibrated(images=1000)
    shared = (np.arange(1000) // 4).astype(str)
    assert ece_by_chance(scores, shared, 0).value > ece_by_chance(scores, alone, 0).value


def test_error_is_the_mean_distance_over_bins_of_equal_size():
    scores, positive, _ = calibrated(images=20 * BINS)
    order = np.argsort(scores)
    bins = np.array_split(order, BINS)
    expected = np.mean([abs(scores[rows].mean() - positive[rows].mean()) for rows in bins])
    assert calibration_error(scores, positive)[0] == pytest.approx(expected, abs=1e-12)


def test_error_does_not_depend_on_the_order_of_images_with_one_score():
    scores = np.repeat([0.1, 0.5, 0.8], 20)
    positive = np.arange(60) % 3 == 0
    turned = np.arange(60)[::-1]
    first = calibration_error(scores, positive)[0]
    assert calibration_error(scores[turned], positive[turned])[0] == pytest.approx(first)
