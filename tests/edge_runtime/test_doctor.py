from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from convert.signing import new_key, sign
from edge_runtime import backends
from edge_runtime.bundle import Bundle
from edge_runtime.doctor.examination import Report, examine
from edge_runtime.doctor.tiny import TINY_MODELS
from edge_runtime.doctor.trial import Trial, try_backend
from edge_runtime.errors import UsageError
from tests.conftest import Command
from tests.edge_runtime.changing import edit_manifest, replace_file, set_verdicts, variant
from tests.edge_runtime.small import COLOURS, expected, picture
from tests.edge_runtime.test_machine import PI_4, lay_out

KINDS = {kind.name: kind for kind in backends.BACKENDS}

# ---------------------------------------------------------------- interpreters, tried for real


@pytest.mark.parametrize("name", ["litert", "onnxruntime"])
def test_tiny_models_answer_by_their_formula(name: str):
    backend = backends.load(KINDS[name], TINY_MODELS[KINDS[name].formats[0]], 1)
    for colour in COLOURS:
        assert np.abs(backend.run(picture(colour)) - expected(colour)).max() < 1e-5


def test_interpreter_is_tried_in_a_process_of_its_own():
    (trial,) = try_backend(KINDS["litert"], 1, None)
    assert trial.error is None
    assert (trial.accelerated, trial.operators) == (3, 3)
    assert trial.median_ms is not None
    assert trial.memory_mb is not None
    assert 10 < trial.memory_mb < 300


