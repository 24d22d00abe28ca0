"""`dermedge evaluate` and what it stands on, with real runs, bundles and files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from edge_runtime.bundle import Bundle
from edge_runtime.errors import ClassError, RunError, UsageError
from edge_runtime.manifest import OperatingPoint, format_manifest
from tests.conftest import Command
from tests.train.evaluation.simulated import two_classes
from train.data.table import read_data
from train.evaluation.evaluation import Options, compare_subjects, evaluate_subject
from train.evaluation.images import images_of_data, images_of_run
from train.evaluation.subgroups import auc_within
from train.evaluation.subject import open_subject
from train.evaluation.table import (
    comparison_json,
    comparison_table,
    evaluation_json,
    evaluation_table,
)
from train.metrics import evaluate

if TYPE_CHECKING:
    from train.run import RunFolder

QUICK = Options(bootstrap=50)
HALF = OperatingPoint(0.5, 0.9, 0.9, 0.7)
NAMES = {"mel": "melanoma", "nv": "nevus", "bkl": "pigmented benign keratosis"}


def class_folders(
    out: Path, run: RunFolder, splits: Iterable[str], names: Mapping[str, str] | None = None
) -> Path:
    """Some of the run's images under new names, in folders named by class."""
    names = names or {}
    for index, row in enumerate(run.rows()):
        if row.split in splits and names.get(row.label, row.label):
            folder = out / names.get(row.label, row.label)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(run.run.data_folder) / row.file, folder / f"renamed_{index}.jpg")
    return out


def test_own_test_images_give_the_figures_of_the_run(run_folder: RunFolder):
    images = images_of_run(run_folder, "test")
    options = Options(bootstrap=run_folder.run.config.bootstrap, seed=run_folder.run.config.seed)
    found = evaluate_subject(open_subject(run_folder.folder), images, options)
    assert found.resampled == "lesions"
    for name, metric in run_folder.run.metrics["test"].items():
        assert found.metrics[name].value == pytest.approx(metric.value, abs=1e-5), name
        assert found.metrics[name].low == pytest.approx(metric.low, abs=1e-5), name


def test_validation_images_come_with_a_warning(run_folder: RunFolder, tmp_path: Path):
    subject = open_subject(run_folder.folder)
    own = evaluate_subject(subject, images_of_run(run_folder, "val"), QUICK)
    elsewhere = read_data(class_folders(tmp_path, run_folder, ["val"]))
    renamed = evaluate_subject(subject, images_of_data(elsewhere, "test"), QUICK)
    for found in (own, renamed):
        assert any("thresholds of run were chosen" in note for note in found.notes)


def test_machines_get_every_figure_with_its_interval(
    bundle: Path, generated: Path, dermedge: Command
):
    done = dermedge(
        "evaluate", bundle, "--data", generated, "--split", "test", "--variant", "tflite_int8",
        "--bootstrap", 100, "--subgroups", "--json", check=0,
    )  # fmt: skip
    found = json.loads(done.stdout)
    expected = sum(record.split == "test" for record in read_data(generated).records)
    assert found["n"] == expected
    assert found["model"]["variant"] == "tflite_int8"
    assert found["split"] == "test"
    assert found["resampled"] == "lesions"
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "precision", "recall", "melanoma_auc",
                 "melanoma_sensitivity", "melanoma_specificity", "ece", "ece_by_chance",
                 "malignant_auc", "brier", "recall_mel"):  # fmt: skip
        assert set(found["metrics"][name]) == {"value", "low", "high"}, name
    assert [label["code"] for label in found["labels"]] == ["bkl", "mel", "nv"]
    assert sum(label["images"] for label in found["labels"]) == expected
    assert {group["attribute"] for group in found["subgroups"]} == {"resolution", "skin tone"}
    assert any("not the person" in note for note in found["notes"])


def test_people_get_a_table_with_notes(bundle: Path, generated: Path, dermedge: Command):
    done = dermedge("evaluate", bundle, "--data", generated, "--bootstrap", 100, check=0)
    for heading in ("overall", "melanoma", "malignant", "calibration", "class"):
        assert f"\n{heading} " in done.stdout or f"\n{heading}\n" in done.stdout
    assert "specificity at sensitivity 0.90" in done.stdout
    assert done.stderr == ""


