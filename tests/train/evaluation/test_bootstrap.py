from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.stats import binom

from edge_runtime.backends import usable_cores
from edge_runtime.manifest import Metric
from tests.train.evaluation.simulated import POINTS, seven_classes, two_classes
from train.evaluation.bootstrap import interval, lesion_weights
from train.evaluation.weighted import weighted_figures
from train.metrics import evaluate


def test_interval_of_a_proportion_is_that_of_the_binomial_distribution():
    positive = np.arange(400) % 2 == 0
    right = np.arange(400) % 5 != 0  # 80% of both classes
    answered = two_classes(np.where(positive == right, 0.9, 0.1), positive)
    found = evaluate(answered, POINTS, bootstrap=4000, seed=0)
    low, high = binom.ppf([0.025, 0.975], 400, 0.8) / 400
    assert found["accuracy"].low == pytest.approx(low, abs=0.004)
    assert found["accuracy"].high == pytest.approx(high, abs=0.004)
    low, high = binom.ppf([0.025, 0.975], 200, 0.8) / 200
    assert found["malignant_sensitivity"].low == pytest.approx(low, abs=0.008)
    assert found["malignant_sensitivity"].high == pytest.approx(high, abs=0.008)


def test_four_photographs_of_each_lesion_tell_no_more_than_one():
    once = seven_classes(images=250)
    four_times = once.take(np.repeat(np.arange(250), 4))
    of_one = evaluate(once, POINTS, bootstrap=200, seed=3)
    of_four = evaluate(four_times, POINTS, bootstrap=200, seed=3)
    for name in of_one:
        assert of_four[name].low == pytest.approx(of_one[name].low, abs=1e-12), name
        assert of_four[name].high == pytest.approx(of_one[name].high, abs=1e-12), name


def test_resampling_photographs_instead_of_lesions_would_halve_the_interval():
    once = seven_classes(images=250)
    lesions = once.take(np.repeat(np.arange(250), 4))
    images = two_classes(lesions.scores("malignant"), lesions.positive("malignant"))
    clustered = two_classes(
        lesions.scores("malignant"), lesions.positive("malignant"), lesions.groups
    )
    width = {}
    for name, answered in (("lesions", clustered), ("images", images)):
        auc = evaluate(answered, POINTS, bootstrap=1000, seed=0)["malignant_auc"]
        width[name] = auc.high - auc.low
    assert width["lesions"] / width["images"] == pytest.approx(2, abs=0.25)


def test_a_resample_draws_as_many_lesions_as_there_are_and_all_their_images():
    groups = np.array(["a", "b", "a", "c", "c", "c"])
    (weights,) = lesion_weights(groups, 50, seed=0)
    assert weights.shape == (50, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()


def test_the_same_seed_gives_the_same_intervals():
    answered = seven_classes()
    first = evaluate(answered, POINTS, bootstrap=50, seed=1)
    assert evaluate(answered, POINTS, bootstrap=50, seed=1) == first
    assert evaluate(answered, POINTS, bootstrap=50, seed=2) != first


def test_no_interval_where_most_resamples_lack_what_is_measured():
    """By chance, a resample holds the one lesion that counts in 63 of 100; half would not do."""
    drawn = np.where(np.arange(100) < 63, 0.8, np.nan)
    assert interval("auc", 0.8, [drawn]) == Metric(0.8, 0.8, 0.8)
    assert interval("auc", 0.8, [drawn[13:]]) == Metric(0.8, 0.8, 0.8)
    assert interval("auc", 0.8, [drawn[26:]]) == Metric(0.8)


def test_interval_of_the_calibration_error_is_moved_by_what_resampling_adds():
    drawn = [np.linspace(0.10, 0.20, 101)]
    moved = interval("ece", 0.08, drawn)
    as_it_is = interval("brier", 0.08, drawn)
    assert (as_it_is.low, as_it_is.high) == pytest.approx((0.1025, 0.1975))
    assert (moved.low, moved.high) == pytest.approx((0.1025 - 0.07, 0.1975 - 0.07))


def test_no_more_resamples_are_held_than_are_worked_on(monkeypatch: pytest.MonkeyPatch):
    """Weights of 400,000 images in 1,000 resamples would take 3 GB."""
    ahead = most = 0

    def counted(*given: object) -> Iterator[np.ndarray]:
        nonlocal ahead, most
        for block in lesion_weights(*given):
            ahead, most = ahead + 1, max(most, ahead + 1)
            yield block

    def done(*given: object, **named: object) -> dict[str, np.ndarray]:
        nonlocal ahead
        found = weighted_figures(*given, **named)
        ahead -= 1
        return found

    monkeypatch.setattr("train.evaluation.bootstrap.BLOCK", 60)
    monkeypatch.setattr("train.evaluation.bootstrap.lesion_weights", counted)
    monkeypatch.setattr("train.evaluation.weighted.weighted_figures", done)
    evaluate(seven_classes(images=60), POINTS, bootstrap=50, seed=0, each_class=False)
    assert 0 < most <= usable_cores()
