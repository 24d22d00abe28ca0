from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import ClassError, UsageError
from edge_runtime.manifest import Label
from tests.train.evaluation.simulated import LABELS, POINTS, seven_classes
from train.evaluation.classes import Truth, check_mapping, map_classes, meet, parse_mapping
from train.evaluation.comparison import compare
from train.metrics import Predictions, evaluate

BENIGN_MALIGNANT = (Label("benign", "benign", False), Label("malignant", "malignant", True))
CODES = [label.code for label in LABELS]


def test_mapped_classes_bear_the_models_names():
    mapping = parse_mapping(["melanoma=mel", " nevus = nv "])
    assert map_classes(["melanoma", "nevus", "bkl"], mapping, CODES) == ["mel", "nv", "bkl"]


def test_one_mapping_serves_two_models():
    mapping = parse_mapping(["m=mel", "m=melanoma"])
    assert map_classes(["m"], mapping, ["mel", "nv"]) == ["mel"]
    assert map_classes(["m"], mapping, ["melanoma", "nevus"]) == ["melanoma"]


@pytest.mark.parametrize("word", ["mel", "=mel", "melanoma="])
def test_a_mapping_of_another_form_is_refused(word: str):
    with pytest.raises(UsageError, match="OLD=NEW"):
        parse_mapping([word])


def test_a_mapping_without_effect_is_refused():
    with pytest.raises(ClassError, match="'melanom', which the data does not have"):
        check_mapping({"melanom": ("mel",)}, ["melanoma", "nevus"], [CODES])
    with pytest.raises(ClassError, match="'mle', which the model does not know"):
        check_mapping({"melanoma": ("mle",)}, ["melanoma", "nevus"], [CODES])


def test_classes_that_do_not_meet_are_named_with_their_likely_mapping():
    data = (Label("melanoma", "melanoma", True), Label("nevus", "melanocytic nevus", False),
            Label("wart", "wart", False))  # fmt: skip
    model = (Label("mel", "melanoma", True), Label("nv", "melanocytic nevus", False))
    with pytest.raises(ClassError) as caught:
        meet(["melanoma", "nevus", "wart"], data, "melanoma", model, "mel", {})
    assert '--map "melanoma=mel" --map "nevus=nv" --map "wart=CLASS"' in str(caught.value)


def test_images_of_one_class_are_refused():
    with pytest.raises(ClassError, match="all of the class 'nv'"):
        meet(["nv", "nv"], LABELS, "mel", LABELS, "mel", {})


def told_apart_by_malignancy() -> tuple[Predictions, Predictions, Truth]:
    """Answers of seven classes, and the same where the truth tells only benign from malignant."""
    answered = seven_classes(images=400)
    classes = ["malignant" if one else "benign" for one in answered.positive("malignant")]
    truth = meet(classes, BENIGN_MALIGNANT, None, LABELS, "mel", {})
    malignant = np.array([label.malignant for label in LABELS])
    return answered, truth.beside(answered.probabilities, malignant, answered.groups), truth


def test_benign_and_malignant_images_measure_only_the_malignant_sum():
    answered, binary, truth = told_apart_by_malignancy()
    found = evaluate(binary, POINTS, bootstrap=20, seed=0)
    of_classes = evaluate(answered, POINTS, bootstrap=20, seed=0)
    expected = {
        name for name in of_classes
        if name.startswith("malignant_") and not name.endswith("_of_decision")  # melanoma's part
    }  # fmt: skip
    assert set(found) == expected | {"ece", "ece_by_chance"}
    for name in expected:
        assert found[name].value == pytest.approx(of_classes[name].value), name
    assert "only tells malignant from benign" in truth.notes[0]


def test_figures_of_unlike_classes_and_targets_are_not_compared():
    """A model and its own malignant sum are one model: what can be compared does not differ."""
    answered, binary, _ = told_apart_by_malignancy()
    found = compare(answered, binary, POINTS, POINTS, bootstrap=0, seed=0)
    assert {name.partition("_")[0] for name in found} == {"malignant"}
    assert all(metric.value == 0 for metric in found.values())
    assert {"ece", "accuracy"} <= set(
        compare(answered, answered, POINTS, POINTS, bootstrap=0, seed=0)
    )


def test_a_model_of_benign_and_malignant_is_measured_in_full():
    truth = meet(["benign", "malignant"], BENIGN_MALIGNANT, None, BENIGN_MALIGNANT, None, {})
    assert truth.classes_known
    assert truth.index.tolist() == [0, 1]


def test_a_disagreement_on_malignancy_is_noted():
    data = (Label("akiec", "keratosis", False), Label("mel", "melanoma", True))
    truth = meet(["akiec", "mel"], data, "mel", LABELS, "mel", {})
    assert truth.notes == (
        "the data calls akiec benign and the model calls akiec malignant; the model's view counts",
    )