def test_first_variant_that_passed_is_evaluated_by_default(own_bundle: Path):
    manifest = Bundle.open(own_bundle).manifest
    verdicts = ["fail", "pass", *["pass"] * (len(manifest.variants) - 2)]
    variants = tuple(
        replace(variant, verdict=verdict)
        for variant, verdict in zip(manifest.variants, verdicts, strict=True)
    )
    text = format_manifest(replace(manifest, variants=variants))
    (own_bundle / "manifest.json").write_text(text)
    assert open_subject(own_bundle).variant == manifest.variants[1].name
    failed = open_subject(own_bundle, manifest.variants[0].name)
    assert failed.notes == (f"the gate's verdict on {failed.variant} was: fail",)


def test_benign_and_malignant_folders_measure_the_malignant_sum(
    bundle: Path, run_folder: RunFolder, tmp_path: Path
):
    names = {"mel": "malignant", "nv": "benign", "bkl": "benign"}
    data = read_data(class_folders(tmp_path, run_folder, ["test"], names))
    found = evaluate_subject(open_subject(bundle), images_of_data(data, "test"), QUICK)
    assert "accuracy" not in found.metrics
    assert "melanoma_auc" not in found.metrics
    assert found.metrics["malignant_auc"].value > 0.5
    assert found.resampled == "images"
    assert any("names no lesions" in note for note in found.notes)
    assert "\nclass " not in evaluation_table(found)
    assert [label["code"] for label in evaluation_json(found)["labels"]] == ["benign", "malignant"]


def test_classes_of_another_name_are_refused_and_mapped_on_request(
    bundle: Path, run_folder: RunFolder, tmp_path: Path, inside: Command
):
    data = class_folders(tmp_path, run_folder, ["test"], NAMES)
    done = inside("evaluate", bundle, "--data", data, check=2)
    assert '--map "melanoma=mel" --map "nevus=nv"' in done.stderr
    mapping = [word for code, name in NAMES.items() for word in ("--map", f"{name}={code}")]
    done = inside("evaluate", bundle, "--data", data, "--bootstrap", 0, "--json", *mapping, check=0)
    assert "melanoma_auc" in json.loads(done.stdout)["metrics"]


def test_data_without_melanoma_leaves_its_figures_out_with_a_note(
    bundle: Path, run_folder: RunFolder, tmp_path: Path
):
    data = read_data(class_folders(tmp_path, run_folder, ["test"], {"mel": ""} | {"bkl": "bcc"}))
    images = images_of_data(data, "test")
    found = evaluate_subject(open_subject(bundle), images, replace(QUICK, mapping={"bcc": ["bkl"]}))
    assert "melanoma_auc" not in found.metrics
    assert "accuracy" in found.metrics
    assert any(note.startswith("the images hold no melanoma") for note in found.notes)
    assert any("calls bcc malignant" in note for note in found.notes)


def test_images_of_one_class_are_refused(bundle: Path, generated: Path):
    data = read_data(generated)
    data = data.with_records(
        record for record in data.records if record.split != "test" or record.label == "nv"
    )
    with pytest.raises(ClassError, match="all of the class 'nv'"):
        evaluate_subject(open_subject(bundle), images_of_data(data, "test"), QUICK)


def test_a_run_against_itself_differs_by_nothing(run_folder: RunFolder):
    images = images_of_run(run_folder, "test")
    subject = open_subject(run_folder.folder)
    both = compare_subjects(subject, subject, images, QUICK)
    assert all((m.value, m.low, m.high) == (0, 0, 0) for m in both.difference.values())
    assert "0.000 [0.000, 0.000]" in comparison_table(both)


def test_a_worse_model_is_told_apart_on_the_same_images(run_folder: RunFolder):
    subject = open_subject(run_folder.folder)

    def blind(tensors: np.ndarray) -> np.ndarray:
        return np.random.default_rng(0).dirichlet(np.ones(3), len(tensors)).astype(np.float32)

    worse = replace(subject, name="worse", answer=blind)
    both = compare_subjects(subject, worse, images_of_run(run_folder, "test"), QUICK)
    assert both.difference["melanoma_auc"].low > 0
    assert both.difference["accuracy"].low > 0


