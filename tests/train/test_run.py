"""The run folder: complete, true to the model in it, and refused once anything is altered."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime._files import sha256
from edge_runtime.errors import RunError
from edge_runtime.preprocess import load_input
from train.data.table import read_data
from train.report.evidence import read_answers
from train.report.words import words_for_resampled
from train.run import (
    LesionCount,
    RunFolder,
    SplitRow,
    format_run,
    lesions_by_split,
    lesions_of,
    split_csv,
)

FILES = [
    "config.toml",
    "history.csv",
    "model.keras",
    "predictions_test.csv",
    "predictions_val.csv",
    "split.csv",
]


@pytest.fixture
def own_run(run_folder: RunFolder, tmp_path: Path) -> Path:
    """A copy of the run that a test may damage."""
    return Path(shutil.copytree(run_folder.folder, tmp_path / "own_run"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def predicted(run: RunFolder, split: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities and class indices in `predictions_<split>.csv`."""
    rows = rows_of(run.folder / f"predictions_{split}.csv")
    columns = [f"p_{code}" for code in run.run.codes]
    probabilities = np.array([[float(row[name]) for name in columns] for row in rows])
    return probabilities, np.array([run.run.codes.index(row["label"]) for row in rows])


def log_loss(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    exact = probabilities / probabilities.sum(axis=1, keepdims=True)
    return float(-np.log(exact[np.arange(len(truth)), truth]).mean())


# What is in it


def test_run_reads_back_as_it_was_written(run_folder: RunFolder) -> None:
    opened = RunFolder.open(run_folder.folder)
    assert opened.run == run_folder.run
    assert format_run(opened.run) == (run_folder.folder / "run.json").read_text("utf-8")
    assert sorted(path.name for path in run_folder.folder.iterdir()) == sorted([*FILES, "run.json"])
    assert sorted(opened.run.files) == FILES


def test_split_file_names_every_image_with_its_digest_and_tears_no_lesion(
    run_folder: RunFolder, generated: Path
) -> None:
    rows, records = run_folder.rows(), read_data(generated).records
    assert [(row.image_id, row.label, row.lesion_id, row.split) for row in rows] == [
        (record.image_id, record.label, record.lesion_id, record.split) for record in records
    ]
    for row in rows:
        assert row.sha256 == sha256((generated / row.file).read_bytes())
    sides: dict[str, set[str]] = defaultdict(set)
    for row, lesion in zip(rows, lesions_of(rows), strict=True):
        sides[lesion].add(row.split)
    assert {len(found) for found in sides.values()} == {1}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.split][row.label] += 1
    assert run_folder.run.counts == counts


def test_columns_of_the_data_that_bear_our_names_change_nothing(run_folder: RunFolder) -> None:
    """A table may have a column "label" (of a second reader) or "sha256" of its own."""
    rows = [
        replace(row, attributes={"label": "0", "sha256": "", "split": "train", "age": str(number)})
        for number, row in enumerate(run_folder.rows())
    ]
    content = split_csv(rows).encode()
    changed = replace(run_folder.run, files={**run_folder.run.files, "split.csv": sha256(content)})

    class Written(RunFolder):
        def _read(self, name: str) -> bytes:
            return content

    assert list(Written(run_folder.folder, changed).rows()) == rows


