"""`dermedge crossval` as a user calls it: killed after a fold, called again, altered."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.commands import Parser
from edge_runtime.errors import DermedgeError, RunError
from tests.conftest import ROOT
from tests.train.pieces.test_pool import is_running
from train.commands import crossval
from train.crossval.summary import Fold, summarize
from train.crossval.validation import CrossValidation, cross_validate
from train.crossval.writing import result_json, result_table
from train.run import RunFolder
from train.synthetic import write_dataset

CALL = (
    "import sys\n"
    "from edge_runtime.commands import Parser\n"
    "from train.commands import crossval\n"
    "parser = Parser()\n"
    "crossval.add_arguments(parser)\n"
    "crossval.run(parser.parse_args(sys.argv[1:]))\n"
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few") / "few"
    return write_dataset(folder, lesions={"mel": 16, "nv": 16}, width=48, height=36, processes=1)


def words(images: Path, out: Path, *more: str) -> list[str]:
    return [
        "--data", str(images), "--out", str(out), "--folds", "2", "--resplit", "--arch",
        "plain_cnn", "--input-size", "32", "--epochs", "1", "--bootstrap", "100", *more,
    ]  # fmt: skip


def called(arguments: list[str]) -> int:
    parser = Parser()
    crossval.add_arguments(parser)
    return crossval.run(parser.parse_args(arguments))


@pytest.fixture(scope="module")
def killed_after_a_fold(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a call that was killed when its first fold was done."""
    out = tmp_path_factory.mktemp("crossval") / "out"
    call = subprocess.Popen(
        [sys.executable, "-c", CALL, *words(images, out)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not (out / "fold-1").exists():
        assert call.poll() is None, "the call ended before its first fold"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    call.send_signal(signal.SIGKILL)
    call.wait(10)
    assert not is_running(call.pid)
    return out


@pytest.fixture(scope="module")
def first_fold(killed_after_a_fold: Path) -> bytes:
    return (killed_after_a_fold / "fold-1" / "run.json").read_bytes()


@pytest.fixture(scope="module")
def finished(killed_after_a_fold: Path, first_fold: bytes, images: Path) -> Path:
    """The same folder after the same call again."""
    assert called(words(images, killed_after_a_fold)) == 0
    return killed_after_a_fold


@pytest.fixture
def own(finished: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "own"))


def record(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "crossval.json").read_text())
    return found


def refused(arguments: list[str]) -> str:
    with pytest.raises(DermedgeError) as caught:
        called(arguments)
    return str(caught.value)


def test_a_finished_fold_is_kept_and_the_missing_one_is_trained(
    finished: Path, first_fold: bytes
) -> None:
    assert (finished / "fold-1" / "run.json").read_bytes() == first_fold
    assert [fold["run"] for fold in record(finished)["folds"]] == ["fold-1", "fold-2"]