def test_figures_of_other_questions_are_not_subtracted_and_a_note_says_so(run_folder: RunFolder):
    subject = open_subject(run_folder.folder)
    labels = tuple(replace(label, malignant=label.code != "nv") for label in subject.labels)
    assert labels != subject.labels
    other = replace(subject, name="other", labels=labels)
    both = compare_subjects(subject, other, images_of_run(run_folder, "test"), QUICK)
    assert "melanoma_auc" in both.difference
    assert "malignant_auc" not in both.difference
    note = "do not hold the same images for malignant"
    assert note in comparison_table(both)
    assert any(note in one for one in comparison_json(both)["notes"])


def test_a_run_and_its_bundle_are_compared(run_folder: RunFolder, bundle: Path, inside: Command):
    done = inside(
        "evaluate", run_folder.folder, "--against", bundle, "--against-variant", "tflite_f32",
        "--bootstrap", 100, "--json", check=0,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["model"]["kind"] == "run"
    assert found["against"]["model"]["variant"] == "tflite_f32"
    assert abs(found["difference"]["melanoma_auc"]["value"]) < 1e-4


def test_perfect_sensitivity_on_few_lesions_is_put_in_its_place(run_folder: RunFolder):
    subject = open_subject(run_folder.folder)
    certain = {
        name: replace(point, threshold=0.0)
        for name, point in run_folder.run.operating_points.items()
    }
    images = images_of_run(run_folder, "test")
    found = evaluate_subject(replace(subject, points=certain), images, QUICK)
    (note,) = [note for note in found.notes if note.startswith("melanoma_sensitivity is 1")]
    lesions = {record.lesion_id for record in images.records if record.label == "mel"}
    assert f"on {len(lesions)} lesions" in note
    assert f"{1 - 3 / len(lesions):.2f} (rule of three)" in note


def test_neither_a_run_nor_a_bundle_is_refused(tmp_path: Path):
    with pytest.raises(RunError, match="neither a run"):
        open_subject(tmp_path)


def test_a_bundle_without_data_is_refused(bundle: Path, inside: Command):
    assert "--data" in inside("evaluate", bundle, check=2).stderr


def test_a_variant_of_a_run_is_refused(run_folder: RunFolder):
    with pytest.raises(UsageError, match="has no variants"):
        open_subject(run_folder.folder, "tflite_int8")


def test_resolutions_are_read_of_heic_files_as_well(tmp_path: Path):
    for label in ("mel", "nv"):
        (tmp_path / "test" / label).mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(tmp_path / "test" / "mel" / "a.jpg")
    pillow_heif.from_pillow(Image.new("RGB", (64, 48))).save(tmp_path / "test" / "nv" / "b.heic")
    images = images_of_data(read_data(tmp_path), "test")
    assert sorted(images.resolutions()) == ["40x30", "64x48"]


@pytest.mark.data
def test_telling_the_resolution_of_ham10000_gains_nothing_within_resolutions(data_root: Path):
    images = images_of_data(read_data(data_root / "ham10000"), "test")
    resolutions = images.resolutions()
    assert set(resolutions) == {"200x150", "224x224"}
    scores = np.where(np.array(resolutions) == "200x150", 0.7, 0.2)
    positive = np.array([record.label == "mel" for record in images.records])
    answered = two_classes(scores, positive, images.groups)
    overall = evaluate(answered, {"malignant": HALF}, bootstrap=100, seed=0)["malignant_auc"]
    within = auc_within(answered, resolutions, "malignant", bootstrap=100, seed=0)
    assert overall.low > 0.5
    assert within is not None
    assert (within.low, within.value, within.high) == (0.5, 0.5, 0.5)


def test_bundle_is_evaluated_on_all_images_and_on_the_answered_ones(
    bundle: Path, run_folder: RunFolder
) -> None:
    subject = open_subject(bundle)
    found = evaluate_subject(subject, images_of_run(run_folder, "test"), QUICK)
    part = found.answered
    assert part is not None
    assert 0 < part.images <= found.n
    assert part.refused["refused"].value == pytest.approx(1 - part.images / found.n)
    both = part.refused["retake"].value + part.refused["uncertain"].value
    assert both == pytest.approx(part.refused["refused"].value)
    assert {"melanoma", "malignant"} == set(part.refused_of)
    assert set(part.metrics) <= set(found.metrics)
    table, printed = evaluation_table(found), evaluation_json(found)
    assert "all images" in table
    assert "refused of melanoma" in table
    assert printed["answered"]["images"] == part.images
    assert (
        evaluate_subject(
            replace(subject, inspector=None), images_of_run(run_folder, "test"), QUICK
        ).answered
        is None
    )
