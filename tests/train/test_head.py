"""The head alone: it learns from features of a backbone that stays as it is."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from train.architectures import build
from train.config import TrainConfig
from train.head import fit_head
from train.pipeline import predictor


def test_head_learns_and_the_backbone_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    tensors = (rng.integers(0, 60, (120, 32, 32, 3)) + 80 * labels[:, None, None, None]).astype(
        np.uint8
    )
    rows = np.arange(120)
    keras.utils.set_random_seed(1)
    model = build("plain_cnn", input_size=32, classes=3).model
    before = {w.path: w.numpy() for w in model.weights}
    right = (predictor(model)(tensors, rows).argmax(axis=1) == labels).mean()
    config = TrainConfig(frozen_epochs=30, sampling="balanced", batch_size=16)
    fit_head(model, tensors, rows, labels, config)
    changed = {w.path for w in model.weights if not np.array_equal(before[w.path], w.numpy())}
    assert changed == {"logits/kernel", "logits/bias"}
    assert all(layer.trainable for layer in model.layers)
    assert (predictor(model)(tensors, rows).argmax(axis=1) == labels).mean() > right + 0.3
    assert "head alone, on features of the frozen backbone: 30 epochs in" in capsys.readouterr().err