def test_every_figure_has_a_mean_a_spread_and_an_interval(finished: Path) -> None:
    metrics = record(finished)["metrics"]
    runs = [RunFolder.open(finished / f"fold-{k}").run.metrics["test"] for k in (1, 2)]
    for name in ("accuracy", "melanoma_auc", "melanoma_sensitivity", "ece"):
        values = [run[name].value for run in runs]
        assert metrics[name]["folds"] == pytest.approx(values)
        assert metrics[name]["value"] == pytest.approx(sum(values) / 2)
        assert metrics[name]["sd"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
        assert metrics[name]["low"] <= metrics[name]["high"]


def test_every_image_has_one_answer_of_a_model_that_has_not_seen_it(
    finished: Path, images: Path
) -> None:
    with (finished / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (images / "metadata.csv").open() as file:
        every = {row["image_id"] for row in csv.DictReader(file)}
    assert len(rows) == len(every)
    assert {row["image_id"] for row in rows} == every
    for row in rows:
        run = RunFolder.open(finished / f"fold-{row['fold']}")
        assert {r.split for r in run.rows() if r.lesion_id == row["lesion_id"]} == {"test"}


def test_figures_are_printed_and_drawn(
    finished: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called(words(images, finished))
    printed = capsys.readouterr().out
    metric = record(finished)["metrics"]["melanoma_auc"]
    (line,) = (line for line in printed.splitlines() if line.startswith("melanoma AUC"))
    assert f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]" in line
    assert "no t-interval" in printed
    assert (finished / "folds.png").read_bytes()[:4] == b"\x89PNG"
    called(words(images, finished, "--json"))
    assert json.loads(capsys.readouterr().out) == record(finished)


def test_folds_that_may_part_copies_say_so(
    images: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called(words(images, finished))
    assert "name no lesion" not in capsys.readouterr().err
    nameless = tmp_path / "nameless"
    shutil.copytree(images, nameless)
    rows = list(csv.DictReader((images / "metadata.csv").open(encoding="utf-8")))
    with (nameless / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["image_id", "dx"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    called(words(nameless, tmp_path / "out"))
    assert f"{len(rows)} of {len(rows)} images name no lesion" in capsys.readouterr().err


def test_limits_of_the_intervals_are_told(
    finished: Path,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No lesions in the data, and thresholds by which every melanoma is found."""
    found: list[CrossValidation] = []

    def seen(*given: Any, **named: Any) -> CrossValidation:
        found.append(cross_validate(*given, **named))
        return found[0]

    monkeypatch.setattr("train.crossval.validation.cross_validate", seen)
    called(words(images, finished))
    (result,) = found
    assert f"images of {result.lesions} lesions" in capsys.readouterr().out
    certain = [
        Fold(one.predictions, {k: replace(p, threshold=0.0) for k, p in one.points.items()})
        for one in result.answers
    ]
    nameless = replace(
        result, lesions_known=0, answers=tuple(certain),
        metrics=summarize(certain, bootstrap=20, seed=0),
    )  # fmt: skip
    printed = result_table(nameless)
    assert "lesions" not in printed.splitlines()[0]
    assert "the data names no lesions, so intervals resample images" in printed
    groups = {
        group
        for one in certain
        for group in one.predictions.groups[one.predictions.positive("melanoma")].tolist()
    }
    assert f"melanoma_sensitivity is 1 on {len(groups)} lesions" in printed
    assert f"as low as {1 - 3 / len(groups):.2f} (rule of three)." in printed
    assert all(note in printed for note in result_json(nameless)["notes"])


def test_a_changed_configuration_is_refused(finished: Path, images: Path) -> None:
    found = refused(words(images, finished, "--learning-rate", "0.01"))
    assert "was begun with learning_rate = 0.0005, and not 0.01" in found
    assert "folds = 2, and not 3" in refused(words(images, finished, "--folds", "3"))


def test_changed_data_are_refused(own: Path, images: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(images, tmp_path / "few"))
    assert called(words(moved, own)) == 0  # elsewhere, but the same
    table = moved / "metadata.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    assert "begun with other images, labels or lesions" in refused(words(moved, own))


def test_changed_meaning_of_a_class_is_refused(own: Path, images: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(images, tmp_path / "few"))
    described = moved / "dataset.toml"
    text = described.read_text()
    described.write_text(text.replace('melanoma = "mel"', 'melanoma = "bcc"'))
    assert described.read_text() != text
    assert "classes that mean other things" in refused(words(moved, own))


def test_place_below_a_file_is_refused(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written (" in refused(words(images, tmp_path / "file" / "cv"))


def test_an_altered_fold_is_refused_by_name(own: Path, images: Path) -> None:
    with (own / "fold-2" / "history.csv").open("a") as file:
        file.write("\n")
    found = refused(words(images, own))
    assert "fold-2 cannot be used" in found
    assert "trained anew" in found
    shutil.rmtree(own / "fold-2")
    shutil.copytree(own / "fold-1", own / "fold-2")
    with pytest.raises(RunError, match="trained on other images than fold 2"):
        called(words(images, own))
