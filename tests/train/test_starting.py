"""Starting from an earlier run: its weights, at any size, and never a leak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import LeakError, UsageError
from tests.conftest import Command
from train.config import TrainConfig
from train.data.table import read_data
from train.prepared import Prepared, prepare
from train.run import RunFolder
from train.starting import started_from


@pytest.fixture(scope="module")
def larger(run_folder: RunFolder) -> TrainConfig:
    """As the run was trained, at another size."""
    return replace(run_folder.run.config, input_size=48, epochs=1)


@pytest.fixture(scope="module")
def prepared(generated: Path, larger: TrainConfig) -> Prepared:
    return prepare(read_data(generated), larger)


def built(config: TrainConfig):
    from train.architectures import build

    return build(config.arch, input_size=config.input_size, classes=3, width=config.width)


def test_a_larger_network_starts_with_the_weights_of_the_run(
    run_folder: RunFolder, larger: TrainConfig, prepared: Prepared
) -> None:
    model = built(larger)
    started = started_from(model, run_folder, prepared)
    assert started.model.input_shape == (None, 48, 48, 3)
    for own, run in zip(started.model.get_weights(), run_folder.model().get_weights(), strict=True):
        np.testing.assert_array_equal(own, run)
    assert started.weights == "random initialisation, which gave the run run; trained on"


def test_calibration_of_the_run_is_taken_out_of_its_weights(
    run_folder: RunFolder, larger: TrainConfig, prepared: Prepared
) -> None:
    calibration = replace(
        run_folder.run.calibration, kept=True, temperature=0.8, biases=(0.0, -1.5, 0.0)
    )
    calibrated = replace(run_folder, run=replace(run_folder.run, calibration=calibration))
    kernel, bias = run_folder.model().get_layer("logits").get_weights()
    started = started_from(built(larger), calibrated, prepared).model.get_layer("logits")
    np.testing.assert_allclose(started.get_weights()[0], kernel * 0.8, rtol=1e-5)
    np.testing.assert_allclose(
        started.get_weights()[1], (bias - [0.0, -1.5, 0.0]) * 0.8, rtol=1e-5, atol=1e-6
    )


def test_training_goes_on_from_the_run(
    run_folder: RunFolder, generated: Path, tmp_path: Path, inside: Command
) -> None:
    done = inside(
        "train", "--data", generated, "--arch", "plain_cnn", "--input-size", 32, "--epochs", 1,
        "--learning-rate", 1e-6, "--warmup-epochs", 0, "--bootstrap", 100, "--augmentation", 0,
        "--start", run_folder.folder, "--out", tmp_path / "on", "--no-report", check=0,
    )  # fmt: skip
    assert "which gave the run run; trained on" in done.stderr
    before, after = run_folder.run, RunFolder.open(tmp_path / "on").run
    assert after.weights == f"{before.weights}, which gave the run run; trained on"
    assert after.config.start == str(run_folder.folder)
    was, now = (run.metrics["val"]["accuracy"].value for run in (before, after))
    assert now == pytest.approx(was, abs=0.02)  # steps that small move next to nothing


def test_a_run_that_has_seen_what_is_held_out_here_is_refused(
    run_folder: RunFolder, larger: TrainConfig, prepared: Prepared
) -> None:
    first = next(index for index, row in enumerate(prepared.rows) if row.split == "train")
    rows = list(prepared.rows)
    rows[first] = replace(rows[first], split="test")
    with pytest.raises(LeakError, match="trained on 1 images that are not in the training part"):
        started_from(built(larger), run_folder, replace(prepared, rows=rows))


def test_a_run_that_was_chosen_by_what_is_test_here_is_refused(
    run_folder: RunFolder, larger: TrainConfig, prepared: Prepared
) -> None:
    first = next(index for index, row in enumerate(prepared.rows) if row.split == "val")
    rows = list(prepared.rows)
    rows[first] = replace(rows[first], split="test")
    with pytest.raises(LeakError, match="chosen by 1 validation images that are test images here"):
        started_from(built(larger), run_folder, replace(prepared, rows=rows))


def test_a_network_of_other_channels_is_refused(
    run_folder: RunFolder, larger: TrainConfig, prepared: Prepared
) -> None:
    with pytest.raises(UsageError, match="do not fit the architecture"):
        started_from(built(replace(larger, width=0.5)), run_folder, prepared)


def test_other_classes_are_refused(
    run_folder: RunFolder, larger: TrainConfig, prepared: Prepared
) -> None:
    data = replace(prepared.data, labels=prepared.data.labels[1:])
    with pytest.raises(UsageError, match="are bkl, mel, nv, those of the data mel, nv"):
        started_from(built(larger), run_folder, replace(prepared, data=data))