def test_answers_are_resampled_by_lesion_and_copies_of_a_file_are_one(
    run_folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [replace(row, lesion_id="") for row in run_folder.rows()]
    first, second, *_ = (at for at, row in enumerate(rows) if row.split == "val")
    rows[second] = replace(rows[second], sha256=rows[first].sha256)
    monkeypatch.setattr(RunFolder, "rows", lambda _: rows)
    groups = read_answers(run_folder, "val").predictions.groups
    assert groups[0] == groups[1]
    assert len(set(groups)) == len(groups) - 1


def test_lesions_are_counted_apart_from_groups_whose_lesion_nobody_names() -> None:
    """The audit names groups of like pictures itself where no data set names a lesion."""
    rows = [
        SplitRow(f"{index}", f"{index}.jpg", digest, "nv", lesion, split)
        for index, (digest, lesion, split) in enumerate((
            ("a", "HAM_1/000001", "train"), ("b", "HAM_1/000001", "train"),
            ("c", "HAM_2/000002", "train"), ("d", "group-000003", "train"),
            ("e", "group-000003", "train"), ("f", "group-000004", "train"),
            ("c", "group-000005", "train"), ("g", "", "train"), ("h", "HAM_6/000006", "val"),
        ))
    ]  # fmt: skip
    assert lesions_by_split(rows) == {
        "train": LesionCount(2, 3), "val": LesionCount(1, 0), "test": LesionCount(0, 0),
    }  # fmt: skip
    assert lesions_by_split(rows)["train"].words == (
        "2 lesions and of 3 unlike photographs whose lesions are not known"
    )
    grouped = lesions_by_split([replace(row, lesion_id="group-000001") for row in rows])
    assert grouped["train"] == LesionCount(0, 1)
    assert words_for_resampled(grouped) == "groups of like photographs"
    own = lesions_by_split([replace(row, lesion_id="group-A") for row in rows])
    assert own["train"] == LesionCount(1, 0)
    assert lesions_by_split([replace(row, lesion_id="") for row in rows]) == {}


def test_history_has_a_row_an_epoch_and_no_nan(run_folder: RunFolder) -> None:
    rows = rows_of(run_folder.folder / "history.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    losses = [float(row["val_loss"]) for row in rows]
    assert run_folder.run.best_epoch == 1 + losses.index(min(losses))


@pytest.mark.parametrize("split", ["val", "test"])
def test_predictions_are_the_saved_models_answers(
    split: str, run_folder: RunFolder, generated: Path
) -> None:
    rows = [row for row in run_folder.rows() if row.split == split]
    written = rows_of(run_folder.folder / f"predictions_{split}.csv")
    assert [(row["image_id"], row["lesion_id"], row["label"]) for row in written] == [
        (row.image_id, row.lesion_id, row.label) for row in rows
    ]
    images = np.stack([load_input(generated / row.file, run_folder.run.input) for row in rows])
    answers = run_folder.model().predict(images.astype(np.float32), verbose=0)
    np.testing.assert_allclose(predicted(run_folder, split)[0], answers, atol=1e-5)


def test_saved_model_is_the_best_epochs_calibrated_as_the_record_says(
    run_folder: RunFolder,
) -> None:
    calibration = run_folder.run.calibration
    losses = [float(row["val_loss"]) for row in rows_of(run_folder.folder / "history.csv")]
    assert min(losses) == pytest.approx(calibration.loss_before, abs=1e-5)
    expected = calibration.loss_after if calibration.kept else calibration.loss_before
    assert log_loss(*predicted(run_folder, "val")) == pytest.approx(expected, abs=1e-5)


def test_operating_points_are_chosen_on_validation_and_applied_to_test(
    run_folder: RunFolder,
) -> None:
    codes, run = run_folder.run.codes, run_folder.run
    assert list(run.operating_points) == ["melanoma", "malignant"]
    point = run.operating_points["melanoma"]
    for split in ("val", "test"):
        probabilities, truth = predicted(run_folder, split)
        called = probabilities[:, codes.index("mel")] >= point.threshold
        positive = truth == codes.index("mel")
        sensitivity, specificity = called[positive].mean(), (~called[~positive]).mean()
        assert run.metrics[split]["melanoma_sensitivity"].value == pytest.approx(sensitivity)
        assert run.metrics[split]["melanoma_specificity"].value == pytest.approx(specificity)
        if split == "val":
            assert (point.sensitivity, point.specificity) == (sensitivity, specificity)
            assert sensitivity >= point.target_sensitivity == 0.9


def test_metrics_are_those_of_the_predictions(run_folder: RunFolder) -> None:
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    mel = run_folder.run.codes.index("mel")
    for split in ("val", "test"):
        probabilities, truth = predicted(run_folder, split)
        metrics = run_folder.run.metrics[split]
        expected = {
            "balanced_accuracy": balanced_accuracy_score(truth, probabilities.argmax(axis=1)),
            "melanoma_auc": roc_auc_score(truth == mel, probabilities[:, mel]),
        }
        for name, value in expected.items():
            assert metrics[name].value == pytest.approx(value)
            assert metrics[name].low < value < metrics[name].high


def test_record_says_what_data_it_was_trained_on(run_folder: RunFolder, generated: Path) -> None:
    run = run_folder.run
    assert (run.data.name, run.data.licence) == ("generated", "CC0-1.0")
    assert run.data_folder == str(generated.resolve())
    assert (run.melanoma, run.codes) == ("mel", ("bkl", "mel", "nv"))
    assert run.config.seed == 0
    assert {"tensorflow", "keras", "pillow", "numpy"} <= set(run.versions)


# What is refused


@pytest.mark.parametrize("name", FILES)
def test_altered_file_is_refused(name: str, own_run: Path) -> None:
    content = bytearray((own_run / name).read_bytes())
    content[len(content) // 2] ^= 1
    (own_run / name).write_bytes(content)
    with pytest.raises(RunError, match=f"{name} of the run own_run was altered since training"):
        RunFolder.open(own_run)


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_refused(name: str, own_run: Path) -> None:
    (own_run / name).unlink()
    with pytest.raises(RunError, match=f"{name} of the run own_run cannot be read"):
        RunFolder.open(own_run)


def test_file_altered_after_opening_is_refused_on_use(own_run: Path) -> None:
    opened = RunFolder.open(own_run)
    for name, use in (("model.keras", opened.model), ("split.csv", opened.rows)):
        (own_run / name).write_bytes(b"altered")
        with pytest.raises(RunError, match=f"{name} .* was altered"):
            use()


def _set(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda record: record.update({key: value})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_set("schema_version", 2), "has schema version 2, this package reads 1; use the dermedge"),
        (_set("schema_version", None), "has schema version None"),
        (lambda record: record.pop("labels"), "not valid: run lacks the key 'labels'"),
        (_set("mood", "fine"), "not valid: run has an unknown key 'mood'"),
        (_set("best_epoch", "two"), "run.best_epoch is 'two', expected a whole number"),
        (lambda record: record["config"].update(epochs=0), "epochs is 0, expected 1 to"),
    ],
)
def test_record_that_breaks_its_schema_is_refused(
    spoil: Callable[[dict[str, Any]], object], words: str, own_run: Path
) -> None:
    record = json.loads((own_run / "run.json").read_text("utf-8"))
    spoil(record)
    (own_run / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=words):
        RunFolder.open(own_run)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[1, 2]"])
def test_record_that_is_no_json_object_is_refused(content: bytes, own_run: Path) -> None:
    (own_run / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"is not JSON|has schema version None"):
        RunFolder.open(own_run)


def test_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no readable run\.json .*`dermedge train` wrote"):
        RunFolder.open(tmp_path)


def test_model_that_does_not_load_is_refused_in_words(own_run: Path) -> None:
    record = json.loads((own_run / "run.json").read_text("utf-8"))
    (own_run / "model.keras").write_bytes(b"not a model")
    record["files"]["model.keras"] = sha256(b"not a model")
    (own_run / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"model\.keras does not load \(.*\); train again"):
        RunFolder.open(own_run).model()


def test_split_file_with_other_columns_is_refused(own_run: Path) -> None:
    record = json.loads((own_run / "run.json").read_text("utf-8"))
    (own_run / "split.csv").write_text("image_id,label\na,mel\n")
    record["files"]["split.csv"] = sha256(b"image_id,label\na,mel\n")
    (own_run / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"split\.csv has unexpected columns"):
        RunFolder.open(own_run).rows()
