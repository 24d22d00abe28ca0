"""Learning from a teacher: what reaches the student, and which teachers are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from edge_runtime.errors import LeakError, UsageError
from tests.conftest import Command
from tests.train.test_fit import EASY, model, parts
from train.config import IMPORTED
from train.configuration import partial_folder
from train.data.table import read_data
from train.fit import fit
from train.prepared import prepare
from train.report.evidence import read_history
from train.run import MODEL_FILE, RunFolder
from train.teaching import Teacher, taught, teacher_of

EVEN = np.zeros(2, np.float32)
PRIOR = np.log(np.array([0.6, 0.4], np.float32))


def as_teacher(model: keras.Model, prior: NDArray[np.float32] = EVEN) -> Teacher:
    return Teacher(model, prior, "digest")


def test_student_learns_what_the_teacher_knows_though_its_labels_are_wrong() -> None:
    teacher = model()
    fit(teacher, parts(), EASY)
    wrong = replace(parts(), train_labels=1 - parts().train_labels)
    alone, student = model(), model()
    misled = fit(alone, wrong, EASY)
    learnt = fit(student, wrong, replace(EASY, distillation=1.0), teachers=[as_teacher(teacher)])
    assert misled.history[-1]["val_accuracy"] < 0.2
    assert learnt.history[-1]["val_accuracy"] > 0.9


def test_target_is_the_label_and_the_teachers_probabilities_by_their_shares() -> None:
    teacher, met = model(), np.log(np.array([0.8, 0.2], np.float32))
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    targets = np.eye(2, dtype=np.float32)[[0, 1, 1, 0]]
    batches = tf.data.Dataset.from_tensors((images, targets, np.ones(4, np.float32)))
    ((same, mixed, weights),) = taught(batches, [as_teacher(teacher, PRIOR)], met, 0.25)
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(weights, np.ones(4))
    shifted = teacher(images).numpy() / [0.6, 0.4] * [0.8, 0.2]
    expected = 0.75 * targets + 0.25 * shifted / shifted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mixed, expected, atol=1e-5)


def test_teacher_with_a_larger_input_sees_the_image_enlarged() -> None:
    image = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    teacher = keras.Model(image, keras.layers.Dense(2, name="logits")(pooled))
    grey = np.full((2, 8, 8, 3), 90, np.float32)
    targets = np.zeros((2, 2), np.float32)
    batches = tf.data.Dataset.from_tensors((grey, targets, np.ones(2, np.float32)))
    ((_, told, _),) = taught(batches, [as_teacher(teacher)], EVEN, 1.0)
    expected = tf.nn.softmax(teacher(np.full((2, 16, 16, 3), 90, np.float32)))
    np.testing.assert_allclose(told, expected, atol=1e-5)


def test_of_several_teachers_the_mean_is_learnt_each_at_the_students_frequencies() -> None:
    one, other, met = model(), model(), np.log(np.array([0.8, 0.2], np.float32))
    other.get_layer("logits").bias.assign([1.5, -0.5])
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    batches = tf.data.Dataset.from_tensors((images, np.zeros((4, 2), np.float32), np.ones(4)))
    alone = [
        next(iter(taught(batches, [teacher], met, 1.0)))[1]
        for teacher in (as_teacher(one, PRIOR), as_teacher(other))
    ]
    assert np.abs(alone[0] - alone[1]).max() > 0.1
    both = [as_teacher(one, PRIOR), as_teacher(other)]
    ((_, told, _),) = taught(batches, both, met, 1.0)
    np.testing.assert_allclose(told, (alone[0] + alone[1]) / 2, atol=1e-6)


def test_teacher_that_has_seen_what_is_held_out_here_is_refused(
    run_folder: RunFolder, generated: Path
) -> None:
    prepared = prepare(read_data(generated), run_folder.run.config)
    rows = [replace(row, split="val") if row.split == "train" else row for row in prepared.rows]
    with pytest.raises(LeakError, match="not in the training part here"):
        teacher_of(run_folder, replace(prepared, rows=rows))
    foreign = replace(prepared, data=replace(prepared.data, labels=prepared.data.labels[1:]))
    with pytest.raises(UsageError, match="teacher run knows the classes bkl, mel, nv"):
        teacher_of(run_folder, foreign)


def test_teacher_answers_as_it_was_trained_before_its_calibration(
    run_folder: RunFolder, generated: Path
) -> None:
    prepared = prepare(read_data(generated), run_folder.run.config)
    biases, temperature = (0.5, -1.0, 2.0), 1.25
    calibration = replace(
        run_folder.run.calibration, kept=True, temperature=temperature, biases=biases
    )
    calibrated = replace(run_folder, run=replace(run_folder.run, calibration=calibration))
    images = {"image": np.zeros((1, 32, 32, 3), np.float32)}
    after, before = (
        keras.Model(one.inputs, one.get_layer("logits").output)(images)
        for one in (run_folder.model(), teacher_of(calibrated, prepared).model)
    )
    np.testing.assert_allclose(before / temperature + biases, after, atol=1e-5)


def test_what_a_teacher_holds_of_its_classes_is_what_its_adjustment_left(
    run_folder: RunFolder, generated: Path
) -> None:
    prepared = prepare(read_data(generated), run_folder.run.config)
    counts = np.array([run_folder.run.counts["train"][code] for code in run_folder.run.codes])
    shares = np.log(counts / counts.sum())
    for adjustment in (0.0, 0.7, 1.0):
        config = replace(run_folder.run.config, logit_adjustment=adjustment)
        trained = replace(run_folder, run=replace(run_folder.run, config=config))
        prior = teacher_of(trained, prepared).prior
        np.testing.assert_allclose(prior, (1 - adjustment) * shares, atol=1e-6)


def test_run_that_was_trained_elsewhere_teaches_nothing(
    run_folder: RunFolder, generated: Path
) -> None:
    prepared = prepare(read_data(generated), run_folder.run.config)
    config = replace(run_folder.run.config, arch=IMPORTED)
    foreign = replace(run_folder, run=replace(run_folder.run, config=config))
    with pytest.raises(LeakError, match="trained elsewhere"):
        teacher_of(foreign, prepared)


@pytest.fixture
def quick(generated: Path) -> list[object]:
    return [
        "train", "--data", generated, "--arch", "plain_cnn", "--input-size", 32, "--width", 0.5,
        "--epochs", 1, "--bootstrap", 100, "--no-report",
    ]  # fmt: skip


def test_train_learns_from_runs_and_says_from_which(
    run_folder: RunFolder, quick: list[object], tmp_path: Path, inside: Command
) -> None:
    taught_by = ["--teacher", run_folder.folder] * 2 + ["--distillation", 0.7]
    inside(*quick, "--out", tmp_path / "alone", check=0)
    inside(*quick, *taught_by, "--out", tmp_path / "student", check=0)
    alone, student = (RunFolder.open(tmp_path / name) for name in ("alone", "student"))
    config = student.run.config
    assert (config.teacher, config.distillation) == ((str(run_folder.folder),) * 2, 0.7)
    digest = run_folder.run.files[MODEL_FILE]
    told = f"run ({digest[:12]})"
    assert student.run.weights.endswith(f", taught by the runs {told} and {told}")
    assert read_history(student)[0]["val_loss"] != read_history(alone)[0]["val_loss"]


def test_refused_teacher_leaves_nothing_that_the_mended_call_would_meet(
    quick: list[object], tmp_path: Path, inside: Command
) -> None:
    out = tmp_path / "student"
    inside(*quick, "--teacher", tmp_path / "nobody", "--out", out, check=2)
    assert not partial_folder(out).exists()
