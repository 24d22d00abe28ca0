"""`dermedge bench`, run as a process and as a function."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.bundle import Bundle
from edge_runtime.commands import main
from edge_runtime.manifest import Variant

RUNS, THREADS = 10, (1, 2)
QUICK = ("--threads", "1", "--runs", str(RUNS), "--cold-starts", "1")
PERCENTILES = ("p50", "p90", "p99")
PROGRAM = """
import sys
from edge_runtime.commands import main
status = main(sys.argv[1:])
print("loaded:", *sorted({"tensorflow", "keras", "sklearn", "scipy"} & set(sys.modules)))
sys.exit(status)
"""


@dataclass(frozen=True)
class Run:
    """A benchmark of two variants, with generated images, in a process of its own."""

    printed: dict[str, Any]
    written: dict[str, Any]
    loaded: str
    variants: tuple[str, ...]


@pytest.fixture(scope="module")
def variants(bundle: Path) -> tuple[Variant, Variant]:
    """One TFLite and one ONNX variant."""
    held = Bundle.open(bundle).manifest.variants
    return (
        next(variant for variant in held if variant.format == "tflite"),
        next(variant for variant in held if variant.format == "onnx"),
    )


@pytest.fixture(scope="module")
def bench(
    bundle: Path, variants: tuple[Variant, ...], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    names = tuple(variant.name for variant in variants)
    out = tmp_path_factory.mktemp("bench") / "bench.json"
    chosen = [word for name in names for word in ("--variant", name)]
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, "bench", str(bundle), *chosen, "--json", "--out", str(out),
         "--threads", ",".join(map(str, THREADS)), "--runs", str(RUNS), "--cold-starts", "1"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    printed, loaded = process.stdout.splitlines()
    return Run(json.loads(printed), json.loads(out.read_text(encoding="utf-8")), loaded, names)


def measured(bench: Run) -> Iterator[dict[str, Any]]:
    assert bench.printed["results"]
    yield from bench.printed["results"]


# A real run


def test_json_has_the_documented_keys(bench: Run) -> None:
    report = bench.printed
    assert set(report) == {
        "bundle", "model", "images", "settings", "results", "skipped", "environment", "notes",
    }  # fmt: skip
    assert set(report["model"]) == {"name", "version"}
    assert set(report["images"]) == {"source", "count", "megapixels"}
    assert set(report["environment"]) == {
        "machine", "cpu", "cores", "usable_cores", "governor", "memory_mb", "load_average", "os",
        "python", "versions",
    }  # fmt: skip
    for entry in measured(bench):
        assert set(entry) == {
            "variant", "threads", "backend", "stages", "images_per_second", "cold_start_ms",
            "peak_rss_mb",
        }  # fmt: skip
        assert set(entry["stages"]) == {
            "read", "decode", "preprocess", "checks", "inference", "total",
        }  # fmt: skip
        assert all(set(stage) == set(PERCENTILES) for stage in entry["stages"].values())


def test_every_variant_is_measured_with_every_number_of_threads(bench: Run) -> None:
    rows = [(entry["variant"], entry["threads"]) for entry in measured(bench)]
    assert rows == [(name, count) for name in bench.variants for count in THREADS]
    assert [entry["backend"] for entry in measured(bench)] == ["litert"] * 2 + ["onnxruntime"] * 2
    assert bench.printed["skipped"] == []
    assert bench.printed["settings"] == {"runs": RUNS, "warm_up_runs": 10, "cold_starts": 1}


def test_percentiles_rise_and_the_total_covers_its_stages(bench: Run) -> None:
    for entry in measured(bench):
        stages = entry["stages"]
        for stage in stages.values():
            assert 0 < stage["p50"] <= stage["p90"] <= stage["p99"]
        for percentile in PERCENTILES:
            slowest_stage = max(stages[stage][percentile] for stage in stages if stage != "total")
            assert stages["total"][percentile] >= slowest_stage
        assert entry["images_per_second"] > 0


def test_cold_start_takes_longer_than_any_warm_image(bench: Run) -> None:
    for entry in measured(bench):
        # Python alone takes some 10 ms to start, and NumPy 50; a loaded classifier takes 2.
        assert entry["cold_start_ms"] > max(50, entry["stages"]["total"]["p50"])
        assert entry["peak_rss_mb"] > 20


def test_default_images_are_generated_in_the_size_of_ham10000(bench: Run) -> None:
    assert bench.printed["images"] == {"source": "generated", "count": 7, "megapixels": 0.27}


def test_file_holds_what_was_printed(bench: Run) -> None:
    assert bench.written == bench.printed


def test_no_training_library_is_loaded(bench: Run) -> None:
    assert bench.loaded == "loaded:"


def test_table_fits_120_columns_and_describes_the_users_images(
    bundle: Path, variants: tuple[Variant, ...], images: list[Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    words = ["--variant", variants[0].name, *QUICK, "--images", *map(str, images[:3])]
    assert main(["bench", str(bundle), *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("images   3 images, 0.01 megapixels") for line in lines)
    rule = next(number for number, line in enumerate(lines) if line.startswith("---"))
    assert max(map(len, lines[rule - 3 :])) <= 120
    (row,) = lines[rule + 1 :]
    assert row.split()[:2] == [variants[0].name, "1"]
    assert len(row.split()) == 13


# What cannot be measured


def test_variant_without_interpreter_is_listed_and_the_others_go_on(
    bundle: Path, variants: tuple[Variant, ...], images: list[Path],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as where it is not installed
    tflite, onnx = (variant.name for variant in variants)
    words = ["--variant", onnx, "--variant", tflite, *QUICK, "--images", str(images[0]), "--json"]
    assert main(["bench", str(bundle), *words]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [entry["variant"] for entry in report["results"]] == [tflite]
    (skipped,) = report["skipped"]
    assert skipped["variant"] == onnx
    assert "pip install" in skipped["reason"]
    assert "onnxruntime" not in report["environment"]["versions"]


def test_bundle_whose_name_is_no_text_is_told_in_json(
    bundle: Path, variants: tuple[Variant, ...], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    named = tmp_path / os.fsdecode(b"caf\xe9")
    named.symlink_to(bundle)
    words = ["--variant", variants[0].name, *QUICK, "--json", "--out", str(tmp_path / "bench.json")]
    assert main(["bench", str(named), *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "bench.json").read_text(encoding="utf-8")) == printed


def test_bundle_that_no_interpreter_here_reads_is_refused(
    bundle: Path, variants: tuple[Variant, ...], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["bench", str(bundle), "--variant", variants[1].name]) == 2
    assert one_sentence(capsys).startswith(f"No variant can run here; {variants[1].name}: ")


def test_altered_model_file_is_refused(
    own_bundle: Path, variants: tuple[Variant, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with (own_bundle / variants[0].file).open("ab") as file:
        file.write(b"\0")
    assert main(["bench", str(own_bundle)]) == 2
    assert "was altered" in one_sentence(capsys)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--runs", "9"], "runs is 9, expected 10 or more"),
        (["--cold-starts", "0"], "cold_starts is 0, expected 1 or more"),
        (["--threads", "0"], r"threads are \[0\], expected"),
        (["--threads", "1,all"], "--threads is '1,all', expected numbers separated by commas"),
        (["--variant", "tflite_int4"], "holds no variant tflite_int4; it holds"),
        (["--images", "missing.jpg"], "There is no file missing.jpg"),
        (["--images", "."], "The folder . holds no image"),
        (["--out", "."], "--out . is a folder"),
        (["--out", "missing/bench.json"], "--out missing/bench.json cannot be written"),
    ],
)
def test_wrong_argument_is_refused_in_one_sentence(
    words: list[str], reason: str, bundle: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["bench", str(bundle), *words]) == 2
    assert re.search(reason, one_sentence(capsys))


def test_missing_bundle_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(tmp_path / "nothing")]) == 2
    assert "name a bundle" in one_sentence(capsys)


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The only line on standard error, without the program's name; nothing was printed."""
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("dermedge: ")
    return line.removeprefix("dermedge: ")
