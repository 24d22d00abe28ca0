"""`dermedge runs` as a user types it."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from edge_runtime._files import sha256
from edge_runtime.errors import RunError, UsageError
from train.commands import runs as verb
from train.config import TrainConfig
from train.log import recorded
from train.log.curves import COLOURS, Curves, draw
from train.run import RunFolder

Rows = list[dict[str, str]]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """`dermedge runs WORDS` with a log of its own; what it prints."""
    monkeypatch.setenv("DERMEDGE_RUNS", str(tmp_path))

    def one(*words: object) -> str:
        parser = argparse.ArgumentParser()
        verb.add_arguments(parser)
        capsys.readouterr()
        assert verb.run(parser.parse_args([str(word) for word in words])) == 0
        return capsys.readouterr().out

    return one


def spoil_probabilities(rows: Rows) -> None:
    """Mix a third of the certainty away from every other image's answer."""
    columns = [name for name in rows[0] if name.startswith("p_")]
    rng = np.random.default_rng(0)
    for row in rows:
        noise = rng.dirichlet(np.ones(len(columns)))
        for name, other in zip(columns, noise, strict=True):
            row[name] = str(0.4 * float(row[name]) + 0.6 * other)


def copy_of(
    run: RunFolder, out: Path, *, config: dict[str, Any] | None = None,
    change: Callable[[str, Rows], Rows] | None = None,
) -> Path:  # fmt: skip
    """A run folder like another, with another configuration, and with its tables changed."""
    shutil.copytree(run.folder, out)
    record = json.loads((out / "run.json").read_text("utf-8"))
    record["name"] = out.name
    record["config"] |= config or {}
    for path in sorted(out.glob("*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        if change is not None:
            columns, rows = list(rows[0]), change(path.name, rows)
            text = io.StringIO()
            writer = csv.DictWriter(text, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            path.write_text(text.getvalue())
        record["files"][path.name] = sha256(path.read_bytes())
    (out / "run.json").write_text(json.dumps(record))
    return out


def logged(run: RunFolder, out: Path, **changes: Any) -> None:
    """The same, as training would have logged it."""
    with recorded(out, run.run.data.name, run.run.config) as recorder:
        recorder.finished(RunFolder.open(copy_of(run, out, **changes)))


def broken(out: Path, config: TrainConfig, *rows: dict[str, float]) -> None:
    """A run that was logged and ended by an error."""
    with contextlib.suppress(MemoryError), recorded(out, "ham10000", config) as recorder:
        for row in rows:
            recorder.epoch(row)
        raise MemoryError("no room")


# The table


def test_empty_table_says_what_fills_it(call: Callable[..., str], tmp_path: Path) -> None:
    assert call() == f"There are no runs in {tmp_path} yet; `dermedge train` adds one.\n"
    assert json.loads(call("--json")) == []


def test_table_shows_every_run_and_why_some_did_not_finish(
    call: Callable[..., str], tmp_path: Path, run_folder: RunFolder
) -> None:
    logged(run_folder, tmp_path / "good")
    logged(run_folder, tmp_path / "deleted")
    shutil.rmtree(tmp_path / "deleted")
    broken(tmp_path / "big", TrainConfig(arch="mobilenet_v2", width=0.5, epochs=30))
    printed = call("--sort", "name")
    lines = [line.split() for line in printed.splitlines()]
    assert [line[0] for line in lines[2:5]] == ["big", "deleted", "good"]
    assert printed.splitlines()[2].endswith("failed")
    assert "ham10000 mobilenet_v2 x0.5 160 0 of 30 failed" in " ".join(printed.split())
    metric = run_folder.run.metrics["val"]["melanoma_auc"]
    shown = f"{metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}] melanoma"
    good = printed.splitlines()[4]
    assert shown in good
    assert f"6, best {run_folder.run.best_epoch}" in good
    assert good.endswith("finished")
    assert "big: failed, no room\n" in printed
    assert "deleted: gone, its folder was deleted or moved" in printed


def test_figures_on_test_are_shown_only_where_they_are_asked_for(
    call: Callable[..., str], tmp_path: Path, run_folder: RunFolder
) -> None:
    logged(run_folder, tmp_path / "good")
    metric = run_folder.run.metrics["test"]["melanoma_auc"]
    shown = f"{metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}]"
    assert shown not in call()
    assert shown in call("--test")
    assert set(json.loads(call("--json"))[0]["metrics"]) == {"val"}
    (entry,) = json.loads(call("--json", "--test"))
    assert entry["metrics"]["test"]["melanoma_auc"]["value"] == metric.value


def test_help_says_why_test_figures_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    assert "partly the luckiest: choose on validation" in " ".join(parser.format_help().split())
    assert "--sort {when,name,data,arch,size,epochs,auc,status}" in parser.format_help()


# Comparison


@pytest.fixture
def two(tmp_path: Path, run_folder: RunFolder) -> tuple[RunFolder, RunFolder]:
    """A run, and one like it with worse answers, in another order, and other settings."""

    def worse(name: str, rows: Rows) -> Rows:
        if name.startswith("predictions"):
            spoil_probabilities(rows)
        return rows[::-1] if name != "history.csv" else rows

    copy_of(run_folder, tmp_path / "good")
    config = {"learning_rate": 0.1, "augment": {"rotation": 90.0}}
    copy_of(run_folder, tmp_path / "bad", config=config, change=worse)
    return RunFolder.open(tmp_path / "good"), RunFolder.open(tmp_path / "bad")


def test_comparison_is_paired_where_the_validation_images_are_the_same(
    call: Callable[..., str], two: tuple[RunFolder, RunFolder]
) -> None:
    compared = json.loads(call("compare", "good", "bad", "--json"))
    assert compared["data"]["same"]
    assert compared["split"] == "val"
    assert compared["settings"]["learning_rate"] == [0.003, 0.1]
    assert compared["settings"]["augment.rotation"] == [180.0, 90.0]
    assert set(compared["settings"]) == {"learning_rate", "augment.rotation"}

    def auc(run: RunFolder) -> float:
        with (run.folder / "predictions_val.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        return roc_auc_score([r["label"] == "mel" for r in rows], [float(r["p_mel"]) for r in rows])

    difference = compared["difference"]["melanoma_auc"]
    assert difference["value"] == pytest.approx(auc(two[0]) - auc(two[1]), abs=1e-6)
    assert 0 < difference["low"] < difference["value"] < difference["high"]


def test_comparison_in_words_names_settings_figures_and_doubts(
    call: Callable[..., str], two: tuple[RunFolder, RunFolder]
) -> None:
    printed = call("compare", "good", str(two[1].folder))
    assert ["learning_rate", "0.003", "0.1"] in [line.split() for line in printed.splitlines()]
    assert "Both runs have the same" in printed
    assert "Melanoma, validation" in printed
    assert "A - B" in printed
    assert "the figures flatter both runs a little" in " ".join(printed.split())
    assert "Melanoma, test" not in printed
    assert "Melanoma, test" in call("compare", "good", "bad", "--test")


def test_runs_on_other_images_are_not_paired(
    call: Callable[..., str], tmp_path: Path, run_folder: RunFolder
) -> None:
    rows = run_folder.rows()
    (left_out, moved) = [row.image_id for row in rows if row.split == "val"][:2]

    def other(name: str, rows: Rows) -> Rows:
        if name == "split.csv":
            for row in rows:
                if row["image_id"] == moved:
                    row["split"] = "train"
        elif name == "predictions_val.csv":
            rows = [row for row in rows if row["image_id"] != moved]
        return [row for row in rows if row.get("image_id") != left_out]

    copy_of(run_folder, tmp_path / "all")
    copy_of(run_folder, tmp_path / "fewer", change=other)
    compared = json.loads(call("compare", "all", "fewer", "--json"))
    assert compared["difference"] is None
    assert not compared["data"]["same"]
    assert compared["data"]["only"] == [1, 0]
    assert compared["data"]["moved"] == 1
    assert compared["data"]["relabelled"] == 0
    printed = call("compare", "all", "fewer")
    assert "no paired difference, as their validation images differ" in " ".join(printed.split())
    assert "A - B" not in printed


def test_runs_on_images_of_other_labels_are_not_paired(
    call: Callable[..., str], tmp_path: Path, run_folder: RunFolder
) -> None:
    rows = run_folder.rows()
    relabelled = next(row.image_id for row in rows if row.split == "val" and row.label != "nv")

    def other(name: str, rows: Rows) -> Rows:
        for row in rows:
            if row.get("image_id") == relabelled and name in ("split.csv", "predictions_val.csv"):
                row["label"] = "nv"
        return rows

    copy_of(run_folder, tmp_path / "before")
    copy_of(run_folder, tmp_path / "after", change=other)
    compared = json.loads(call("compare", "before", "after", "--json"))
    assert compared["difference"] is None
    assert compared["data"]["relabelled"] == 1
    printed = " ".join(call("compare", "before", "after").split())
    assert "no paired difference, as their validation images bear different labels" in printed


def test_difference_of_runs_that_know_other_lesions_is_paired_by_the_larger_ones(
    call: Callable[..., str], tmp_path: Path, run_folder: RunFolder
) -> None:
    """Whichever of both knows that photographs are of one lesion."""

    def merged(name: str, rows: Rows) -> Rows:
        if name == "split.csv":
            of_class: Counter[str] = Counter()
            for row in rows:
                of_class[row["label"]] += 1
                row["lesion_id"] = f"{row['split']} {row['label']} {of_class[row['label']] // 8}"
        elif name.startswith("predictions"):
            spoil_probabilities(rows)
        return rows

    def spoilt(name: str, rows: Rows) -> Rows:
        if name.startswith("predictions"):
            spoil_probabilities(rows)
        return rows

    copy_of(run_folder, tmp_path / "fine")
    copy_of(run_folder, tmp_path / "coarse", change=merged)
    copy_of(run_folder, tmp_path / "fine_too", change=spoilt)

    def difference(one: str, other: str) -> dict[str, float]:
        found = json.loads(call("compare", one, other, "--json"))["difference"]["melanoma_auc"]
        assert isinstance(found, dict)
        return found

    forth, back = difference("fine", "coarse"), difference("coarse", "fine")
    assert forth["value"] == pytest.approx(-back["value"])
    assert (forth["low"], forth["high"]) == pytest.approx((-back["high"], -back["low"]))
    of_images = difference("fine", "fine_too")
    assert forth["value"] == pytest.approx(of_images["value"])
    assert (forth["low"], forth["high"]) != (of_images["low"], of_images["high"])


def test_run_that_did_not_finish_cannot_be_compared(
    call: Callable[..., str], tmp_path: Path, run_folder: RunFolder
) -> None:
    broken(tmp_path / "big", TrainConfig())
    copy_of(run_folder, tmp_path / "good")
    with pytest.raises(
        RunError, match=r"^big cannot be compared: its status is failed \(no room\)"
    ):
        call("compare", "good", "big")


# Curves


def test_curves_of_finished_and_broken_runs_are_drawn_together(
    call: Callable[..., str], tmp_path: Path, run_folder: RunFolder
) -> None:
    copy_of(run_folder, tmp_path / "good")
    row = {"epoch": 1, "loss": 3.0, "val_loss": 2.5, "val_accuracy": 0.1}
    broken(tmp_path / "big", TrainConfig(epochs=30), row)
    out = tmp_path / "curves.png"
    assert call("plot", "good", "big", "--out", out) == f"{out}\n"
    with Image.open(out) as image:
        found = {tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
    for colour in COLOURS[:2]:
        assert tuple(bytes.fromhex(colour[1:])) in found
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_curves_are_drawn_in_every_format(kind: str, tmp_path: Path) -> None:
    history = [{"epoch": float(i), "loss": 1.0 / i, "val_loss": 1.2 / i} for i in (1, 2, 3)]
    draw([Curves("one", history, 3)], tmp_path / f"curves.{kind}")
    content = (tmp_path / f"curves.{kind}").read_bytes()
    assert (b"<svg" in content) if kind == "svg" else content.startswith(b"%PDF")


def test_picture_that_nobody_could_read_is_refused(tmp_path: Path) -> None:
    curves = Curves("one", [{"epoch": 1.0, "loss": 1.0, "val_loss": 1.0}])
    with pytest.raises(UsageError, match=r"8 runs cannot be told apart .*; name 7 or fewer"):
        draw([curves] * 8, tmp_path / "curves.png")
    with pytest.raises(UsageError, match=r"ends in \.gif; expected \.png, \.svg, \.pdf"):
        draw([curves], tmp_path / "curves.gif")


def test_run_without_an_epoch_cannot_be_drawn(call: Callable[..., str], tmp_path: Path) -> None:
    broken(tmp_path / "big", TrainConfig())
    with pytest.raises(RunError, match="big has no epoch to draw: its status is failed"):
        call("plot", "big", "--out", tmp_path / "curves.png")
