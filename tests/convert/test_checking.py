"""The gate run again on a finished bundle, against its own float file or against the run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convert.checking import check
from convert.gate.judge import Margins
from edge_runtime.bundle import Bundle
from edge_runtime.commands import main
from edge_runtime.errors import ClassError, GateError, IntegrityError, LeakError, VariantError
from edge_runtime.manifest import Label, Variant
from tests.convert.rescaled import rescaled_run
from tests.convert.sabotage import noisy_onnx, swap_model
from train.data.table import Dataset, read_data
from train.run import RunFolder

# The test part holds 48 melanoma lesions: enough for 0.1, too few for the usual 0.05.
WIDE = Margins(auc=0.02, sensitivity=0.1)


def judged(
    bundle: Path, data: Dataset, *names: str, split: str = "test",
    reference: RunFolder | None = None, margins: Margins = WIDE,
) -> dict[str, Variant]:  # fmt: skip
    entries = check(
        Bundle.open(bundle), data, split, margins, reference=reference, variants=names or None,
        bootstrap=100,
    )  # fmt: skip
    return {entry.name: entry for entry in entries}


@pytest.fixture(scope="module")
def data(generated: Path) -> Dataset:
    return read_data(generated)


# On the bundle's own data


def test_bundle_passes_on_its_own_data_and_finds_the_same_figures(
    bundle: Path, data: Dataset, run_folder: RunFolder
) -> None:
    found = judged(bundle, data, "onnx_f32", "tflite_int8", reference=run_folder)
    for name, entry in found.items():
        recorded = Bundle.open(bundle).manifest.variant(name)
        assert entry.verdict == "pass"
        assert entry.operating_points == recorded.operating_points
        assert set(entry.metrics) == set(entry.difference) == {"test"}
        assert "melanoma_auc" in recorded.metrics["test"]
        for figure, metric in recorded.metrics["test"].items():
            assert entry.metrics["test"][figure] == metric
        for figure, metric in recorded.difference["test"].items():
            again = entry.difference["test"][figure]
            assert again.value == pytest.approx(metric.value, abs=1e-6)


def test_without_a_run_the_bundles_own_float_file_is_the_reference(
    bundle: Path, data: Dataset, run_folder: RunFolder
) -> None:
    alone = judged(bundle, data)
    assert list(alone) == [variant.name for variant in Bundle.open(bundle).manifest.variants]
    own = alone["tflite_f32"].difference["test"]
    assert own["largest_probability_difference"].value == 0.0
    beside = judged(bundle, data, "tflite_int8", reference=run_folder)["tflite_int8"]
    for figure, metric in beside.difference["test"].items():
        again = alone["tflite_int8"].difference["test"][figure]
        assert again.value == pytest.approx(metric.value, abs=1e-4)


def test_calibration_and_intervals_are_among_the_differences(bundle: Path, data: Dataset) -> None:
    found = judged(bundle, data, "tflite_int8", "onnx_f32")
    for name, entry in found.items():
        difference = entry.difference["test"]
        assert {"balanced_accuracy", "ece", "agreement"} <= set(difference)
        for figure, metric in difference.items():
            if figure != "largest_probability_difference":
                assert metric.low <= metric.value <= metric.high, (name, figure)
    assert found["tflite_int8"].difference["test"]["ece"].value != 0.0
    assert found["onnx_f32"].difference["test"]["ece"].value == pytest.approx(0.0, abs=1e-5)


def test_too_few_melanomas_cannot_be_judged(bundle: Path, data: Dataset) -> None:
    entry = judged(bundle, data, "onnx_f32", margins=Margins())["onnx_f32"]
    assert entry.verdict == "cannot judge"
    assert "melanoma lesions would decide it, here are 48" in entry.reason


# A bundle that is not what it says


def test_altered_model_is_refused(own_bundle: Path, data: Dataset) -> None:
    content = bytearray((own_bundle / "tflite_int8.tflite").read_bytes())
    content[-1] ^= 1
    (own_bundle / "tflite_int8.tflite").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"tflite_int8\.tflite of the bundle .* was altered"):
        judged(own_bundle, data, "tflite_int8")


def test_worse_model_in_its_place_fails_whatever_the_manifest_says(
    own_bundle: Path, data: Dataset
) -> None:
    swap_model(own_bundle, "onnx_f32", noisy_onnx)
    assert Bundle.open(own_bundle).manifest.variant("onnx_f32").verdict == "pass"
    found = judged(own_bundle, data, "onnx_f32", "tflite_f16")
    assert {name: entry.verdict for name, entry in found.items()} == {
        "onnx_f32": "fail",
        "tflite_f16": "pass",
    }
    assert found["onnx_f32"].difference["test"]["melanoma_auc"].value > 0.02


# What nothing here executes


def core_ml(bundle: Path, verdict: str) -> None:
    """Add a Core ML variant to a bundle, with a verdict that nobody reached here."""
    record = json.loads((bundle / "manifest.json").read_text("utf-8"))
    (entry,) = (one for one in record["variants"] if one["name"] == "onnx_f32")
    other = entry | {"name": "coreml_f16", "format": "coreml", "verdict": verdict}
    record["variants"].append(other)
    (bundle / "manifest.json").write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize("verdict", ["cannot judge", "pass"])
def test_what_is_not_executed_here_cannot_be_judged_whatever_the_manifest_says(
    verdict: str, own_bundle: Path, data: Dataset
) -> None:
    core_ml(own_bundle, verdict)
    entry = judged(own_bundle, data, "tflite_f16", "coreml_f16")["coreml_f16"]
    assert entry.verdict == "cannot judge"
    assert entry.reason == "not executed here: the device package reads no coreml files"
    assert entry.metrics == entry.difference == {"test": {}}


@pytest.mark.parametrize(("named", "status"), [(False, 0), (True, 1)])
def test_what_is_not_executed_here_fails_the_check_only_where_it_was_named(
    named: bool, status: int, own_bundle: Path, generated: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    record = json.loads((own_bundle / "manifest.json").read_text("utf-8"))
    record["variants"] = [one for one in record["variants"] if one["name"] != "tflite_int8"]
    (own_bundle / "manifest.json").write_text(json.dumps(record), encoding="utf-8")
    core_ml(own_bundle, "cannot judge")
    words = ["check", own_bundle, "--data", generated, "--bootstrap", 0, "--auc-margin", 0.5,
             "--sensitivity-margin", 0.5]  # fmt: skip
    if named:
        words += ["--variant", "onnx_f32", "--variant", "coreml_f16"]
    assert main([str(word) for word in words]) == status
    assert "coreml_f16: cannot judge; not executed here" in capsys.readouterr().out


def test_table_for_people_is_no_wider_than_100_columns(
    own_bundle: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core_ml(own_bundle, "cannot judge")
    words = ["check", own_bundle, "--data", generated, "--bootstrap", 100]
    main([str(word) for word in words])
    table = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert len(table) == 4 + len(Bundle.open(own_bundle).manifest.variants)
    assert max(map(len, table)) <= 100


@pytest.fixture
def other_names(generated: Path, tmp_path: Path) -> Path:
    """The same images, the classes of which are called otherwise."""
    table = (generated / "metadata.csv").read_text("utf-8")
    for code, name in (("mel", "melanoma"), ("nv", "nevus")):
        table = table.replace(f",{code},", f",{name},")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.csv").write_text(table, encoding="utf-8")
    (tmp_path / "data" / "images").symlink_to(generated / "images")
    return tmp_path / "data"


def test_classes_of_another_name_are_mapped_on_request(
    bundle: Path, generated: Path, other_names: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", str(bundle), "--variant", "onnx_f32", "--bootstrap", "0", "--json"]
    main([*words, "--data", str(generated)])
    expected = capsys.readouterr().out
    assert main([*words, "--data", str(other_names)]) == 2
    assert "class 'melanoma', which the model does not know" in capsys.readouterr().err
    main([*words, "--data", str(other_names), "--map", "melanoma=mel", "--map", "nevus=nv"])
    assert capsys.readouterr().out == expected


def test_mapping_that_turns_malignant_into_benign_is_told(
    bundle: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", str(bundle), "--variant", "onnx_f32", "--bootstrap", "0"]
    main([*words, "--data", str(generated), "--map", "mel=nv", "--map", "nv=mel"])
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: the")]
    assert told == [
        "note: the data calls mel malignant and the model calls nv benign; the model's view counts",
        "note: the data calls nv benign and the model calls mel malignant; the model's view counts",
    ]


# Data and references that do not fit


def test_data_with_a_class_that_the_model_does_not_know_is_refused(
    bundle: Path, data: Dataset, tmp_path: Path
) -> None:
    held_out = data.of_split("test")
    for label in ("mel", "nv"):
        (tmp_path / label).mkdir()
        for record in [one for one in held_out if one.label == label][:4]:
            shutil.copy(record.file, tmp_path / label)
    (tmp_path / "nv").rename(tmp_path / "df")
    with pytest.raises(ClassError, match="has the class 'df', which the model does not know"):
        judged(bundle, read_data(tmp_path), "onnx_f32")


def test_images_that_the_model_was_trained_on_are_refused(bundle: Path, data: Dataset) -> None:
    with pytest.raises(LeakError, match="trained"):
        judged(bundle, data, "onnx_f32", split="train")
    disguised = data.with_records(replace(record, split=None) for record in data.records)
    with pytest.raises(LeakError, match="trained"):
        judged(bundle, disguised, "onnx_f32")


def test_data_without_melanoma_is_refused(bundle: Path, data: Dataset) -> None:
    benign = data.with_records(record for record in data.records if record.label != "mel")
    with pytest.raises(GateError, match="hold no melanoma"):
        judged(bundle, benign, "onnx_f32")


def test_unknown_variant_names_those_that_the_bundle_holds(bundle: Path, data: Dataset) -> None:
    with pytest.raises(VariantError, match="holds no variant tflite_int4; it holds tflite_int8, "):
        judged(bundle, data, "tflite_int4")


def test_bundle_without_a_float_file_asks_for_a_run(own_bundle: Path, data: Dataset) -> None:
    record = json.loads((own_bundle / "manifest.json").read_text("utf-8"))
    kept = [one for one in record["variants"] if one["name"] != "tflite_f32"]
    (own_bundle / "manifest.json").write_text(json.dumps(record | {"variants": kept}))
    with pytest.raises(VariantError, match=r"no tflite_f32 to compare with; .* --reference"):
        judged(own_bundle, data, "onnx_f32")


def test_run_of_another_model_is_no_reference(
    bundle: Path, data: Dataset, run_folder: RunFolder
) -> None:
    labels = (*run_folder.run.labels, Label("df", "", False))
    other = replace(run_folder, run=replace(run_folder.run, labels=labels))
    with pytest.raises(ClassError, match="has other labels or another input than the bundle"):
        judged(bundle, data, "onnx_f32", reference=other)


def test_run_that_the_bundle_was_not_made_of_is_no_reference(
    bundle: Path, data: Dataset, run_folder: RunFolder
) -> None:
    """It has the same labels and input, so its answers would be compared without a word."""
    other = replace(run_folder, run=replace(run_folder.run, name="another"))
    with pytest.raises(VariantError, match=r"was not made of the run in .* the run run "):
        judged(bundle, data, "onnx_f32", reference=other)


def test_run_that_was_trained_on_other_images_is_no_reference(
    bundle: Path, data: Dataset, run_folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for row in run_folder.rows() if row.split != "train"][:-1]
    monkeypatch.setattr(RunFolder, "rows", lambda run: tuple(rows))
    with pytest.raises(VariantError, match="was not made of the run"):
        judged(bundle, data, "onnx_f32", reference=run_folder)


def test_run_that_was_trained_again_is_no_reference(
    own_bundle: Path, data: Dataset, run_folder: RunFolder, tmp_path: Path
) -> None:
    def learn_more(model: Any) -> None:
        layer = model.get_layer("stage2_bn")
        layer.gamma.assign(1.5 * layer.gamma)

    again = rescaled_run(run_folder, tmp_path / "run", learn_more)
    with pytest.raises(VariantError, match="or that was trained again since"):
        judged(own_bundle, data, "onnx_int8", reference=again)
    record = json.loads((own_bundle / "manifest.json").read_text("utf-8"))
    kept = [one for one in record["variants"] if one["name"] == "onnx_int8"]
    (own_bundle / "manifest.json").write_text(json.dumps(record | {"variants": kept}))
    with pytest.raises(VariantError, match="or that was trained again since"):
        judged(own_bundle, data, "onnx_int8", reference=again)
    assert judged(own_bundle, data, "onnx_int8", reference=run_folder)["onnx_int8"].difference


def test_bundle_that_does_not_say_its_weights_knows_no_run(
    own_bundle: Path, data: Dataset, run_folder: RunFolder
) -> None:
    record = json.loads((own_bundle / "manifest.json").read_text("utf-8"))
    del record["source"]["weights_sha256"]
    (own_bundle / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(VariantError, match="does not say which weights it was made of"):
        judged(own_bundle, data, "onnx_f32", reference=run_folder)


def test_images_that_only_the_run_knows_were_trained_on_are_refused(
    own_bundle: Path, data: Dataset, run_folder: RunFolder
) -> None:
    record = json.loads((own_bundle / "manifest.json").read_text("utf-8"))
    files = [one for one in record["other_files"] if one["file"] != "trained_on.txt"]
    (own_bundle / "manifest.json").write_text(json.dumps(record | {"other_files": files}))
    judged(own_bundle, data, "onnx_f32", split="test", reference=run_folder)
    with pytest.raises(LeakError, match="run was trained on"):
        judged(own_bundle, data, "onnx_f32", split="train", reference=run_folder)


@pytest.mark.parametrize("verdict", ["fail", "cannot judge"])
def test_float_file_that_did_not_pass_is_a_reference_only_if_it_answers_as_its_model(
    verdict: str, own_bundle: Path, data: Dataset
) -> None:
    record = json.loads((own_bundle / "manifest.json").read_text("utf-8"))
    (entry,) = (one for one in record["variants"] if one["name"] == "tflite_f32")
    entry |= {"verdict": verdict, "reason": "few melanomas"}
    for apart, told in ((2e-6, None), (0.2, rf"gate itself \({verdict}: few melanomas\)")):
        entry["difference"]["val"]["largest_probability_difference"]["value"] = apart
        (own_bundle / "manifest.json").write_text(json.dumps(record))
        if told is None:
            assert judged(own_bundle, data, "onnx_f32")["onnx_f32"].verdict == "pass"
        else:
            with pytest.raises(VariantError, match=told):
                judged(own_bundle, data, "onnx_f32")
