"""`dermedge train` as a user types it: what it prints, how it ends, and what it leaves behind."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from edge_runtime._files import sha256
from edge_runtime.commands import main
from edge_runtime.errors import TrainingError
from train.config import Augmentation, TrainConfig
from train.data.table import read_data
from train.log import entries
from train.run import RunFolder
from train.synthetic import write_dataset
from train.training import train

if TYPE_CHECKING:
    from tests.conftest import Command

QUICK = [
    "--arch", "plain_cnn", "--input-size", "32", "--epochs", "1", "--bootstrap", "100",
    "--no-report",
]  # fmt: skip


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that is drawn in a second."""
    folder = tmp_path_factory.mktemp("few") / "few"
    return write_dataset(folder, lesions={"mel": 16, "nv": 16}, width=48, height=36, processes=1)


@pytest.fixture
def own_few(few: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(few, tmp_path / "data" / "few"))


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(words: list[object], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which a call is refused."""
    assert main([str(word) for word in words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("dermedge: ")
    return printed.err


# A run


def test_json_is_the_runs_record_and_all_that_is_printed(
    dermedge: Command, few: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "run"
    words = ["--data", few.name, "--out", out, *QUICK, "--no-pretrained", "--seed", "5", "--json"]
    done = dermedge("train", *words, check=0, DERMEDGE_DATA=str(few.parent))  # a name on the shelf
    (line,) = done.stdout.splitlines()
    printed = json.loads(line)
    assert printed.pop("run") == str(out)
    assert printed == json.loads((out / "run.json").read_text("utf-8"))
    run = RunFolder.open(out).run
    assert run.config == TrainConfig(
        arch="plain_cnn", input_size=32, epochs=1, bootstrap=100, pretrained=False, seed=5
    )
    assert "epoch 1/1" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in out.parent.iterdir()) == ["run"]


def test_resplit_makes_a_split_and_the_table_shows_figures_with_their_intervals(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--data", str(few), "--out", str(tmp_path / "run"), *QUICK, "--resplit"]
    assert main(words) == 0
    run = RunFolder.open(tmp_path / "run")
    given = {record.image_id: record.split for record in read_data(few).records}
    assert {row.image_id: row.split for row in run.rows()} != given
    assert {row.split for row in run.rows()} == {"train", "val", "test"}

    printed, metrics = capsys.readouterr().out, run.run.metrics
    for split in ("val", "test"):
        assert f"{split}:" in printed.splitlines()
        accuracy = metrics[split]["accuracy"]
        shown = f"{accuracy.value:.3f}  [{accuracy.low:.3f}, {accuracy.high:.3f}]"
        assert re.search(rf"^  accuracy +{re.escape(shown)}$", printed, re.MULTILINE)
    assert printed.endswith(f"run: {tmp_path / 'run'}\n")


# Calls that are refused


def test_existing_folder_is_refused_and_left_as_it_is(
    few: Path, run_folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(run_folder.folder)
    said = refused(["train", "--data", few, "--out", run_folder.folder, *QUICK], capsys)
    assert "exists already; name another --out, or remove it" in said
    assert content(run_folder.folder) == before


def test_unknown_architecture_suggests_the_nearest(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(["train", "--data", few, "--out", tmp_path / "r", "--arch", "plain_cn"], capsys)
    assert "did you mean 'plain_cnn'" in said
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], r"dermedge: No data was named; add `--data DATA`\."),
        (["--data", "nowhere"], r"dermedge: There is no data at nowhere; name a folder"),
        (["--epochs", "0"], r"dermedge: epochs is 0, expected 1 to 10000\."),
        (["--learning-rate", "nan"], r"dermedge: learning_rate is nan, expected"),
        (["--epochs", "many"], r"dermedge train: argument --epochs: invalid int value: 'many'"),
        (["--epoch-count", "3"], r"dermedge train: unrecognized arguments: --epoch-count 3"),
    ],
)
def test_wrong_call_ends_with_status_2_and_one_sentence(
    words: list[str], said: str, dermedge: Command, tmp_path: Path
) -> None:
    done = dermedge("train", *words, cwd=tmp_path, check=2)
    assert done.stdout == ""
    assert re.match(said, done.stderr)
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("known", ["lesions", "split", "neither"])
def test_split_that_may_part_copies_says_so(
    known: str, own_few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = own_few / "metadata.csv"
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    kept = {"lesions": ["lesion_id"], "split": ["split"]}.get(known, [])
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["image_id", "dx", *kept], extrasaction="ignore")
        writer.writeheader()
        parts = itertools.cycle(["train", "train", "val", "test"])
        writer.writerows(row | {"split": part} for row, part in zip(rows, parts, strict=False))
    words = ["train", "--data", str(own_few), "--out", str(tmp_path / "run"), *QUICK]
    assert main(words) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "name no lesion" in line]
    assert len(told) == (1 if known == "neither" else 0), told


@pytest.mark.parametrize(
    "words",
    [
        ["--arch", "plain_cn"], ["--input-size", "31"], ["--start", "nowhere"],
        ["--teacher", "nowhere"],
    ],
)  # fmt: skip
def test_call_that_is_refused_leaves_no_run_in_the_log(
    words: list[str], few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("DERMEDGE_RUNS", str(tmp_path / "log"))
    refused(["train", "--data", few, "--out", tmp_path / "run", *QUICK, *words], capsys)
    assert list(tmp_path.iterdir()) == []


def test_training_that_fails_stays_in_the_log(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMEDGE_RUNS", str(tmp_path))

    def fail(row: object) -> None:
        raise TrainingError("The loss is nan.")

    config = TrainConfig(arch="plain_cnn", input_size=32, epochs=2, bootstrap=100)
    with pytest.raises(TrainingError):
        train(read_data(few), config, tmp_path / "run", on_epoch=fail)
    (entry,) = entries(tmp_path)
    assert (entry.name, entry.status, entry.reason) == ("run", "failed", "The loss is nan.")


@pytest.mark.parametrize("verb", ["train", "audit", "evaluate"])
@pytest.mark.parametrize("shelf", ["", "SHELF"])
def test_name_alone_that_is_not_found_says_where_it_was_looked_for(
    verb: str, shelf: str, run_folder: RunFolder, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DERMEDGE_DATA", shelf and str(tmp_path))
    words = {
        "train": ["--data"], "audit": [], "evaluate": [str(run_folder.folder), "--data"],
    }[verb]  # fmt: skip
    where = (
        f"here or in {tmp_path}, which DERMEDGE_DATA names"
        if shelf
        else "or set DERMEDGE_DATA to the folder that holds it"
    )
    said = refused([verb, *words, "nowhere"], capsys)
    assert "no data at nowhere; name a folder of class" in said
    assert said.endswith(f"or such a CSV, {where}.\n")
    said = refused([verb, *words, tmp_path / "nowhere"], capsys)
    assert said.endswith("or such a CSV.\n")


def test_unreadable_image_is_named_and_nothing_is_left_half_written(
    own_few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled = sorted((own_few / "images").iterdir())[3]
    spoiled.write_bytes(spoiled.read_bytes()[:700])
    words = ["train", "--data", own_few, "--out", tmp_path / "runs" / "run", *QUICK]
    assert f"1 of 42 images cannot be used: {spoiled.name}" in refused(words, capsys)
    assert not (tmp_path / "runs").exists()


def test_name_that_no_table_can_hold_is_refused_before_the_training(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next((few / "images").iterdir())
    for label in ("mel", "nv"):
        (tmp_path / "named" / label).mkdir(parents=True)
        shutil.copy(image, tmp_path / "named" / label / os.fsdecode(b"\xff.png"))
    words = ["train", "--data", tmp_path / "named", "--out", tmp_path / "run", *QUICK]
    assert r"The name b'\xff.png' is no UTF-8" in refused(words, capsys)
    assert not (tmp_path / "run").exists()


def test_augmentation_is_shown_in_a_folder_that_exists(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "grid.png"):
        said = refused(["train", "--data", few, "--show-augmentation", path, *QUICK], capsys)
        assert "is a folder or lies in none" in said


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", r"hold no melanoma images, so it cannot be learnt from them \(0 in all\)"),
        ("nv.png,nv,train\n", r"hold no melanoma images, .* from them \(1 in all\)"),
    ],
)
def test_training_part_without_melanoma_is_refused_before_the_training(
    rows: str, said: str, few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {record.label: record.file for record in read_data(few).records}
    (tmp_path / "data" / "images").mkdir(parents=True)
    lines = ["image_id,dx,split"]
    for part in ("val", "test"):
        for number, label in enumerate(("mel", "nv")):
            lines.append(f"{part}{number}.png,{label},{part}")
    for number, line in enumerate([*lines[1:], "nv.png,nv"]):
        name, label = line.split(",")[:2]
        Image.open(files[label]).rotate(number).save(tmp_path / "data" / "images" / name)
    table = "\n".join(lines) + "\n" + rows
    (tmp_path / "data" / "metadata.csv").write_text(table)
    words = ["train", "--data", tmp_path / "data", "--out", tmp_path / "run", *QUICK]
    assert re.search(said, refused(words, capsys))
    assert list(tmp_path.glob("run*")) == []


def test_leaking_split_is_refused_and_resplit_is_offered(
    own_few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = own_few / "metadata.csv"
    rows = [line.split(",") for line in table.read_text("utf-8").splitlines()]
    lesions = [row[0] for row in rows]
    torn = next(row for row in rows[1:] if lesions.count(row[0]) == 2)
    torn[3] = "test" if torn[3] == "train" else "train"
    table.write_text("\n".join(",".join(row) for row in rows) + "\n", encoding="utf-8")
    said = refused(["train", "--data", own_few, "--out", tmp_path / "run", *QUICK], capsys)
    assert "1 lesions or copied files stand on both sides of the split" in said
    assert torn[1] in said


def test_validation_without_melanoma_is_refused_before_the_training(
    own_few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = own_few / "metadata.csv"
    lines = table.read_text("utf-8").splitlines()
    kept = [line for line in lines if ",mel,val," not in line]
    table.write_text("\n".join(kept) + "\n", encoding="utf-8")
    words = ["train", "--data", own_few, "--out", tmp_path / "run", *QUICK]
    said = refused(words, capsys)  # one line: no epoch was reported
    assert "The validation images hold no melanoma images" in said


# Help


def test_help_shows_every_setting_with_its_default(dermedge: Command) -> None:
    _, _, options = dermedge("train", "--help", check=0).stdout.partition("\ntraining:\n")
    entries = [" ".join(entry.split()) for entry in re.split(r"(?m)^  (?=--)", options)[1:]]
    fields = [field for field in dataclasses.fields(TrainConfig) if field.name != "augment"]
    *entries, ranges = entries
    for field, entry in zip(fields, entries, strict=True):
        flag, argument, *sentence = entry.split()
        assert flag.rstrip(",") == "--" + field.name.replace("_", "-")
        assert argument[0] in "{X-"
        assert len(sentence) >= 4  # two words and the default
        default = "none" if field.default in ("", ()) else field.default
        assert entry.endswith(f" (default: {default})")
    sentences = [entry.split(" ", 2)[2] for entry in entries]
    assert len(set(sentences)) == len(sentences)  # none is said of two settings
    for field in dataclasses.fields(Augmentation):
        assert f"{field.name} {field.default:g}" in ranges
