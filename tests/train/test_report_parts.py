"""What the report is made of: words about the learning, plots, the worst mistakes."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.manifest import Label
from train.metrics import Predictions
from train.report import plots, words
from train.report.evidence import Answered, read_history
from train.report.mistakes import examples
from train.run import SplitRow


def test_the_best_epoch_and_an_overfitted_run_are_told():
    history = [
        {"loss": 1.0, "val_loss": 1.0, "accuracy": 0.5, "val_accuracy": 0.5, "epoch": 1},
        {"loss": 0.5, "val_loss": 0.8, "accuracy": 0.8, "val_accuracy": 0.7, "epoch": 2},
        {"loss": 0.1, "val_loss": 1.3, "accuracy": 1.0, "val_accuracy": 0.7, "epoch": 3},
    ]
    assert "overfits after epoch 2" in words.about_learning(history, 2, "val_loss")
    assert "no sign of overfitting" in words.about_learning(history[:2], 2, "val_loss")
    loss, _ = plots.learning_curves(history, 2)
    assert "best epoch: 2" in loss.svg
    assert "At the best epoch, 2: training 0.500, validation 0.800" in loss.alt


def learnt(*losses: tuple[float, float]) -> list[dict[str, float]]:
    return [{"loss": loss, "val_loss": val_loss} for loss, val_loss in losses]


def test_overfitting_is_told_where_the_best_auc_is_that_of_the_last_epoch():
    told = words.about_learning(learnt((1.0, 0.9), (0.5, 0.8), (0.1, 1.3)), 3, "val_auc")
    assert "overfits after epoch 2" in told
    assert "validation loss rose from 0.800 to 1.300" in told
    assert "weights of epoch 3 were kept, which has the highest validation AUC" in told


def test_lowest_loss_is_not_said_of_the_epoch_with_the_best_auc():
    told = words.about_learning(learnt((1.0, 0.9), (0.5, 0.80), (0.4, 0.81)), 1, "val_auc")
    assert "validation loss was lowest in epoch 2 (0.800) and ended at 0.810" in told
    assert "weights of epoch 1 were kept, which has the highest validation AUC" in told
    falling = words.about_learning(learnt((1.0, 0.9), (0.5, 0.8)), 1, "val_auc")
    assert "still at its lowest in the last epoch, 2" in falling
    assert "more epochs may help" not in falling


def test_loss_that_rises_on_both_parts_is_told():
    told = words.about_learning(learnt((1.0, 0.9), (0.5, 0.8), (0.9, 1.3)), 2, "val_loss")
    assert "After epoch 2 the validation loss rose from 0.800 to 1.300" in told
    assert "the training loss did not fall either, from 0.500 to 0.900" in told
    assert "no clear overfitting" not in told


def test_history_is_read_back_as_numbers(run_folder):
    history = read_history(run_folder)
    assert [row["epoch"] for row in history] == list(range(1, run_folder.run.config.epochs + 1))
    best = min(history, key=lambda row: row["val_loss"])
    assert best["epoch"] == run_folder.run.best_epoch


def test_reliability_bins_hold_equally_many_images_and_their_shares():
    rng = np.random.default_rng(0)
    scores = rng.random(3000)
    positive = rng.random(3000) < scores
    bins = plots.reliability_bins(scores, positive)
    assert [found.images for found in bins] == [200] * 15
    for found in bins:
        assert found.observed == pytest.approx(found.predicted, abs=0.15)
        assert found.low <= found.observed <= found.high


def test_reliability_bins_do_not_depend_on_the_order_of_images_of_one_probability():
    scores, positive = np.full(30, 0.2), np.arange(30) < 6
    straight = plots.reliability_bins(scores, positive)
    assert plots.reliability_bins(scores[::-1], positive[::-1]) == straight
    assert [found.observed for found in straight] == pytest.approx([0.2] * 15)


LABELS = (
    Label("bcc", "carcinoma", True),
    Label("mel", "melanoma", True),
    Label("nv", "nevus", False),
)


def answers(probabilities: list[list[float]], truth: list[int], lesions: list[str]) -> Answered:
    rows = tuple(
        SplitRow(f"i{index}", "", "", LABELS[right].code, lesion, "test")
        for index, (right, lesion) in enumerate(zip(truth, lesions, strict=True))
    )
    predictions = Predictions(
        np.array(probabilities), np.array(truth), np.array(lesions), LABELS, "mel"
    )
    return Answered(rows, predictions)


def test_the_worst_mistakes_come_first_one_of_each_lesion():
    answered = answers(
        [
            [0, 0.3, 0.7],
            [0, 0.1, 0.9],
            [0, 0.2, 0.8],
            [0, 0.9, 0.1],
            [0, 0.8, 0.2],
            [0.6, 0.1, 0.3],
        ],
        [1, 1, 1, 2, 2, 0],
        ["a", "b", "b", "c", "d", "e"],
    )
    chosen = examples(answered, "melanoma", 0.5)
    assert [example.image_id for example in chosen.missed] == ["i1", "i0"]
    assert [example.image_id for example in chosen.false_alarms] == ["i3", "i4"]
    assert (chosen.missed_count, chosen.false_alarm_count) == (3, 2)
    assert chosen.missed[0].explained == 1
    assert examples(answered, "malignant", 0.5).found[0].explained == 0
