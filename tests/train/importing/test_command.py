"""`dermedge import`: a run folder, or one sentence; and what takes the run further."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.commands import main
from edge_runtime.errors import (
    ConversionError,
    LeakError,
    UsageError,
)
from tests.train import foreign as elsewhere
from tests.train.importing.asking import (
    CODES,
    QUICK,
    answers,
    ending,
    refused,
    without_split,
)
from train.data.table import Dataset, read_data
from train.importing import Source, import_model
from train.importing.normalisation import NORMALISATIONS
from train.importing.record import read_import
from train.run import RunFolder


def test_run_says_what_the_files_model_says(imported: RunFolder, model_file: Path, data: Dataset):
    import keras

    original = keras.models.load_model(model_file)
    tensors = elsewhere.tensors_of(data)[elsewhere.rows_of(data, "test")]
    before = np.asarray(original(tensors / 255), np.float64)
    calibration = imported.run.calibration
    logits = np.log(before) / (calibration.temperature if calibration.kept else 1.0)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    with (imported.folder / "predictions_test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    written = np.array([[row[f"p_{code}"] for code in CODES] for row in rows], np.float64)
    np.testing.assert_allclose(written, probabilities, atol=1e-5)
    assert imported.run.metrics["test"]["auc_macro"].value > 0.6


def test_run_says_where_the_model_came_from_and_what_is_taken_on_trust(
    imported: RunFolder, model_file: Path
):
    record = read_import(imported)
    assert record is not None
    assert (record.file, record.normalisation, record.declared) == (model_file.name, "unit", True)
    assert record.difference < 1e-5
    assert min(record.tried, key=lambda name: record.tried[name].log_loss) == "unit"
    assert "part train are taken as trained on" in record.trained_on
    assert imported.run.config.arch == "imported"
    assert imported.run.best_epoch == 0
    assert imported.run.weights.startswith("imported from elsewhere.keras (SHA-256 ")


def test_classes_stand_in_the_order_of_the_models_outputs(
    generated: Path, data: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from keras import layers

    order = [1, 2, 0]
    logits = elsewhere.trained(generated, elsewhere.unit)
    kernel, bias = logits.layers[-1].get_weights()
    logits.layers[-1].set_weights([kernel[:, order], bias[order]])
    file, labels = tmp_path / "turned.keras", tmp_path / "labels.txt"
    elsewhere.followed_by(logits, layers.Softmax()).save(file)
    labels.write_text("bkl\nmel\nnv\n")
    call = [file, "--labels", labels, "--data", generated, "--out", tmp_path / "run"]
    sentence = refused(capsys, *call, "--normalisation", "unit")
    assert "fit clearly better in the order mel, nv, bkl" in sentence
    labels.write_text("mel\nnv\nbkl\n")
    run = import_model(Source(file, labels, normalisation="unit"), data, tmp_path / "run", QUICK)
    assert run.run.codes == ("mel", "nv", "bkl")
    assert run.run.melanoma == "mel"
    assert run.run.metrics["val"]["melanoma_auc"].value > 0.6


@pytest.mark.parametrize("known", [True, False])
def test_parts_that_may_part_copies_say_so(
    known: bool, model_file: Path, labels: Path, data: Dataset, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    images = without_split(data)
    if not known:
        images = images.with_records(replace(one, lesion_id=None) for one in images.records)
    import_model(Source(model_file, labels, normalisation="unit"), images, tmp_path / "run", QUICK)
    assert ("images name no lesion" in capsys.readouterr().err) is not known


def test_single_sigmoid_becomes_two_classes(generated: Path, tmp_path: Path):
    from keras import layers

    rows = [r for r in read_data(generated).records if r.label in ("mel", "nv")]
    with (tmp_path / "two.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image_id", "dx", "lesion_id", "split", "file"))
        writer.writerows((r.image_id, r.label, r.lesion_id, r.split, r.file) for r in rows)
    (tmp_path / "labels.txt").write_text("nv\nmel\n")
    logit = elsewhere.trained(tmp_path / "two.csv", elsewhere.unit, positive="mel")
    model = elsewhere.followed_by(logit, layers.Activation("sigmoid"))
    model.save(tmp_path / "one.keras")
    data = read_data(tmp_path / "two.csv")
    run = import_model(
        Source(tmp_path / "one.keras", tmp_path / "labels.txt", normalisation="unit"), data,
        tmp_path / "run", QUICK,
    )  # fmt: skip
    assert run.run.codes == ("nv", "mel")
    tensors = elsewhere.tensors_of(data)[:50]
    after, before = answers(run.model(), tensors), answers(model, tensors / 255)
    calibration = run.run.calibration
    odds = np.log(before / (1 - before)) / (calibration.temperature if calibration.kept else 1)
    np.testing.assert_allclose(after[:, 1], 1 / (1 + np.exp(-odds[:, 0])), atol=1e-5)


def test_wrong_normalisation_is_refused_by_the_name_of_the_right_one(
    model_file: Path, labels: Path, generated: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    call = [model_file, "--labels", labels, "--data", generated, "--out", tmp_path / "run"]
    sentence = refused(capsys, *call, "--normalisation", "tf")
    assert (
        "The normalisation unit (x / 255) fits clearly better than tf (x / 127.5 - 1)" in sentence
    )
    assert "validation images; use `--normalisation unit`." in sentence
    assert not (tmp_path / "run").exists()


def test_normalisation_that_is_not_named_is_found_where_the_images_tell_and_said(
    model_file: Path, labels: Path, generated: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    call = ["import", model_file, "--labels", labels, "--data", generated, "--bootstrap", 100]
    capsys.readouterr()
    assert main([*map(str, call), "--out", str(tmp_path / "run"), "--no-report", "--json"]) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record["import"]["normalisation"] == "unit"
    assert record["import"]["declared"] is False
    assert record["run"] == str(tmp_path / "run")
    assert "normalisation unit, found on the images; tried on 183 validation images" in printed.err
    assert "the 380 images of the part train are taken as trained on" in printed.err


def test_normalisation_that_the_images_do_not_tell_is_asked_for():
    from train.importing.behaviour import judge
    from train.importing.fitting import Sample

    random = np.random.default_rng(1)
    truth = random.integers(0, 3, 200)
    good = np.full((200, 3), 0.2) + 0.4 * np.eye(3)[truth]
    sample = Sample.of(truth, np.arange(200).astype(str), 3, seed=0)
    found = {name: np.full((200, 3), 1 / 3) for name in NORMALISATIONS}
    found |= {"tf": good, "torch": good}
    with pytest.raises(UsageError, match=r"do not tell .*tf: .*torch: .*; say it with --normalis"):
        judge(found, sample, CODES, declared=None, accept_unproven=True)
    assert judge(found, sample, CODES, declared="torch", accept_unproven=False).accepted == ""
    found |= {"tf": found["unit"], "torch": found["unit"]}
    with pytest.raises(ConversionError, match="no better than chance on 200 validation images"):
        judge(found, sample, CODES, declared=None, accept_unproven=True)


def test_answers_that_collapse_to_the_frequent_class_do_not_fit_better():
    """A balanced model has the higher log loss on unbalanced images, and is the better one."""
    from train.importing.fitting import Sample, clearly_better, fit

    random = np.random.default_rng(2)
    truth = (random.random(400) < 0.1).astype(np.int64)
    informed = np.clip(0.5 + 0.25 * (2 * truth - 1) + random.normal(0, 0.25, 400), 0.05, 0.95)
    informed = np.clip(informed + 0.25, 0.05, 0.98)  # as if both classes were equally frequent
    collapsed = np.full(400, 0.1)
    sample = Sample.of(truth, np.arange(400).astype(str), 2, seed=0)
    fits = [fit(np.stack([1 - p, p], axis=1), sample) for p in (informed, collapsed)]
    assert fits[1].loss < fits[0].loss
    assert not clearly_better(fits[1], fits[0], sample)


@pytest.mark.parametrize("seed", range(3))
def test_rare_class_is_among_the_images_that_the_rules_are_tried_on(seed: int):
    from train.importing.behaviour import judge, tried_on
    from train.importing.fitting import Sample

    truth = np.zeros(20_000, np.int64)
    truth[[5, 700, 9000]] = 1
    chosen = tried_on(truth, seed)
    sample = Sample.of(truth[chosen], chosen.astype(str), 2, seed)
    good = np.full((len(chosen), 2), 0.3) + 0.4 * np.eye(2)[truth[chosen]]
    found = dict.fromkeys(NORMALISATIONS, good)
    judge(found, sample, ("nv", "mel"), declared="unit", accept_unproven=False)
    assert np.bincount(truth[chosen]).tolist() == [500, 3]
    assert len(np.unique(chosen)) == 503
    assert tried_on(truth[:400], seed).tolist() == list(range(400))


def test_model_that_knows_nothing_is_refused_and_accepted_on_request(
    labels: Path, generated: Path, data: Dataset, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    from keras import layers

    head = layers.Dense(3, activation="softmax", kernel_initializer="zeros")
    elsewhere.followed_by(elsewhere.features(4), head).save(tmp_path / "blank.keras")
    call = [tmp_path / "blank.keras", "--labels", labels, "--data", generated]
    sentence = refused(capsys, *call, "--normalisation", "unit", "--out", tmp_path / "run")
    assert "no better than chance on 183 validation images (AUC 0.500" in sentence
    source = Source(tmp_path / "blank.keras", labels, normalisation="unit", accept_unproven=True)
    run = import_model(source, data, tmp_path / "run", QUICK)
    assert "no better than chance" in capsys.readouterr().err
    record = read_import(run)
    assert record is not None
    assert "no better than chance" in record.accepted


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("bkl\nmel\nnevus\n", "lists the classes bkl, mel, nevus, but data has bkl, mel, nv"),
        ("bkl\nmel\n", "lists the classes bkl, mel, but data has bkl, mel, nv"),
        ("mel\nmel\nnv\n", "lists mel more than once"),
        ("\n", "lists 0 classes, expected at least two"),
    ],
)
def test_labels_that_do_not_meet_the_data_are_refused(
    model_file: Path, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    lines: str, sentence: str,
):  # fmt: skip
    (tmp_path / "labels.txt").write_text(lines)
    call = [model_file, "--labels", tmp_path / "labels.txt", "--data", generated]
    assert sentence in refused(capsys, *call, "--out", tmp_path / "run")


def test_labels_that_do_not_meet_the_models_outputs_are_refused(
    labels: Path, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    ending("sigmoid").save(tmp_path / "one.keras")
    call = [tmp_path / "one.keras", "--labels", labels, "--data", generated]
    sentence = refused(capsys, *call, "--out", tmp_path / "run")
    assert "lists 3 classes (bkl, mel, nv), but one.keras ends in a sigmoid of 1 output" in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--input-rule", "crop=whole"], "The input rule.crop is 'whole', expected one of 'centre"),
        (["--input-rule", "size=64"], "say it with --input-size"),
        (["--input-rule", "draft"], "--input-rule draft cannot be read"),
        (["--input-rule", "jpeg_draft=--2"], "The input rule.jpeg_draft is '--2', expected a w"),
        (["--input-rule", "jpeg_draft=-2"], "The input rule: jpeg_draft is -2, expected 0 to 16"),
        (["--input-rule", "mean=0"], "The input rule has an unknown key 'mean'"),
        (["--input-size", "64"], "takes images of 32 px, not 64"),
        (["--trained-on", "nowhere.txt"], "nowhere.txt cannot be read"),
    ],
)
def test_call_that_cannot_be_followed_is_refused(
    model_file: Path, labels: Path, generated: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str,
):  # fmt: skip
    call = [model_file, "--labels", labels, "--data", generated, "--out", tmp_path / "run", *words]
    assert sentence in refused(capsys, *call)


def test_existing_folder_is_kept(
    model_file: Path, labels: Path, generated: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    call = [model_file, "--labels", labels, "--data", generated, "--out", tmp_path]
    assert "exists already; name another --out" in refused(capsys, *call)


def test_split_that_leaks_is_refused(
    model_file: Path, labels: Path, generated: Path, tmp_path: Path
):
    shutil.copytree(generated, tmp_path / "data")
    table = tmp_path / "data" / "metadata.csv"
    lines = table.read_text().splitlines()
    first = next(line for line in lines if ",train," in line)
    beside = next(line for line in lines if ",test," in line).split(",")
    torn = ",".join([first.split(",")[0], *beside[1:]])
    table.write_text("\n".join([torn if line == ",".join(beside) else line for line in lines]))
    source = Source(model_file, labels, normalisation="unit")
    with pytest.raises(LeakError, match="stand on both sides of the split"):
        import_model(source, read_data(tmp_path / "data"), tmp_path / "run", QUICK)


@pytest.mark.parametrize("header", ["image_id,seen\n", ""])
def test_listed_images_become_the_part_train_of_the_run(
    model_file: Path, labels: Path, data: Dataset, tmp_path: Path, header: str
):
    seen = [record.image_id for record in data.records if record.split == "train"]
    lines = [f"{name},yes" if header else f"{name}.jpg" for name in seen]
    (tmp_path / "seen.csv").write_text(header + "\n".join(lines))
    source = Source(model_file, labels, "unit", trained_on=tmp_path / "seen.csv")
    run = import_model(source, without_split(data), tmp_path / "run", QUICK)
    rows = run.rows()
    assert {row.image_id for row in rows if row.split == "train"} == set(seen)
    record = read_import(run)
    assert record is not None
    assert "380 of the 703 images are taken as trained on, as listed" in record.trained_on


def test_input_rule_travels_in_the_run(
    model_file: Path, labels: Path, data: Dataset, tmp_path: Path
):
    source = Source(model_file, labels, "unit", input_rule={"jpeg_draft": 0})
    run = import_model(source, data, tmp_path / "run", QUICK)
    assert (run.run.input.size, run.run.input.jpeg_draft) == (32, 0)


def test_report_tells_of_the_import_instead_of_learning_curves(imported: RunFolder, tmp_path: Path):
    from train.report import write_report

    text = write_report(imported, tmp_path / "report.html", robustness=False).read_text()
    assert "Trained elsewhere" in text
    assert "images of the part train are taken as trained on" in text
    assert "Learning curves" not in text
    assert "learning_rate" not in text
    assert "Grad-CAM for" in text  # the flat graph has features to explain


def test_runs_are_listed_and_compared_without_what_was_never_set(
    imported: RunFolder, run_folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    assert main(["runs"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("imported")]
    assert "imported        32            " in line
    assert main(["runs", "compare", str(imported.folder), str(run_folder.folder)]) == 0
    shown = capsys.readouterr().out
    assert "imported from elsewhere.keras" in shown
    (row,) = [line for line in shown.splitlines() if line.startswith("epochs")]
    assert row.split() == ["epochs", "-", "6"]
    picture = tmp_path / "curves.png"
    assert main(["runs", "plot", str(imported.folder), "--out", str(picture)]) == 2
    assert "has no learning curves, as it was trained elsewhere" in capsys.readouterr().err


def test_evaluation_refuses_what_the_model_is_taken_to_have_seen(
    imported: RunFolder, generated: Path, capsys: pytest.CaptureFixture[str]
):
    call = ["evaluate", str(imported.folder), "--bootstrap", "0", "--json"]
    assert main(call) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 140
    assert main([*call, "--data", str(generated), "--split", "train"]) == 2
    assert "that imported was trained on" in capsys.readouterr().err
