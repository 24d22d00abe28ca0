"""The runtime beside a bare loop: real processes, few rounds, and the page that they make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.environment import observe
from benchmarks.runtime.__main__ import main
from benchmarks.runtime.bare import BareLoop
from benchmarks.runtime.overhead import WARM_UP_ROUNDS, Beside, _beside, compare
from benchmarks.runtime.page import page
from benchmarks.runtime.study import SIZES, Overhead, Report, drawn
from edge_runtime.classifier import Classifier

QUICK = ["--rounds", "3", "--starts", "1", "--folders", "1", "--watched", "40"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rounds", "0"], "rounds is 0, expected 1 or more"),
        (["--starts", "-1"], "starts is -1, expected 1 or more"),
        (["--folders", "0"], "folders is 0, expected 1 or more"),
        (["--watched", "19"], "watched is 19, expected 20 or more"),
        (["--page", "."], "--page . is a folder"),
        (["--page", "missing/page.md"], "--page missing/page.md cannot be written"),
    ],
)
def test_wrong_call_is_refused_before_anything_is_measured(
    words: list[str], told: str, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("benchmarks.runtime.__main__.measure", lambda *_: pytest.fail("measured"))
    monkeypatch.chdir(tmp_path)
    assert main([str(bundle), *words]) == 2
    assert capsys.readouterr().err.startswith(f"dermedge: {told}")


@pytest.mark.slow
def test_everything_is_measured_and_written_to_a_page(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "speed.md"
    assert main([str(bundle), *QUICK, "--page", str(file), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["overhead"]) == set(SIZES)
    for found in report["overhead"].values():
        assert found["bare_ms"] > 0
        for way in found["ways"].values():
            assert way["low"] <= way["ratio"] <= way["high"]
    assert report["start_ms"] > 0
    assert len(report["folder_rate"]) == 2
    assert len(report["memory_mb"]) == 20
    assert min(report["memory_mb"]) > 10
    assert all(0 < a < b for a, b in zip(report["handed_out_mb"], report["memory_mb"], strict=True))
    assert report["peak_mb"] > 30
    text = file.read_text()
    assert f"python -m benchmarks.runtime {bundle} --variant tflite_int8" in text
    assert "| 12 megapixels | bare loop" in text


def test_only_tflite_files_have_a_bare_loop(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(bundle), *QUICK, "--variant", "onnx_f32"]) == 2
    assert "onnx_f32 is no TFLite file" in capsys.readouterr().err


def test_bare_loop_sees_what_the_runtime_sees(bundle: Path) -> None:
    runtime = Classifier.open(bundle, "tflite_int8")
    rule = runtime.rule
    bare = BareLoop(
        str(runtime.bundle.folder / runtime.variant.file), 1, rule.size, rule.jpeg_draft
    )
    labels = runtime.bundle.manifest.codes
    with drawn() as images:
        for files in images.values():
            for file in files:
                assert labels[bare.answer(file)] == runtime.classify(file).label


def test_every_way_is_timed_on_every_image_after_one_that_is_not_counted() -> None:
    calls: dict[str, list[str]] = {"bare": [], "other": []}

    def way(name: str, answer: Sequence[str] = ()) -> object:
        return lambda file: calls[name].append(file)

    compare(way("bare"), {"other": way("other")}, ["a", "b", "c"], rounds=4)  # type: ignore[arg-type,dict-item]
    assert calls["bare"] == calls["other"]
    counted = calls["bare"][1::2][WARM_UP_ROUNDS:]
    assert counted == ["a", "b", "c", "a"]
    assert calls["bare"][0::2][WARM_UP_ROUNDS:] == ["c", "a", "b", "c"]


def test_ratio_is_the_median_of_the_rounds_ratios_with_its_spread() -> None:
    bare = np.array([1.0, 2.0, 4.0, 100.0, 1.0])
    found = _beside(bare, bare * [1.1, 1.2, 1.2, 1.2, 9.0])
    assert (found.ratio, found.milliseconds) == (1.2, 4800.0)
    assert (found.low, found.high) == (1.1, 9.0)


REPORT = Report(
    model="m 1", variant="tflite_int8", input_size=64, threads=2,
    overhead={"600 pixels": Overhead(4.0, {"runtime": Beside(5.0, 1.25, 1.2, 1.3)})},
    bare_start_ms=100, start_ms=115, start_ratio=1.15,
    stages_ms={"manifest": 9.6, "golden inputs": 30.0}, folder_rate=(100, 180), folder_gain=1.8,
    bare_peak_mb=80, peak_mb=90, memory_mb=(80.0, 80.1), handed_out_mb=(18.5, 18.5),
    watched=100, environment=observe(),
    notes=(),
)  # fmt: skip


def test_page_says_where_the_start_goes() -> None:
    assert "manifest: 10 ms; golden inputs: 30 ms" in page(REPORT, "command")


def test_page_says_which_goal_was_missed() -> None:
    assert "missed" not in page(REPORT, "command")
    slow = {"600 pixels": Overhead(4.0, {"runtime": Beside(8.0, 2.0, 1.9, 2.1)})}
    for worse in (
        {"overhead": slow}, {"start_ratio": 1.21}, {"folder_gain": 1.69}, {"peak_mb": 150.0},
        {"memory_mb": (80.0, 81.1)},
    ):  # fmt: skip
        assert page(replace(REPORT, **worse), "command").count("missed") == 1, worse
