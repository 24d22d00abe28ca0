"""Runs that survive: killed, gone on with, and then equal to a run that was never broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_runtime.commands import main
from edge_runtime.errors import RunError, TrainingError
from train.checkpoint import CHECKPOINT_FILE, Checkpoint, CheckpointFile
from train.configuration import CONFIG_FILE
from train.log import entries
from train.log.journal import runs_folder
from train.run import RunFolder
from train.synthetic import write_dataset

if TYPE_CHECKING:
    from tests.conftest import Command

WORDS = [
    "--arch", "plain_cnn", "--input-size", "32", "--epochs", "6", "--bootstrap", "100",
    "--deterministic", "--average-weights", "0.9", "--mixup", "0.2", "--seed", "3", "--no-report",
]  # fmt: skip


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of which an epoch takes about a second."""
    folder = tmp_path_factory.mktemp("few") / "few"
    return write_dataset(folder, lesions={"mel": 60, "nv": 60}, width=48, height=36, processes=1)


@pytest.fixture(scope="module")
def killed(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The name of a run that was killed after its second epoch."""
    out = tmp_path_factory.mktemp("killed") / "run"
    words = ["train", "--data", str(few), "--out", str(out), *WORDS]
    with subprocess.Popen(
        [str(Path(sys.executable).parent / "dermedge"), *words], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 3/6"):  # the second is written, the third perhaps
                break
        os.kill(process.pid, signal.SIGKILL)
    assert not out.exists()
    assert (out.parent / "run.partial" / CHECKPOINT_FILE).is_file()
    return out


def refused(words: list[object], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which a call is refused."""
    assert main([str(word) for word in words]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    return printed.err


def table(run: Path) -> list[list[str]]:
    """The history without the seconds."""
    lines = (run / "history.csv").read_text("utf-8").splitlines()
    return [line.split(",")[:-1] for line in lines]


# In this order: what must not change the interrupted run comes first


def test_interrupted_run_is_not_begun_anew_by_mistake(
    few: Path, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(["train", "--data", few, "--out", killed, *WORDS], capsys)
    assert "go on with it by --resume" in said


def test_changed_configuration_is_refused_by_name(
    killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(["train", "--resume", killed, "--epochs", 9, "--augment", "zoom=0.1"], capsys)
    assert "epochs (6, now 9), zoom (0.25, now 0.1)" in said
    assert not killed.exists()


def test_changed_data_are_refused(
    few: Path, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = sorted((few / "images").iterdir())[0]
    before = image.read_bytes()
    image.write_bytes(sorted((few / "images").iterdir())[1].read_bytes())
    try:
        assert main(["train", "--resume", str(killed)]) == 2
    finally:
        image.write_bytes(before)
    said = capsys.readouterr().err.splitlines()[-1]
    assert "no longer what" in said or "both sides" in said


def test_changed_meaning_of_a_class_is_refused(
    few: Path, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = few / "dataset.toml"
    before = described.read_text()
    assert 'melanoma = "mel"' in before
    described.write_text(before.replace('melanoma = "mel"', 'melanoma = "bcc"'))
    try:
        assert main(["train", "--resume", str(killed)]) == 2
    finally:
        described.write_text(before)
    assert "no longer what" in capsys.readouterr().err.splitlines()[-1]


def test_refused_calls_leave_an_interrupted_run_interrupted(killed: Path) -> None:
    here = [entry for entry in entries(runs_folder()) if entry.folder.resolve() == killed.resolve()]
    assert [entry.status for entry in here] == ["interrupted"]


def test_vanished_image_is_named_and_the_run_can_still_be_resumed(
    few: Path, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = sorted((few / "images").iterdir())[0]
    before = image.read_bytes()
    image.unlink()
    try:
        said = refused(["train", "--resume", killed], capsys)
    finally:
        image.write_bytes(before)
    assert image.stem in said
    assert (killed.parent / "run.partial" / CHECKPOINT_FILE).is_file()


def test_killed_and_resumed_run_equals_an_unbroken_one(
    dermedge: Command, few: Path, killed: Path, tmp_path: Path
) -> None:
    unbroken = tmp_path / "unbroken"
    dermedge("train", "--data", few, "--out", unbroken, *WORDS, check=0)
    done = dermedge("train", "--resume", killed, "--no-report", check=0)
    assert "going on after epoch" in done.stderr
    assert "epoch 1/6" not in done.stderr
    assert table(killed) == table(unbroken)
    one, other = RunFolder.open(killed), RunFolder.open(unbroken)
    assert one.run.metrics == other.run.metrics
    weights = one.model().get_weights(), other.model().get_weights()
    for left, right in zip(*weights, strict=True):
        np.testing.assert_array_equal(left, right)
    assert not killed.with_name("run.partial").exists()


def test_finished_run_says_that_there_is_nothing_to_go_on_with(
    killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "finished; there is nothing to go on with" in refused(
        ["train", "--resume", killed], capsys
    )


def test_run_without_an_epoch_begins_anew_and_says_so(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing tells whether the data are those that it was begun with, so the log has them anew."""
    monkeypatch.setenv("DERMEDGE_RUNS", str(tmp_path / "log"))
    out = tmp_path / "run"
    words = ["train", "--data", str(few), "--out", str(out), *WORDS, "--epochs", "1"]
    with monkeypatch.context() as patch:
        patch.setattr("train.fit.fit", interrupted)
        assert main(words) == 130
    other = write_dataset(tmp_path / "other", lesions={"mel": 20, "nv": 20}, width=48, height=36,
                          seed=5, processes=1)  # fmt: skip
    capsys.readouterr()
    assert main(["train", "--resume", str(out), "--data", str(other), "--no-report"]) == 0
    assert "no epoch was saved" in capsys.readouterr().err
    assert sum(RunFolder.open(out).run.counts["train"].values()) < 100
    assert sorted(entry.status for entry in entries(tmp_path / "log")) == [
        "finished",
        "interrupted",
    ]


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_run_that_never_began_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "There is no interrupted run" in refused(["train", "--resume", tmp_path / "r"], capsys)


def test_run_folder_describes_the_run_that_made_it(few: Path, killed: Path) -> None:
    text = (killed / CONFIG_FILE).read_text("utf-8")
    assert str(few) in text
    assert "average_weights = 0.9" in text


# A checkpoint


def kept(epochs: int) -> Checkpoint:
    rows = tuple({"epoch": float(number + 1)} for number in range(epochs))
    return Checkpoint(rows, {"network/0": np.arange(3.0)}, [np.ones(2), np.zeros((2, 2))])


def test_checkpoint_is_read_back_as_it_was(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path, "abc")
    assert file.load() is None
    file.save(kept(2))
    back = file.load()
    assert back is not None
    assert back.history == kept(2).history
    np.testing.assert_array_equal(back.state["network/0"], [0, 1, 2])
    assert [array.shape for array in back.best] == [(2,), (2, 2)]


def test_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    CheckpointFile(tmp_path, "abc").save(kept(1))
    with pytest.raises(RunError, match="no longer what"):
        CheckpointFile(tmp_path, "other").load()


def test_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path, "abc")
    file.save(kept(1))
    path = tmp_path / CHECKPOINT_FILE
    for length in (200, 0):
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(RunError, match="is damaged"):
            file.load()


@pytest.mark.parametrize("facts", ['{"history": []}', '{"fingerprint": "abc"}', "[]"])
def test_checkpoint_that_lacks_a_fact_is_damaged(tmp_path: Path, facts: str) -> None:
    np.savez(tmp_path / CHECKPOINT_FILE, facts=np.array(facts))
    with pytest.raises(RunError, match="is damaged"):
        CheckpointFile(tmp_path, "abc").load()


def test_full_disk_keeps_the_epoch_before(small_disk: Path) -> None:
    file = CheckpointFile(small_disk, "abc")
    file.save(kept(1))
    large = Checkpoint(kept(2).history, {"network/0": np.random.default_rng(0).random(10**5)}, [])
    with pytest.raises(TrainingError, match=r"is full; .* --resume \(the epoch before is kept\)"):
        file.save(large)
    back = file.load()
    assert back is not None
    assert len(back.history) == 1
    assert [path.name for path in small_disk.iterdir()] == [CHECKPOINT_FILE]
