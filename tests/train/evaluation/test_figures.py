from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from tests.train.evaluation.simulated import CODES, POINTS, seven_classes
from train.evaluation.figures import figures
from train.evaluation.weighted import weighted_figures
from train.metrics import evaluate


def test_figures_of_all_classes_are_those_of_scikit_learn():
    answered = seven_classes()
    truth, answers = answered.truth, answered.probabilities.argmax(axis=1)
    exact = answered.probabilities.astype(float)
    exact /= exact.sum(axis=1, keepdims=True)
    expected = {
        "accuracy": sk.accuracy_score(truth, answers),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, answers),
        "macro_f1": sk.f1_score(truth, answers, average="macro"),
        "precision": sk.precision_score(truth, answers, average="macro"),
        "recall": sk.recall_score(truth, answers, average="macro"),
        "auc_macro": sk.roc_auc_score(truth, exact, multi_class="ovr", average="macro"),
        "brier": sk.brier_score_loss(truth, exact, labels=range(7)),
    }
    found = figures(answered, POINTS)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-7)


def test_figures_of_each_class_are_those_of_scikit_learn():
    answered = seven_classes()
    truth, answers = answered.truth, answered.probabilities.argmax(axis=1)
    found = figures(answered, POINTS)
    for index, code in enumerate(CODES):
        one, called = truth == index, answers == index
        assert found[f"precision_{code}"] == sk.precision_score(one, called)
        assert found[f"recall_{code}"] == sk.recall_score(one, called)
        assert found[f"f1_{code}"] == pytest.approx(sk.f1_score(one, called))
        assert found[f"auc_{code}"] == sk.roc_auc_score(one, answered.probabilities[:, index])


@pytest.mark.parametrize("target", ["melanoma", "malignant"])
def test_figures_of_a_target_are_those_of_scikit_learn(target: str):
    answered = seven_classes()
    positive, scores = answered.positive(target), answered.scores(target)
    called = scores >= POINTS[target].threshold
    found = figures(answered, POINTS)
    assert found[f"{target}_auc"] == sk.roc_auc_score(positive, scores)
    assert found[f"{target}_average_precision"] == sk.average_precision_score(positive, scores)
    assert found[f"{target}_brier"] == sk.brier_score_loss(positive, scores)
    assert found[f"{target}_sensitivity"] == sk.recall_score(positive, called)
    assert found[f"{target}_specificity"] == sk.recall_score(~positive, ~called)
    referred = (answered.scores("melanoma") >= POINTS["melanoma"].threshold) | (
        answered.scores("malignant") >= POINTS["malignant"].threshold
    )
    assert found[f"{target}_sensitivity_of_decision"] == sk.recall_score(positive, referred)
    assert found[f"{target}_specificity_of_decision"] == sk.recall_score(~positive, ~referred)
    for asked in (80, 90, 95):
        best = max(
            np.mean(scores[~positive] < threshold)
            for threshold in np.unique(scores)
            if np.mean(scores[positive] >= threshold) >= asked / 100
        )
        assert found[f"{target}_specificity_at_sensitivity_{asked}"] == pytest.approx(best)


@pytest.mark.parametrize("digits", [None, 1])
def test_weighted_figures_equal_scikit_learn_on_the_repeated_images(digits: int | None):
    answered = seven_classes(images=120, digits=digits)
    rng = np.random.default_rng(1)
    weights = np.stack([np.bincount(rng.integers(0, 120, 120), minlength=120) for _ in range(20)])
    weights[0] = 1
    weights[1, answered.truth == CODES.index("df")] = 0
    weights[2, answered.truth == CODES.index("mel")] = 0
    fast = weighted_figures(answered, POINTS, weights.astype(float))
    assert set(fast) == set(figures(answered, POINTS))
    means = ("balanced_accuracy", "macro_f1", "precision", "recall", "auc_macro")
    shown = {row: set(answered.truth[counts > 0].tolist()) for row, counts in enumerate(weights)}
    assert any(shown[row] == set(answered.truth.tolist()) for row in shown)
    for row, counts in enumerate(weights):
        slow = figures(answered.take(np.repeat(np.arange(120), counts)), POINTS)
        given = {name: values[row] for name, values in fast.items() if not np.isnan(values[row])}
        if row == 2:  # no melanoma: the other target's error takes its place in `figures`
            slow.pop("ece"), given.pop("ece")
            assert "melanoma_auc" not in given
        if shown[row] != set(answered.truth.tolist()):  # a mean of fewer classes is another figure
            assert not set(means) & set(given)
            slow = {name: value for name, value in slow.items() if name not in means}
        assert given == pytest.approx(slow, abs=1e-12)


def test_figures_of_a_class_without_images_are_left_out():
    answered = seven_classes()
    rest = answered.take(answered.truth != CODES.index("mel"))
    found = evaluate(rest, POINTS, bootstrap=20, seed=0)
    assert not [name for name in found if "mel" in name.split("_")]
    assert not [name for name in found if name.startswith("melanoma")]
    assert {"malignant_auc", "accuracy", "ece", "recall_nv"} <= set(found)
    assert all(np.isfinite([m.value, m.low, m.high]).all() for m in found.values())


def test_interval_of_a_mean_over_classes_does_not_lose_a_rare_one():
    """A class of two images, both missed: resamples without it would give 0.8, and not 0.53."""
    rng = np.random.default_rng(0)
    truth = np.r_[np.repeat([4, 5], 100), 3, 3]
    answers = np.where(rng.random(202) < 0.8, truth, np.where(truth == 4, 5, 4))
    answers[200:] = 5
    probabilities = np.full((202, 7), 0.02) + 0.86 * np.eye(7)[answers]
    missed = replace(
        seven_classes(images=202), probabilities=probabilities.astype(np.float32), truth=truth
    )
    metric = evaluate(missed, POINTS, bootstrap=500, seed=0)["balanced_accuracy"]
    assert metric.low < metric.value < metric.high < 0.6


def test_every_value_lies_within_its_interval():
    found = evaluate(seven_classes(lesions=200), POINTS, bootstrap=300, seed=0)
    del found["ece_by_chance"]
    outside = [name for name, m in found.items() if not m.low <= m.value <= m.high]
    assert outside == []


def test_without_resamples_there_are_values_and_no_intervals():
    found = evaluate(seven_classes(), POINTS, bootstrap=0, seed=0)
    del found["ece_by_chance"]
    assert all(metric.low is None and metric.high is None for metric in found.values())