def fake_python(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let the doctor's children be this shell script."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(file))


def test_interpreter_that_crashes_is_told_by_its_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    good = json.dumps({"backend": "litert", "variant": "a"})
    fake_python(tmp_path, monkeypatch, f"echo 'a library prints'; echo '{good}'; kill -ILL $$")
    first, second = try_backend(KINDS["litert"], 1, tmp_path, ("a", "b"))
    assert first == Trial("litert", "a")
    assert "crashed (signal 4)" in (second.error or "")
    fake_python(tmp_path, monkeypatch, "kill -KILL $$")
    (killed,) = try_backend(KINDS["litert"], 1, None)
    assert "want of memory" in (killed.error or "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    (none,) = try_backend(KINDS["litert"], 1, None)
    assert "no process could be started" in (none.error or "")


def test_xnnpack_is_told_by_the_operators_that_it_computes(bundle: Path):
    names = ("tflite_f32", "tflite_int8", "tflite_int16x8")
    trials = {trial.variant: trial for trial in try_backend(KINDS["litert"], 1, bundle, names)}
    whole, int8, wide = (trials[name] for name in names)
    assert whole.accelerated == whole.operators
    assert int8.operators is not None
    assert int8.accelerated is not None
    assert int8.operators - int8.accelerated <= 2
    assert wide.accelerated is not None
    assert wide.operators is not None
    assert wide.accelerated <= 2 < wide.operators
    assert "CONV_2D" in wide.left
    assert whole.left == ()
    assert all(trial.error is None and trial.difference == 0 for trial in trials.values())


# ---------------------------------------------------------------- the examination


def texts(report: Report, level: str = "wrong") -> str:
    return "\n".join(finding.text for finding in report.findings if finding.level == level)


def test_sound_bundle_is_found_sound(small_bundle: Path):
    report = examine(small_bundle, threads=1)
    assert not report.wrong
    assert report.bundle is not None
    assert report.bundle.damages == ()
    assert report.bundle.signature == "none"
    tried = {(each.trial.variant, each.trial.backend) for each in report.bundle.variants}
    assert tried >= {("tflite_f32", "litert"), ("onnx_f32", "onnxruntime")}
    (chosen,) = (each for each in report.bundle.variants if each.chosen)
    assert chosen.trial.variant == "tflite_f32"
    assert chosen.trial.difference is not None
    assert chosen.trial.difference < 1e-4
    assert report.packages["littlecms"]


def test_trouble_of_the_machine_is_found(tmp_path: Path):
    report = examine(root=lay_out(tmp_path, PI_4))
    assert report.wrong
    assert "Right now: the supply voltage is too low" in texts(report)
    assert "powersave" in texts(report, "advice")


def test_every_damaged_file_is_found_and_told_once(small_bundle: Path):
    (small_bundle / "model.onnx").write_bytes(b"x")
    (small_bundle / "golden" / "1.png").unlink()
    report = examine(small_bundle, threads=1)
    assert report.bundle is not None
    assert len(report.bundle.damages) == 2
    assert texts(report).count("model.onnx") == 1
    assert texts(report).count("golden/1.png") == 1
    remedies = {finding.remedy for finding in report.findings if finding.level == "wrong"}
    assert "Copy the bundle again." in remedies


def test_every_file_that_is_checked_is_counted(bundle: Path):
    report = examine(bundle, threads=1).bundle
    assert report is not None
    unlisted = {"manifest.json", "manifest.sig"}
    held = [file for file in bundle.rglob("*") if file.is_file() and file.name not in unlisted]
    assert report.files == len(held)


def test_files_of_the_current_folder_are_not_run(
    small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`python -m` would look for modules there before it looks in the standard library."""
    (tmp_path / "statistics.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    interpreters = examine(small_bundle, threads=1).interpreters
    assert all(each.works for each in interpreters if each.version is not None)


def test_variant_that_would_be_refused_is_not_the_chosen_one(small_bundle: Path):
    sound = examine(small_bundle, threads=1).bundle
    assert sound is not None
    (chosen,) = (each.trial.variant for each in sound.variants if each.chosen)
    assert chosen is not None
    model = small_bundle / Bundle.open(small_bundle).manifest.variant(chosen).file
    model.write_bytes(b"x")
    altered = examine(small_bundle, threads=1).bundle
    assert altered is not None
    assert not any(each.chosen for each in altered.variants)
    assert altered.choice is not None
    assert altered.choice.startswith(f"none: {chosen} ")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("manifest.json", b"{", "manifest.json is not JSON"),
        ("labels.txt", b"nv\n", "labels.txt of the bundle small was altered"),
    ],
)
def test_bundle_that_cannot_be_opened_is_told(
    small_bundle: Path, file: str, content: bytes, words: str
):
    (small_bundle / file).write_bytes(content)
    report = examine(small_bundle, threads=1)
    assert report.wrong
    assert texts(report).count(words) == 1
    assert report.interpreters


def test_wrong_answers_are_found(small_bundle: Path):
    def swap(document):
        variant(document, "tflite_f32")["golden"].reverse()

    edit_manifest(small_bundle, swap)
    report = examine(small_bundle, threads=1)
    assert "tflite_f32 with litert: litert answers the golden inputs" in texts(report)


def test_garbage_that_has_the_right_digest_is_found(small_bundle: Path):
    replace_file(small_bundle, "model.tflite", b"garbage" * 100)
    assert "cannot load this model file" in texts(examine(small_bundle, threads=1))


def test_what_is_wrong_with_a_variant_that_is_not_served_is_advice(small_bundle: Path):
    set_verdicts(small_bundle, onnx_f32="pass")
    replace_file(small_bundle, "model.tflite", b"garbage" * 100)
    report = examine(small_bundle, threads=1)
    assert not report.wrong
    assert "cannot load this model file" in texts(report, "advice")


def test_bundle_without_a_passing_variant_is_wrong(small_bundle: Path):
    set_verdicts(small_bundle)
    assert "No variant of this bundle has passed the gate" in texts(examine(small_bundle))


def test_required_signature_is_examined(small_bundle: Path, tmp_path: Path):
    key = new_key(tmp_path / "key.pem")
    report = examine(small_bundle, threads=1, require_signature=key.public)
    assert "has no manifest.sig" in texts(report)
    assert report.bundle is not None
    assert report.bundle.signature == "missing"
    sign(small_bundle, key.private)
    report = examine(small_bundle, threads=1, require_signature=key.public)
    assert not report.wrong
    assert report.bundle is not None
    assert report.bundle.signature == f"by the key {key.fingerprint}"
    with pytest.raises(UsageError):
        examine(small_bundle, threads=1, require_signature=key.private)


def test_signature_that_leads_out_of_the_bundle_is_told(small_bundle: Path, tmp_path: Path):
    (tmp_path / "elsewhere.sig").write_bytes(bytes(64))
    (small_bundle / "manifest.sig").symlink_to(tmp_path / "elsewhere.sig")
    report = examine(small_bundle, threads=1)
    assert report.wrong
    assert "manifest.sig leads out of the bundle" in texts(report)
    assert report.bundle is not None
    assert report.bundle.signature == "not a file of the bundle"
    assert {each.trial.error for each in report.bundle.variants} == {None}


def test_variant_that_nothing_here_reads_is_told(
    small_bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    def told(report: Report) -> dict[str, str]:
        return {each.text: each.remedy for each in report.findings if "tried" in each.text}

    assert told(examine(small_bundle, threads=1)) == {}
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    report = examine(small_bundle, threads=1)
    ((text, remedy),) = told(report).items()
    (name,) = (
        one.name for one in Bundle.open(small_bundle).manifest.variants if one.format == "onnx"
    )
    assert text == f"{name} could not be tried: no interpreter for it is installed."
    assert remedy == 'Run `pip install "dermedge-runtime[onnxruntime]"` if it is to be used.'
    assert not report.wrong


def test_no_interpreter_is_wrong_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    for kind in backends.BACKENDS:
        monkeypatch.setitem(sys.modules, kind.package, None)
    report = examine()
    assert "No interpreter works here." in texts(report)
    assert 'Run `pip install "ai-edge-litert"`.' in {each.remedy for each in report.findings}


# ---------------------------------------------------------------- the command


def test_command_tells_all_in_short_lines(dermedge: Command, small_bundle: Path):
    done = dermedge("doctor", small_bundle, "--threads", 1, check=0)
    for words in (
        "machine      ", "cores        ", "interpreter  litert 2", "XNNPACK in use",
        "files        5, all match their SHA-256", "signature    none", "* tflite_f32",
        "chosen *     tflite_f32 with litert: the first that passed",
    ):  # fmt: skip
        assert words in done.stdout
    assert done.stderr == ""


def test_command_puts_what_is_wrong_last_and_fails(dermedge: Command, small_bundle: Path):
    (small_bundle / "model.tflite").unlink()
    done = dermedge("doctor", small_bundle, check=1)
    *_, problem, remedy = done.stdout.splitlines()
    assert problem.startswith("wrong        model.tflite of the bundle small cannot be read")
    assert remedy.strip() == "Copy the bundle again."
    assert done.stderr == ""


def test_command_without_a_bundle_and_with_one_that_is_not_there(dermedge: Command, tmp_path: Path):
    assert "litert" in dermedge("doctor", check=0).stdout
    done = dermedge("doctor", tmp_path / "none", check=1)
    assert "no folder with a readable manifest.json" in done.stdout


def test_command_as_json_has_everything(dermedge: Command, small_bundle: Path):
    done = dermedge("doctor", small_bundle, "--json", "--threads", "1", check=0)
    told = json.loads(done.stdout)
    assert told["wrong"] is False
    assert told["machine"]["usable_cores"] == len(os.sched_getaffinity(0))
    assert {each["name"] for each in told["interpreters"]} == set(KINDS)
    assert told["bundle"]["variants"][0]["trial"]["operators"] == 3


def test_wrong_number_of_threads_is_a_wrong_call(dermedge: Command):
    done = dermedge("doctor", "--threads", "0", check=2)
    assert done.stderr == "dermedge: threads is 0, expected 1 to 256.\n"
