from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.train.evaluation.simulated import LABELS, POINTS, seven_classes
from train.evaluation.comparison import alike, compare
from train.metrics import evaluate


def blurred(answered, share: float):
    """The same model with part of its answers mixed with noise."""
    noise = np.random.default_rng(9).dirichlet(np.ones(7), len(answered.truth))
    mixed = (1 - share) * answered.probabilities + share * noise
    return replace(answered, probabilities=mixed.astype(np.float32))


def test_a_model_does_not_differ_from_itself():
    answered = seven_classes()
    for name, metric in compare(answered, answered, POINTS, POINTS, bootstrap=50, seed=0).items():
        assert (metric.value, metric.low, metric.high) == (0, 0, 0), name


def test_a_clearly_worse_model_is_told_apart():
    answered = seven_classes(images=800)
    difference = compare(answered, blurred(answered, 0.8), POINTS, POINTS, bootstrap=300, seed=0)
    for name in ("accuracy", "melanoma_auc", "malignant_auc", "auc_macro", "macro_f1"):
        assert difference[name].low > 0, name
    assert difference["brier"].high < 0


def test_pairing_narrows_the_interval_of_a_small_difference():
    answered = seven_classes(images=400)
    other = blurred(answered, 0.1)
    paired = compare(answered, other, POINTS, POINTS, bootstrap=300, seed=0)["melanoma_auc"]
    alone = evaluate(answered, POINTS, bootstrap=300, seed=0)["melanoma_auc"]
    assert paired.high - paired.low < 0.6 * (alone.high - alone.low)


def test_difference_is_that_of_the_two_evaluations():
    answered, other = seven_classes(), blurred(seven_classes(), 0.4)
    difference = compare(answered, other, POINTS, POINTS, bootstrap=0, seed=0)
    a = evaluate(answered, POINTS, bootstrap=0, seed=0)
    b = evaluate(other, POINTS, bootstrap=0, seed=0)
    assert set(difference) == set(a) - {"ece_by_chance"}
    for name, metric in difference.items():
        assert metric.value == a[name].value - b[name].value


def test_targets_that_mean_other_classes_are_not_subtracted():
    answered = seven_classes()
    labels = tuple(replace(label, malignant=label.code in ("bkl", "mel")) for label in LABELS)
    other = replace(answered, labels=labels)
    assert alike(answered, other, "melanoma")
    assert not alike(answered, other, "malignant")
    difference = compare(answered, other, POINTS, POINTS, bootstrap=0, seed=0)
    assert not any(name.startswith("malignant") for name in difference)
    assert {"melanoma_auc", "accuracy", "ece"} <= set(difference)
    unlike = compare(answered, replace(other, melanoma="bkl"), POINTS, POINTS, bootstrap=0, seed=0)
    assert {name for name in unlike if name.startswith(("mel", "mal", "ece"))} == set()


def test_figures_of_classes_need_the_same_classes():
    answered = seven_classes()
    renamed = tuple(replace(label, code=f"{label.code}2") for label in LABELS)
    other = replace(answered, labels=renamed, melanoma="mel2")
    difference = compare(answered, other, POINTS, POINTS, bootstrap=0, seed=0)
    assert "melanoma_auc" in difference
    assert "accuracy" not in difference


def test_answers_to_other_images_are_refused():
    with pytest.raises(ValueError, match="same images"):
        compare(
            seven_classes(images=90), seven_classes(images=91), POINTS, POINTS, bootstrap=0, seed=0
        )
