"""Fitting: the best epoch is what remains, batches repeat with their seed, nonsense is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from edge_runtime.errors import RunError, TrainingError
from edge_runtime.manifest import Label
from train.architectures import build
from train.checkpoint import Checkpoint, CheckpointFile
from train.config import TrainConfig
from train.fit import Fitted, Parts, fit
from train.metrics import Predictions
from train.pipeline import predictor

SIZE = 8
LABELS = (Label("mel", "", True), Label("nv", "", False))
COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "val_auc", "seconds"]


def config(**changes: Any) -> TrainConfig:
    usual = {
        "input_size": 32, "epochs": 3, "batch_size": 16,
        "learning_rate": 3e-3, "augmentation": 0.0, "bootstrap": 100,
    }  # fmt: skip
    return TrainConfig(**(usual | changes))


EASY = config(epochs=4, augmentation=0.3, learning_rate=3e-2)


def model() -> Any:
    """A network of the same outline as the architectures', small enough for a second a fit."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    hidden = keras.layers.Rescaling(1 / 127.5, -1)(image)
    hidden = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(hidden)
    hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    logits = keras.layers.Dense(2, name="logits")(hidden)
    return keras.Model(image, keras.layers.Activation("softmax")(logits))


def parts(*, guesses: bool = False) -> Parts:
    """Dark and light images; the validation labels are guesses where asked for."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 96)
    tensors = rng.integers(0, 120, (96, SIZE, SIZE, 3)) + 100 * labels[:, None, None, None]
    train, val = np.arange(64), np.arange(64, 96)
    truth = rng.permutation(labels[val]) if guesses else labels[val]
    return Parts(
        tensors.astype(np.uint8), train, labels[train], val,
        Predictions(np.empty((32, 0)), truth, val.astype(str), LABELS, "mel"),
    )  # fmt: skip


def val_loss(model: Any, these: Parts) -> float:
    """Log loss of the validation part, by the model as it is now."""
    answers = model.predict(these.tensors[these.val].astype(np.float32), verbose=0)
    right = answers[np.arange(len(answers)), these.val_truth.truth].astype(np.float64)
    return float(-np.log(right).mean())


# What a fit leaves


@pytest.fixture(scope="module")
def learnt() -> tuple[Any, Parts, Fitted]:
    fitted_model, these = model(), parts()
    return fitted_model, these, fit(fitted_model, these, EASY)


def test_loss_goes_down_and_an_easy_task_is_learnt(learnt: tuple[Any, Parts, Fitted]) -> None:
    fitted_model, these, fitted = learnt
    assert fitted.history[-1]["loss"] < 0.5 * fitted.history[0]["loss"]
    assert fitted.history[fitted.best_epoch - 1]["val_accuracy"] > 0.9
    assert val_loss(fitted_model, these) < 0.3


def test_history_has_one_row_an_epoch_with_the_same_columns(
    learnt: tuple[Any, Parts, Fitted],
) -> None:
    history = learnt[2].history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    for row in history:
        assert list(row) == COLUMNS
        assert all(math.isfinite(value) for value in row.values())


def test_model_ends_with_the_weights_of_its_best_epoch_not_of_its_last() -> None:
    fitted_model, these = model(), parts(guesses=True)  # the surer it gets, the worse it does
    fitted = fit(fitted_model, these, config(epochs=5, learning_rate=1e-2))
    losses = [row["val_loss"] for row in fitted.history]
    assert fitted.best_epoch == 1 + int(np.argmin(losses))
    assert losses[-1] > 1.05 * min(losses)
    assert val_loss(fitted_model, these) == pytest.approx(min(losses), abs=1e-5)


def test_validation_figures_are_those_of_the_labels(learnt: tuple[Any, Parts, Fitted]) -> None:
    from sklearn.metrics import roc_auc_score

    fitted_model, these, fitted = learnt
    answers = predictor(fitted_model)(these.tensors, these.val)
    best = fitted.history[fitted.best_epoch - 1]
    truth = these.val_truth.truth
    assert best["val_accuracy"] == (answers.argmax(axis=1) == truth).mean()
    assert best["val_auc"] == pytest.approx(roc_auc_score(truth == 0, answers[:, 0]))


def test_same_seed_trains_the_same_model(learnt: tuple[Any, Parts, Fitted]) -> None:
    again = fit(model(), parts(), EASY)
    for one, other in zip(learnt[2].history, again.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
        assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-3)


def test_absurd_learning_rate_ends_in_a_sentence_or_in_numbers() -> None:
    said, history = "", ()
    try:
        history = fit(model(), parts(), config(learning_rate=10.0, warmup_epochs=0)).history
    except TrainingError as error:
        said = str(error)
    finite = [all(math.isfinite(value) for value in row.values()) for row in history]
    assert finite == [True] * 3 or "lower --learning-rate (it is 10)" in said


def test_loss_that_is_no_number_stops_the_training_at_once() -> None:
    broken, these = model(), parts()
    kernel, bias = broken.get_layer("logits").get_weights()
    broken.get_layer("logits").set_weights([kernel * np.nan, bias])
    with pytest.raises(
        TrainingError, match=r"^The loss is nan in epoch 1, step 1; lower --learning-rate \(it is"
    ):
        fit(broken, these, config())


# What shapes the loss


def test_weights_reach_the_loss() -> None:
    these, labels = parts(), np.zeros(64, np.int64)
    labels[:4] = 1  # images that are all alike: what can be learnt is how much a class counts
    same = np.full_like(these.tensors, 128)
    alike = Parts(same, these.train, labels, these.val, these.val_truth)
    fitted = fit(model(), alike, config(epochs=8, class_weighting=1.0, learning_rate=0.1))
    half = math.log(2)  # the entropy of two classes that count alike; unweighted, it were 0.23
    assert np.mean([row["loss"] for row in fitted.history[-4:]]) == pytest.approx(half, rel=0.15)


def test_logit_adjustment_undoes_the_class_frequencies() -> None:
    these, labels = parts(), np.zeros(64, np.int64)
    labels[:4] = 1
    same = np.full_like(these.tensors, 128)
    alike = Parts(same, these.train, labels, these.val, these.val_truth)
    plain = fit(model(), alike, config(epochs=8, learning_rate=0.1))
    adjusted = fit(model(), alike, config(epochs=8, learning_rate=0.1, logit_adjustment=1.0))
    # Validation has as many of one class as of the other: a coin is the best guess there.
    assert adjusted.history[-1]["val_loss"] == pytest.approx(math.log(2), rel=0.03)
    assert plain.history[-1]["val_loss"] > 1.2


def test_label_smoothing_keeps_a_certain_network_from_certainty() -> None:
    sharp = fit(model(), parts(), config(epochs=8, learning_rate=3e-2))
    smooth = fit(model(), parts(), config(epochs=8, learning_rate=3e-2, label_smoothing=0.4))
    assert sharp.history[-1]["val_loss"] < 0.01
    assert smooth.history[-1]["val_loss"] == pytest.approx(-math.log(0.8), abs=0.02)


# Which epoch remains


def test_best_epoch_is_the_one_with_the_highest_auc_where_that_is_monitored() -> None:
    fitted = fit(model(), parts(guesses=True), config(epochs=5, monitor="val_auc"))
    aucs = [row["val_auc"] for row in fitted.history]
    assert fitted.best_epoch == 1 + int(np.argmax(aucs))


def test_training_stops_when_patience_ends() -> None:
    fitted = fit(model(), parts(guesses=True), config(epochs=50, learning_rate=1e-2, patience=2))
    assert len(fitted.history) == fitted.best_epoch + 2 < 50


def test_averaged_weights_are_what_is_validated_and_kept() -> None:
    averaged, these = model(), parts()
    fitted = fit(averaged, these, config(epochs=3, average_weights=0.9, learning_rate=3e-2))
    assert val_loss(averaged, these) == pytest.approx(
        fitted.history[fitted.best_epoch - 1]["val_loss"], abs=1e-5
    )
    plain = fit(model(), parts(), config(epochs=3, learning_rate=3e-2))
    assert [row["loss"] for row in plain.history] == pytest.approx(
        [row["loss"] for row in fitted.history], rel=1e-3
    )  # the average does not disturb the training itself
    assert plain.history[0]["val_loss"] != pytest.approx(fitted.history[0]["val_loss"], rel=1e-3)


def test_layers_with_large_maps_stay_as_they_came() -> None:
    keras.utils.set_random_seed(0)
    network = build("plain_cnn", input_size=32, classes=2).model
    before = {layer.name: layer.get_weights() for layer in network.layers}
    these, rng = parts(), np.random.default_rng(0)
    larger = replace(these, tensors=rng.integers(0, 256, (96, 32, 32, 3)).astype(np.uint8))
    fit(network, larger, config(epochs=1, frozen_stride=4))
    changed = {
        name for name, weights in before.items()
        if any((old != new).any() for old, new in zip(
            weights, network.get_layer(name).get_weights(), strict=True))
    }  # fmt: skip
    maps = {layer.name: layer.output.shape[1] for layer in network.layers if layer.name in changed}
    assert "stage1_conv" not in changed
    assert {"stage5_conv", "stage5_bn", "logits"} <= changed
    assert max(side for name, side in maps.items() if name != "logits") < 32 / 4
    assert all(layer.trainable for layer in network.layers)


def test_kept_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path, "the same data and configuration")
    row = {"epoch": 1.0, "val_loss": 0.5, "seconds": 1.0}
    other = {"network/0": np.zeros((3, 3), np.float32)}
    file.save(Checkpoint((row,), other, [other["network/0"]]))
    network = model()
    before = network.get_weights()
    with pytest.raises(RunError, match="do not fit this architecture"):
        fit(network, parts(), config(epochs=2), checkpoints=file)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
