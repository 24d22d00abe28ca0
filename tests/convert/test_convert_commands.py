"""`dermedge convert` and `dermedge check` as a user types them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import convert.variants
from convert.conversion import Options
from convert.gate.judge import Margins
from convert.variants import VARIANTS, Exported
from edge_runtime.bundle import Bundle
from edge_runtime.commands import main
from edge_runtime.manifest import Manifest
from tests.conftest import EXECUTABLE
from tests.convert.sabotage import content, noisy_onnx, swap_model
from train.run import RunFolder

if TYPE_CHECKING:
    from tests.conftest import Command

VARIANT_KEYS = {
    "name", "file", "bytes", "sha256", "split", "metrics", "difference", "verdict", "reason",
}  # fmt: skip
WIDE = ["--auc-margin", "0.02", "--sensitivity-margin", "0.1"]
QUICK = ["--variants", "onnx_f32", "--calibration-images", "20", "--bootstrap", "0"]


def refused(words: list[object], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which a call is refused."""
    assert main([str(word) for word in words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


# convert


def test_second_conversion_in_another_process_makes_the_same_bundle(
    dermedge: Command, run_folder: RunFolder, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    done = dermedge(
        "convert", run_folder.folder, "--out", out, "--name", "test", "--bootstrap", 100,
        "--calibration-images", 60, "--accept-unproven", "--allow-failing", "--json",
        "--variants", ",".join(EXECUTABLE),
    )  # fmt: skip
    (line,) = done.stdout.splitlines()
    printed = json.loads(line)
    assert printed["bundle"] == str(out)
    assert printed["left_out"] == []
    manifest = Bundle.open(out).manifest
    for one in printed["variants"]:
        assert set(one) == {*VARIANT_KEYS, "in_bundle", "float_layers", "tries"}
        assert one["in_bundle"]
        entry = manifest.variant(one["name"])
        assert (one["file"], one["bytes"], one["sha256"]) == (entry.file, entry.bytes, entry.sha256)
        assert (one["verdict"], one["reason"]) == (entry.verdict, entry.reason)
        assert one["split"] == "val"
        assert one["metrics"]["melanoma_auc"]["value"] == entry.metrics["val"]["melanoma_auc"].value
        assert {"melanoma_auc", "melanoma_sensitivity", "agreement"} <= set(one["difference"])
    passed = all(one["verdict"] == "pass" for one in printed["variants"])
    assert done.returncode == (0 if passed else 1)
    assert "Traceback" not in done.stderr

    first, second = content(bundle), content(out)
    assert set(first) == set(second)
    timed = {"report.html", "manifest.json"}  # the report says how fast each variant was just now
    assert {name for name in first if first[name] != second[name]} <= timed
    assert without_report(Bundle.open(bundle).manifest) == without_report(manifest)


def without_report(manifest: Manifest) -> Manifest:
    files = tuple(one for one in manifest.other_files if one.file != "report.html")
    return replace(manifest, other_files=files)


def test_passing_variant_is_printed_in_a_table_and_ends_with_status_0(
    run_folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["convert", run_folder.folder, "--out", tmp_path / "b", *QUICK, "--version", "1.2.3"]
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr()
    assert re.search(r"^onnx_f32 +[\d,]+ +0\.\d{3} .* pass$", printed.out, re.MULTILINE)
    assert printed.out.endswith(f"bundle: {tmp_path / 'b'}\n")
    assert re.search(r"^onnx_f32: pass; AUC loss ", printed.err, re.MULTILINE)
    manifest = Bundle.open(tmp_path / "b").manifest
    assert (manifest.name, manifest.version) == ("run", "1.2.3")


@pytest.mark.parametrize("overwrite", [False, True])
def test_sabotaged_converter_ends_with_status_1_and_without_a_bundle(
    overwrite: bool, run_folder: RunFolder, own_bundle: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def sabotaged(exported: Exported) -> bytes:
        return noisy_onnx(VARIANTS["onnx_f32"].convert(exported).model())

    module = types.ModuleType("convert.variants.sabotage")
    module.converter = sabotaged  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    kind = replace(VARIANTS["onnx_f32"], converter="sabotage:converter")
    monkeypatch.setattr(convert.variants, "_KINDS", (kind,))
    out = own_bundle if overwrite else tmp_path / "new"
    before = content(own_bundle)
    words = ["convert", run_folder.folder, "--out", out, *QUICK, "--overwrite"]
    assert main([str(word) for word in words]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^onnx_f32 .* fail$", printed, re.MULTILINE)
    assert printed.endswith("bundle: none, as no variant passed\n")
    assert (tmp_path / "new").exists() is False
    assert content(own_bundle) == before


def test_defaults_of_the_flags_are_those_of_the_function(
    monkeypatch: pytest.MonkeyPatch, run_folder: RunFolder, tmp_path: Path
) -> None:
    told: list[Options] = []
    monkeypatch.setattr(
        "convert.conversion.convert",
        lambda run, out, options, data, overwrite: told.append(options) or pytest.skip("done"),
    )
    with pytest.raises(pytest.skip.Exception):
        main(["convert", str(run_folder.folder), "--out", str(tmp_path / "b")])
    assert told == [Options()]
    assert Options().margins == Margins(0.01, 0.05)


def test_help_breaks_no_name_of_a_variant(dermedge: Command) -> None:
    told = dermedge("convert", "--help", check=0, COLUMNS="80").stdout
    words = re.findall(r"[\w.]+", told.partition("--variants LIST ")[2].partition("--name")[0])
    named = words[words.index("default") + 1 :]
    assert named == [name for name, kind in VARIANTS.items() if not kind.on_request]


def test_existing_bundle_is_refused_and_left_as_it_is(
    run_folder: RunFolder, own_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(own_bundle)
    said = refused(["convert", run_folder.folder, "--out", own_bundle], capsys)
    assert "exists already; add --overwrite" in said
    assert content(own_bundle) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--out", "b"], r"dermedge: nowhere holds no readable run\.json"),
        (["nowhere"], r"dermedge convert: the following arguments are required: --out"),
        (["r", "--out", "b", "--variants", "tflite_int4"], r"dermedge: There is no variant 'tfl"),
        (["r", "--out", "b", "--auc-margin", "2"], r"dermedge: The auc margin is 2\.0, expected"),
        (["r", "--out", "b", "--seed", "-1"], r".* argument --seed: found -1, expected 0 to "),
        (["r", "--out", "b", "--bootstrap", "x"], r".* --bootstrap: found 'x', expected a whole"),
        (["r", "--out", "b", "--bootstrap", "99"], r".* found 99, expected 100 to 100000, or 0"),
        (["r", "--out", "b", "--bootstrap", "100001"], r".* found 100001, expected 100 to 1000"),
        (
            ["r", "--out", "b", "--name", "a\nb"],
            r"dermedge: The name .* is 'a\\nb', expected",
        ),
        (["r", "--out", "b", "--version", ""], r"dermedge: The version of the bundle is '', exp"),
        (["r", "--out", "b", "--licence", "\udcff"], r"dermedge: The licence .* is '\\udcff', ex"),
        (["r", "--out", "b", "--calibration-images", "0"], r".*--calibration-images: 0 is too"),
        (["r", "--out", "b", "--calibration-images", "few"], r".*found 'few', expected a whole"),
    ],
)
def test_wrong_call_of_convert_ends_with_status_2_and_one_sentence(
    words: list[str], said: str, dermedge: Command, tmp_path: Path
) -> None:
    done = dermedge("convert", *words, cwd=tmp_path, check=2)
    assert done.stdout == ""
    assert re.match(said, done.stderr)
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# check


def test_check_that_passes_ends_with_status_0(
    bundle: Path, run_folder: RunFolder, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", bundle, "--data", generated, "--variant", "onnx_f32", "--variant",
             "tflite_f16", *WIDE, "--bootstrap", 0, "--reference", run_folder.folder]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^onnx_f32 .* pass$", printed, re.MULTILINE)
    assert re.search(r"^tflite_f16: pass; AUC loss ", printed, re.MULTILINE)


def test_check_prints_json_and_ends_with_status_1_when_something_fails(
    dermedge: Command, own_bundle: Path, generated: Path
) -> None:
    swap_model(own_bundle, "onnx_f32", noisy_onnx)
    done = dermedge(
        "check", own_bundle, "--data", generated, "--variant", "onnx_f32", "--variant",
        "tflite_f32", "--bootstrap", 0, *WIDE, "--json", check=1,
    )  # fmt: skip
    (line,) = done.stdout.splitlines()
    variants = {one["name"]: one for one in json.loads(line)["variants"]}
    assert {name: one["verdict"] for name, one in variants.items()} == {
        "onnx_f32": "fail",
        "tflite_f32": "pass",
    }
    for one in variants.values():
        assert set(one) == VARIANT_KEYS
        assert one["split"] == "test"
        assert one["metrics"]["accuracy"]["low"] is None


def test_check_that_cannot_judge_ends_with_status_1(
    bundle: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", bundle, "--data", generated, "--variant", "onnx_f32", "--bootstrap", 0]
    assert main([str(word) for word in words]) == 1
    assert "onnx_f32: cannot judge; " in capsys.readouterr().out


def test_check_of_an_altered_bundle_ends_with_status_2_and_a_sentence(
    own_bundle: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_bundle / "onnx_f32.onnx").write_bytes(b"altered")
    said = refused(["check", own_bundle, "--data", generated, "--variant", "onnx_f32"], capsys)
    assert re.match(r"dermedge: onnx_f32\.onnx of the bundle own_bundle was altered", said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--data", "d"], r"dermedge: nowhere is no folder with a readable manifest"),
        (["BUNDLE"], r"dermedge: No data was named; add `--data DATA`"),
        (["BUNDLE", "--data", "nowhere"], r"dermedge: There is no data at nowhere"),
        (
            ["BUNDLE", "--data", "DATA", "--variant", "tflite_int4"],
            r"dermedge: The bundle holds no",
        ),
        (["BUNDLE", "--data", "DATA", "--reference", "r"], r"dermedge: r holds no readable run"),
        (["BUNDLE", "--data", "DATA", "--auc-margin", "0"], r"dermedge: The auc margin is 0\.0"),
        (["BUNDLE", "--data", "DATA", "--split", "train"], r"dermedge: .* trained on"),
    ],
)
def test_wrong_call_of_check_ends_with_status_2_and_one_sentence(
    words: list[str], said: str, bundle: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = {"BUNDLE": bundle, "DATA": generated}
    assert re.match(said, refused(["check", *(real.get(word, word) for word in words)], capsys))


def test_bundle_that_cannot_be_written_is_refused_before_any_work(
    run_folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("convert.conversion.images_of_run", None)  # where the work begins
    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "file" / "bundle"
    told = refused(["convert", run_folder.folder, "--out", out, *QUICK], capsys)
    assert told == f"dermedge: {out} cannot be written (Not a directory); name another --out.\n"


def test_bundle_for_a_disk_that_may_only_be_read_is_refused_before_any_work(
    run_folder: RunFolder, small_disk: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("convert.conversion.images_of_run", None)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    told = refused(["convert", run_folder.folder, "--out", small_disk / "bundle", *QUICK], capsys)
    assert "bundle cannot be written (Read-only file system)" in told


def test_full_disk_ends_in_one_sentence_and_leaves_the_earlier_bundle(
    run_folder: RunFolder, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = small_disk / "bundle"
    earlier.mkdir()
    (earlier / "manifest.json").write_text("{}")
    words = ["convert", run_folder.folder, "--out", earlier, "--variants", "onnx_f32",
             "--bootstrap", 0, "--accept-unproven", "--overwrite"]  # fmt: skip
    assert main([str(word) for word in words]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == "dermedge: the disk is full; make room and call again."
    assert content(small_disk) == {"bundle/manifest.json": b"{}"}
