"""The scaling: fitted, kept only where it helps for certain, folded into the last layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.errors import TrainingError
from edge_runtime.manifest import Label
from train import backend
from train.calibration import Calibration, calibrate, fold, log_losses
from train.config import CalibrationKind
from train.metrics import Predictions

LABELS = tuple(Label(code, code, code == "mel") for code in ("bkl", "mel", "nv"))
IMAGES, LESIONS = 900, 600


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def answers(sharpness: float) -> Predictions:
    """A model that is calibrated at sharpness 1, overconfident above, too cautious below."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (IMAGES, len(LABELS)))
    drawn = rng.random((IMAGES, 1))
    truth = (softmax(logits).cumsum(axis=1) > drawn).argmax(axis=1)
    groups = np.array([f"lesion {index % LESIONS}" for index in range(IMAGES)])
    probabilities = softmax(logits * sharpness).astype(np.float32)
    return Predictions(probabilities, truth, groups, LABELS, "mel")


@pytest.mark.parametrize("sharpness", [2.0, 0.5])
def test_temperature_of_a_miscalibrated_model_is_found_and_kept(sharpness: float):
    found = calibrate(answers(sharpness), kind="temperature", bootstrap=50, seed=0)
    assert found.kept
    assert found.temperature == pytest.approx(sharpness, rel=0.12)
    assert found.loss_after < found.loss_before
    assert 0 < found.gain_low < found.gain_high
    assert "folded" in found.reason


def test_calibrated_model_is_left_alone():
    found = calibrate(answers(1.0), kind="temperature", bootstrap=50, seed=0)
    assert not found.kept
    assert found.temperature == pytest.approx(1, rel=0.12)
    assert found.gain_low <= 0
    assert "left out" in found.reason


def small_sample(seed: int, photographs: int = 1) -> Predictions:
    """Calibrated answers about 60 lesions, each photographed so often with the same answer."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (60, len(LABELS)))
    truth = (softmax(logits).cumsum(axis=1) > rng.random((60, 1))).argmax(axis=1)
    rows = np.repeat(np.arange(60), photographs)
    groups = np.array([f"lesion {row}" for row in rows])
    return Predictions(softmax(logits)[rows].astype(np.float32), truth[rows], groups, LABELS, "mel")


def test_gain_on_the_lesions_that_were_fitted_is_no_gain():
    """In this sample the scaling helps where it was fitted, by chance, and nowhere else."""
    found = calibrate(small_sample(12), kind="bias-corrected", bootstrap=50, seed=0)
    assert not found.kept
    assert found.gain_low < -0.02
    assert found.loss_after < found.loss_before


def test_ten_photographs_of_a_lesion_are_no_ten_lesions():
    one, ten = (
        calibrate(small_sample(12, photographs), kind="temperature", bootstrap=200, seed=0)
        for photographs in (1, 10)
    )
    width = one.gain_high - one.gain_low
    assert ten.gain_high - ten.gain_low == pytest.approx(width, rel=0.3)


def test_interval_of_the_gain_is_that_of_all_lesions():
    sample = answers(2.0)
    found = calibrate(sample, kind="temperature", bootstrap=1000, seed=0)
    logits = np.log(sample.probabilities.astype(np.float64))
    gains = log_losses(logits, sample.truth) - log_losses(logits / found.temperature, sample.truth)
    excess = np.bincount(np.arange(IMAGES) % LESIONS, gains - gains.mean())  # of every lesion
    error = np.sqrt((excess**2).sum()) / IMAGES
    assert found.gain_high - found.gain_low == pytest.approx(2 * 1.96 * error, rel=0.1)


def shifted(shift: tuple[float, ...], kind: CalibrationKind) -> Calibration:
    """What is found for a calibrated model whose logits were shifted, as logit adjustment does."""
    found = answers(1.0)
    logits = np.log(found.probabilities.astype(np.float64)) + shift
    moved = replace(found, probabilities=softmax(logits).astype(np.float32))
    return calibrate(moved, kind=kind, bootstrap=50, seed=0)


def test_bias_undoes_a_shift_of_melanoma_that_a_temperature_cannot():
    shift = (0.0, 1.5, 0.0)
    alone, both = shifted(shift, "temperature"), shifted(shift, "bias-corrected")
    assert alone.biases == ()
    assert both.kept
    assert both.loss_after < alone.loss_after - 0.1
    assert both.temperature == pytest.approx(1, rel=0.12)
    assert both.biases == pytest.approx([0, -1.5, 0], abs=0.3)
    assert "a bias of melanoma" in both.reason


def test_other_classes_keep_what_lifts_them():
    biases = shifted((0.0, 1.0, 1.0), "bias-corrected").biases
    assert (biases[0], biases[2]) == (0, 0)


def test_bias_of_a_calibrated_model_is_left_out():
    found = calibrate(answers(1.0), kind="bias-corrected", bootstrap=50, seed=0)
    assert not found.kept
    assert abs(found.biases[1]) < 0.3


def test_target_without_images_gets_a_bias_that_a_network_can_hold():
    found = answers(1.0)
    lonely = replace(found, truth=np.where(found.truth == 1, 2, found.truth))
    biases = calibrate(lonely, kind="bias-corrected", bootstrap=50, seed=0).biases
    assert -11 < biases[1] < -3


def test_folded_temperature_divides_the_logits_and_keeps_the_order_of_the_classes():
    backend.prepare()
    from train.architectures import build

    model = build("plain_cnn", input_size=32, classes=3).model
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.float32)
    before = np.asarray(model(images, training=False), np.float64)
    fold(model, 2.5)
    after = np.asarray(model(images, training=False), np.float64)
    assert after == pytest.approx(softmax(np.log(before) / 2.5), abs=1e-6)
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    assert after.max() < before.max()

    fold(model, 0.5, (1.0, -2.0, 0.0))
    biased = np.asarray(model(images, training=False), np.float64)
    expected = softmax(np.log(after) / 0.5 + [1.0, -2.0, 0.0])
    assert biased == pytest.approx(expected, abs=1e-6)


def test_model_without_a_layer_for_the_temperature_is_refused():
    backend.prepare()
    import keras

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, name="other")])
    with pytest.raises(TrainingError, match='no dense layer "logits"'):
        fold(model, 2.0)
