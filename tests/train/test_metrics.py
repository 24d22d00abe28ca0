"""Operating points found by hand, figures as scikit-learn gives them, and intervals by lesion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.errors import ClassError
from edge_runtime.manifest import Label, Metric, OperatingPoint
from train.metrics import Predictions, evaluate, operating_point, operating_points

LABELS = (Label("bcc", "", True), Label("mel", "", True), Label("nv", "", False))
BCC, MEL, NV = range(3)
HALF = OperatingPoint(0.5, 0.9, 0.9, 0.9)
POINTS = {"melanoma": HALF, "malignant": HALF}


def predictions(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64],
    groups: NDArray[np.str_] | None = None,
) -> Predictions:  # fmt: skip
    groups = np.arange(len(truth)).astype(str) if groups is None else groups
    return Predictions(probabilities, truth, groups, LABELS, "mel")


def random_predictions(count: int, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    probabilities = rng.dirichlet((1, 1, 1), count) + 0.5 * np.eye(3)[truth]
    return predictions(probabilities / probabilities.sum(axis=1, keepdims=True), truth)


def two_way(right: NDArray[np.bool_]) -> Predictions:
    """Melanomas, half of the images, and nevi, answered rightly where ``right``."""
    truth = np.where(np.arange(len(right)) % 2 == 0, MEL, NV)
    answered = np.where(right, truth, MEL + NV - truth)
    return predictions(np.eye(3)[answered], truth)


# The targets


def test_melanoma_is_one_class_and_malignant_the_sum_of_several() -> None:
    found = predictions(np.array([[0.2, 0.3, 0.5], [0.6, 0.4000001, 0.0]]), np.array([MEL, BCC]))
    assert found.targets == ("melanoma", "malignant")
    assert found.scores("melanoma").tolist() == [0.3, 0.4000001]
    assert found.scores("malignant").tolist() == [0.5, 1.0]  # rounding does not exceed 1
    assert found.positive("melanoma").tolist() == [True, False]
    assert found.positive("malignant").tolist() == [True, True]


def test_data_without_a_melanoma_class_is_asked_for_malignancy_alone() -> None:
    found = replace(random_predictions(60), melanoma=None)
    assert found.targets == ("malignant",)
    assert set(operating_points(found, 0.9)) == {"malignant"}
    figures = evaluate(found, operating_points(found, 0.9), bootstrap=0, seed=0)
    assert "malignant_auc" in figures
    assert not [name for name in figures if name.startswith("melanoma_")]


# Operating points


@pytest.mark.parametrize(
    ("sensitivity", "threshold", "found", "cleared"),
    [
        (0.25, 0.85, 1 / 4, 1.0),  # between 0.9 and 0.8
        (0.50, 0.75, 2 / 4, 1.0),  # between 0.8 and the negative at 0.7
        (0.51, 0.45, 3 / 4, 2 / 3),  # half of four is not enough, so three: between 0.6 and 0.3
        (0.75, 0.45, 3 / 4, 2 / 3),
        (1.00, 0.25, 4 / 4, 2 / 3),  # between 0.3 and the negative at 0.2
    ],
)
def test_operating_point_lies_midway_below_the_last_positive_it_has_to_find(
    sensitivity: float, threshold: float, found: float, cleared: float
) -> None:
    scores = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.2, 0.1])
    positive = np.array([True] * 4 + [False] * 3)
    point = operating_point(scores, positive, sensitivity, "melanoma")
    assert point.threshold == pytest.approx(threshold)
    assert point.target_sensitivity == sensitivity
    assert (point.sensitivity, point.specificity) == pytest.approx((found, cleared))


def test_tied_scores_are_called_together() -> None:
    scores = np.array([0.5, 0.5, 0.5, 0.2, 0.5, 0.1])
    positive = np.array([True] * 4 + [False] * 2)
    point = operating_point(scores, positive, 0.5, "melanoma")
    assert point.threshold == pytest.approx(0.35)
    assert (point.sensitivity, point.specificity) == (0.75, 0.5)


def test_lowest_score_of_all_is_its_own_threshold() -> None:
    point = operating_point(np.array([0.5, 0.3]), np.array([False, True]), 0.9, "melanoma")
    assert (point.threshold, point.sensitivity, point.specificity) == (0.3, 1.0, 0.0)


def test_rounding_of_the_asked_share_does_not_ask_for_one_more() -> None:
    assert 0.56 * 25 > 14  # and yet fourteen of twenty-five are 56%
    scores = np.linspace(1, 0, 50)
    point = operating_point(scores, np.arange(50) % 2 == 0, 0.56, "melanoma")
    assert point.sensitivity == 0.56


@pytest.mark.parametrize("seed", range(20))
def test_operating_point_finds_enough_and_no_higher_one_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(0, 30, 50) / 30, rng.random(50) < 0.3
    point = operating_point(scores, positive, 0.9, "melanoma")
    assert point.sensitivity == (scores[positive] >= point.threshold).mean() >= 0.9
    assert point.specificity == (scores[~positive] < point.threshold).mean()
    for higher in np.unique(scores[scores > point.threshold])[1:]:
        assert (scores[positive] >= higher).mean() < 0.9


@pytest.mark.parametrize(("positive", "word"), [(False, "no"), (True, "only")])
def test_images_of_one_kind_give_no_operating_point(positive: bool, word: str) -> None:
    with pytest.raises(ClassError, match=f"hold {word} melanoma images"):
        operating_point(np.array([0.1, 0.9]), np.array([positive] * 2), 0.9, "melanoma")


# Values


def test_figures_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    found = random_predictions(300)
    points = {"melanoma": replace(HALF, threshold=0.3), "malignant": replace(HALF, threshold=0.6)}
    figures = evaluate(found, points, bootstrap=0, seed=0)
    truth, answers = found.truth, found.probabilities.argmax(axis=1)
    melanoma, malignant = found.probabilities[:, MEL], found.probabilities[:, [BCC, MEL]].sum(1)
    expected = {
        "accuracy": metrics.accuracy_score(truth, answers),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, answers),
        "macro_f1": metrics.f1_score(truth, answers, average="macro"),
        "precision": metrics.precision_score(truth, answers, average="macro"),
        "recall": metrics.recall_score(truth, answers, average="macro"),
        "melanoma_auc": metrics.roc_auc_score(truth == MEL, melanoma),
        "malignant_auc": metrics.roc_auc_score(truth != NV, malignant),
        "melanoma_sensitivity": metrics.recall_score(truth == MEL, melanoma >= 0.3),
        "melanoma_specificity": metrics.recall_score(truth != MEL, melanoma < 0.3),
        "malignant_sensitivity": metrics.recall_score(truth != NV, malignant >= 0.6),
        "malignant_specificity": metrics.recall_score(truth == NV, malignant < 0.6),
    }
    assert {name: figures[name].value for name in expected} == pytest.approx(expected)


def test_threshold_is_frozen_and_not_chosen_on_the_images_it_is_judged_on() -> None:
    truth = np.array([MEL, MEL, NV, NV])
    low = np.array([[0, 0.2, 0.8], [0, 0.1, 0.9], [0, 0.05, 0.95], [0, 0.01, 0.99]])
    figures = evaluate(predictions(low, truth), POINTS, bootstrap=0, seed=0)
    assert figures["melanoma_auc"].value == 1.0  # perfectly ordered, but all below one half
    assert figures["melanoma_sensitivity"].value == 0.0
    assert figures["melanoma_specificity"].value == 1.0


def test_class_without_images_does_not_lower_the_means() -> None:
    truth = np.array([MEL, MEL, NV, NV])
    figures = evaluate(predictions(np.eye(3)[truth], truth), POINTS, bootstrap=50, seed=0)
    for name in ("balanced_accuracy", "macro_f1", "precision", "recall"):
        assert figures[name].value == 1.0


def test_target_that_all_images_or_none_show_has_no_figures() -> None:
    truth = np.array([MEL, MEL, BCC])
    figures = evaluate(predictions(np.eye(3)[truth], truth), POINTS, bootstrap=50, seed=0)
    assert "melanoma_auc" in figures
    assert not [name for name in figures if name.startswith("malignant_")]


# Intervals


def test_without_resamples_there_is_no_interval() -> None:
    figures = evaluate(random_predictions(50), POINTS, bootstrap=0, seed=0)
    assert figures["accuracy"] == Metric(figures["accuracy"].value, None, None)


def test_interval_of_independent_images_is_the_binomials() -> None:
    from scipy.stats import binom

    images = 200
    figures = evaluate(two_way(np.arange(images) % 5 != 0), POINTS, bootstrap=4000, seed=1)
    accuracy = figures["accuracy"]
    assert accuracy.value == 0.8
    expected = binom.ppf([0.025, 0.975], images, 0.8) / images
    assert (accuracy.low, accuracy.high) == pytest.approx(expected, abs=0.006)


def width(metric: Metric) -> float:
    assert metric.low is not None
    assert metric.high is not None
    return metric.high - metric.low


def test_photographs_of_one_lesion_do_not_narrow_the_interval() -> None:
    once, copies = random_predictions(150), 9
    rows = np.repeat(np.arange(150), copies)
    by_lesion = replace(
        once, probabilities=once.probabilities[rows], truth=once.truth[rows],
        groups=once.groups[rows],
    )  # fmt: skip
    by_image = replace(by_lesion, groups=np.arange(len(rows)).astype(str))
    one, lesion, image = (
        evaluate(these, POINTS, bootstrap=1000, seed=2) for these in (once, by_lesion, by_image)
    )
    for name in ("accuracy", "melanoma_auc", "melanoma_sensitivity", "malignant_specificity"):
        assert one[name].value == pytest.approx(lesion[name].value) == image[name].value
        assert width(lesion[name]) == pytest.approx(width(one[name]), rel=0.02)
        assert width(image[name]) == pytest.approx(width(one[name]) / math.sqrt(copies), rel=0.2)


def test_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    first, again, other = (
        evaluate(random_predictions(80), POINTS, bootstrap=200, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first["melanoma_auc"] != other["melanoma_auc"]


def test_resamples_without_a_melanoma_do_not_break_the_interval() -> None:
    truth = np.array([MEL] + [NV] * 5)  # a third of the resamples miss the only melanoma
    figures = evaluate(predictions(np.eye(3)[truth], truth), POINTS, bootstrap=200, seed=0)
    assert figures["melanoma_auc"] == Metric(1.0, 1.0, 1.0)
