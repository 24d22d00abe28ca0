"""What the gate reports beside the losses that decide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

from convert.gate.reported import reported
from tests.train.evaluation.simulated import POINTS, seven_classes
from train.evaluation.comparison import compare
from train.evaluation.figures import figures
from train.evaluation.shares import wilson
from train.metrics import Predictions


def disturbed(reference: Predictions, noise: float) -> Predictions:
    logits = np.log(reference.probabilities)
    logits = logits + noise * np.random.default_rng(1).normal(size=logits.shape)
    return replace(reference, probabilities=softmax(logits))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def reference() -> Predictions:
    return seven_classes(600, lesions=400)


@pytest.fixture(scope="module")
def variant(reference: Predictions) -> Predictions:
    return disturbed(reference, 0.5)


def test_differences_are_those_of_the_figures(reference: Predictions, variant: Predictions) -> None:
    found = reported(reference, variant, bootstrap=0, seed=0)
    balanced = [
        balanced_accuracy_score(one.truth, one.probabilities.argmax(axis=1))
        for one in (reference, variant)
    ]
    assert found["balanced_accuracy"].value == pytest.approx(balanced[0] - balanced[1])
    errors = [figures(one, POINTS)["ece"] for one in (reference, variant)]
    assert found["ece"].value == pytest.approx(errors[1] - errors[0])
    apart = np.abs(reference.probabilities - variant.probabilities)
    assert found["largest_probability_difference"].value == pytest.approx(apart.max())
    assert found["mean_probability_difference"].value == pytest.approx(apart.mean())


def test_intervals_are_those_of_a_paired_comparison_by_lesion(
    reference: Predictions, variant: Predictions
) -> None:
    found = reported(reference, variant, bootstrap=200, seed=3)
    expected = compare(reference, variant, POINTS, POINTS, bootstrap=200, seed=3)
    balanced, ece = found["balanced_accuracy"], found["ece"]
    assert balanced.low == pytest.approx(expected["balanced_accuracy"].low)
    assert balanced.high == pytest.approx(expected["balanced_accuracy"].high)
    # There it is the reference's error minus the variant's.
    assert ece.low == pytest.approx(-expected["ece"].high)
    assert ece.high == pytest.approx(-expected["ece"].low)
    mean = found["mean_probability_difference"]
    assert mean.low < mean.value < mean.high


def test_overconfident_variant_has_a_larger_calibration_error() -> None:
    # Labels drawn from the probabilities: the reference is calibrated, the variant is too sure.
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, 7))
    probabilities = softmax(logits)
    truth = (probabilities.cumsum(axis=1) > rng.random((3000, 1))).argmax(axis=1)
    calibrated = replace(
        seven_classes(3000), probabilities=probabilities, truth=truth, groups=np.arange(3000)
    )
    sure = replace(calibrated, probabilities=softmax(3 * logits))
    found = reported(calibrated, sure, bootstrap=200, seed=0)
    assert found["agreement"].value == 1.0
    assert found["ece"].low > 0.05


def test_agreement_is_uncertain_even_where_all_answers_agree(reference: Predictions) -> None:
    agreement = reported(reference, reference, bootstrap=50, seed=0)["agreement"]
    lesions = len(np.unique(reference.groups))
    expected = binomtest(lesions, lesions).proportion_ci(0.95, method="wilson")
    assert agreement.value == 1.0
    assert (agreement.low, agreement.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("count", "of"), [(0, 40), (3, 40), (39, 40), (700, 1000)])
def test_interval_of_a_share_is_wilsons(count: int, of: int) -> None:
    expected = binomtest(count, of).proportion_ci(0.95, method="wilson")
    found = wilson(count / of, of)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_four_photographs_of_each_lesion_tell_no_more_than_one() -> None:
    once = seven_classes(200)
    pair = once, disturbed(once, 0.5)
    rows = np.repeat(np.arange(200), 4)
    of_one = reported(*pair, bootstrap=100, seed=0)
    of_four = reported(*(one.take(rows) for one in pair), bootstrap=100, seed=0)
    for name, metric in of_one.items():
        again = of_four[name]
        assert (again.low, again.high) == pytest.approx((metric.low, metric.high)), name


def test_identical_answers_differ_in_nothing(reference: Predictions) -> None:
    found = reported(reference, reference, bootstrap=50, seed=0)
    for name in ("balanced_accuracy", "ece", "mean_probability_difference"):
        assert (found[name].value, found[name].low, found[name].high) == (0.0, 0.0, 0.0)
