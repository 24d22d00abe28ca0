"""The experiment log: what becomes of a run is in it, whoever else writes, whatever crashes."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from edge_runtime.errors import TrainingError, UsageError
from train.config import TrainConfig
from train.log import Entry, entries, find, in_order, recorded
from train.log.journal import JOURNAL_FILE, EpochDone, append, read
from train.log.process import Process
from train.run import RunFolder

CONFIG = TrainConfig(arch="plain_cnn", input_size=32, epochs=6)
Row = dict[str, float]


def row(epoch: int, **figures: float) -> Row:
    return {"epoch": epoch, "loss": 1 / epoch, "val_loss": 1.1 / epoch, "val_auc": 0.8, **figures}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for runs, which the log is kept in."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("DERMEDGE_RUNS", str(folder))
    return folder


@pytest.fixture
def train_in(runs: Path, run_folder: RunFolder) -> Callable[[str], Path]:
    """Go through a run as training does, with a run folder that was trained before."""

    def one(name: str) -> Path:
        out = runs / name
        with recorded(out, "generated", CONFIG) as recorder:
            recorder.epoch(row(1))
            shutil.copytree(run_folder.folder, out)
            record = json.loads((out / "run.json").read_text("utf-8"))
            (out / "run.json").write_text(json.dumps(record | {"name": name}))  # unlike the others
            recorder.finished(RunFolder.open(out))
        return out

    return one


def begin_and_end(out: Path, error: BaseException, *rows: Row) -> None:
    """A run that comes to those epochs and ends by that error."""
    with recorded(out, "generated", CONFIG) as recorder:
        for line in rows:
            recorder.epoch(line)
        raise error


def only(runs: Path) -> Entry:
    (entry,) = entries(runs)
    return entry


# How runs end


def test_finished_run_is_listed_with_its_figures(
    train_in: Callable[[str], Path], runs: Path, run_folder: RunFolder
) -> None:
    out = train_in("first")
    entry = only(runs)
    assert (entry.name, entry.status, entry.data) == ("first", "finished", "generated")
    assert entry.folder.resolve() == out.resolve()
    assert entry.config["arch"] == "plain_cnn"
    assert entry.best_epoch == run_folder.run.best_epoch
    assert entry.metrics == run_folder.run.metrics
    assert entry.auc("val") == ("melanoma", run_folder.run.metrics["val"]["melanoma_auc"])


def test_run_that_fails_stays_in_the_table_with_its_reason(runs: Path) -> None:
    broken = row(2, val_loss=float("inf"), val_auc=float("nan"))
    with pytest.raises(TrainingError):
        begin_and_end(runs / "steep", TrainingError("The loss is nan\nin epoch 3."), row(1), broken)
    entry = only(runs)
    assert (entry.status, entry.reason) == ("failed", "The loss is nan in epoch 3.")
    assert [line["epoch"] for line in entry.history] == [1, 2]
    assert entry.history[1]["val_auc"] is None


def test_run_that_the_user_interrupts_is_interrupted(runs: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        begin_and_end(runs / "dull", KeyboardInterrupt())
    assert (only(runs).status, only(runs).reason) == ("interrupted", "by the user")


BEGIN = """
import sys, time
from pathlib import Path
from train.config import TrainConfig
from train.log import recorded
with recorded(Path(sys.argv[1]), "generated", TrainConfig()) as recorder:
    recorder.epoch({"epoch": 1, "loss": 0.5})
    print("begun", flush=True)
    time.sleep(60)
"""


def test_run_is_running_until_its_process_is_killed(runs: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", BEGIN, str(runs / "long")], stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    assert (only(runs).status, len(only(runs).history)) == ("running", 1)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert (only(runs).status, only(runs).reason) == ("interrupted", "its process was killed")


def test_process_is_told_from_a_later_one_of_its_number() -> None:
    this = Process.this()
    assert this.is_alive() is True
    assert Process(this.host, this.pid, "1").is_alive() is False
    assert Process(this.host, 2**22 + 1, this.began).is_alive() is False
    assert Process("elsewhere", this.pid, this.began).is_alive() is None


def test_run_of_another_machine_without_an_end_is_unknown(runs: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        begin_and_end(runs / "far", ZeroDivisionError())
    begun, _failed = (runs / JOURNAL_FILE).read_text("utf-8").splitlines()
    line = json.loads(begun)
    line["process"]["host"] = "cluster-7"
    (runs / JOURNAL_FILE).write_text(json.dumps(line) + "\n")
    assert (only(runs).status, only(runs).reason) == ("unknown", "it began on cluster-7")


def test_resumed_run_is_one_line_with_the_history_of_both_attempts(
    runs: Path, run_folder: RunFolder
) -> None:
    out = runs / "twice"
    with pytest.raises(KeyboardInterrupt):
        begin_and_end(out, KeyboardInterrupt(), row(1), row(2))
    with recorded(out, "generated", CONFIG, resumed=True) as recorder:
        assert only(runs).status == "running"
        recorder.epoch(row(2, loss=7.0))  # the last epoch was not saved, so it is done again
        recorder.epoch(row(3))
        shutil.copytree(run_folder.folder, out)
        recorder.finished(RunFolder.open(out))
    entry = only(runs)
    assert (entry.status, entry.attempts) == ("finished", 2)
    assert [(line["epoch"], line["loss"]) for line in entry.history] == [
        (1, 1.0), (2, 7.0), (3, 1 / 3),
    ]  # fmt: skip


def test_second_try_in_the_same_place_is_a_line_of_its_own(runs: Path) -> None:
    for _ in range(2):
        with pytest.raises(TrainingError):
            begin_and_end(runs / "same", TrainingError("no"))
    assert [entry.status for entry in entries(runs)] == ["failed", "failed"]


# The folders are the truth


def test_run_whose_folder_was_deleted_is_gone_and_keeps_its_figures(
    train_in: Callable[[str], Path], runs: Path, run_folder: RunFolder
) -> None:
    shutil.rmtree(train_in("first"))
    entry = only(runs)
    assert (entry.status, entry.metrics) == ("gone", run_folder.run.metrics)


def test_run_that_was_renamed_is_found_by_its_content(
    train_in: Callable[[str], Path], runs: Path
) -> None:
    train_in("first").rename(runs / "better-name")
    assert (only(runs).name, only(runs).status) == ("better-name", "finished")


def test_runs_and_log_can_be_moved_together(
    train_in: Callable[[str], Path], runs: Path, tmp_path: Path
) -> None:
    train_in("first")
    moved = tmp_path / "elsewhere" / "runs"
    moved.parent.mkdir()
    runs.rename(moved)
    assert only(moved).status == "finished"
    assert only(moved).folder.resolve() == (moved / "first").resolve()


def test_run_outside_the_folder_of_the_log_is_listed(
    train_in: Callable[[str], Path], runs: Path
) -> None:
    out = train_in("../far/away")
    assert (only(runs).name, only(runs).status) == ("away", "finished")
    assert only(runs).folder.resolve() == out.resolve()


def test_run_folder_that_the_log_does_not_know_is_listed(
    train_in: Callable[[str], Path], runs: Path, run_folder: RunFolder
) -> None:
    train_in("first")
    (runs / JOURNAL_FILE).unlink()
    entry = only(runs)
    assert (entry.name, entry.status, entry.data) == ("first", "finished", "generated")
    assert entry.metrics == run_folder.run.metrics


def test_run_folder_of_another_version_is_listed_as_unreadable(
    train_in: Callable[[str], Path], runs: Path
) -> None:
    record = json.loads((train_in("first") / "run.json").read_text("utf-8"))
    (runs / JOURNAL_FILE).unlink()
    (runs / "first" / "run.json").write_text(json.dumps(record | {"schema_version": 99}))
    assert only(runs).status == "unreadable"
    assert "schema version 99" in only(runs).reason


# The file


def test_empty_folder_and_missing_folder_have_no_runs(tmp_path: Path) -> None:
    assert entries(tmp_path) == entries(tmp_path / "none") == ()


def _append_many(folder: Path, writer: int, lines: int, start: Barrier) -> None:
    start.wait()
    for number in range(lines):
        append(
            folder, EpochDone(f"w{writer}", {"epoch": number, "padding": 10.0 ** (number % 300)})
        )


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    lines, context = 400, multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    writers = [
        context.Process(target=_append_many, args=(tmp_path, writer, lines, start))
        for writer in (0, 1)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = list(read(tmp_path))
    for writer in (0, 1):
        own = [event.row["epoch"] for event in found if event.attempt == f"w{writer}"]
        assert own == list(range(lines))
    order = [event.attempt for event in found]
    assert order != sorted(order)  # they did write at once


@pytest.mark.parametrize(
    "cut", ['{"schema_version": 1, "event": "epo', '{"event"', '"text"', "[1]", "{}", "\\xff",
            '{"schema_version": 2, "event": "epoch", "attempt": "a", "row": {}}',
            '{"schema_version": 1, "event": "dream", "attempt": "a", "row": {}}',
            '{"schema_version": 1, "event": "epoch", "attempt": 5, "row": {}}'],
)  # fmt: skip
def test_line_that_cannot_be_read_is_passed_over_and_spoils_no_other(
    cut: str, tmp_path: Path
) -> None:
    events = [EpochDone("a", {"epoch": 1.0}), EpochDone("a", {"epoch": 2.0})]
    append(tmp_path, events[0])
    with (tmp_path / JOURNAL_FILE).open("ab") as file:
        file.write(cut.encode("latin-1"))  # and no end of line
    append(tmp_path, events[1])
    assert list(read(tmp_path)) == events


def test_log_that_cannot_be_written_costs_a_warning_and_not_the_run(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / JOURNAL_FILE).mkdir()  # so that even root cannot write it
    with recorded(runs / "first", "generated", CONFIG) as recorder:
        recorder.epoch(row(1))
    said = capsys.readouterr().err
    assert said.count("cannot be written") == said.count("\n") == 1
    assert "Is a directory" in said


# Names and order


def test_run_is_found_by_name_and_by_folder(train_in: Callable[[str], Path], runs: Path) -> None:
    out = train_in("first")
    found = entries(runs)
    assert find("first", found) == find(str(out), found) == found[0]
    with pytest.raises(UsageError, match=r"no run fist; did you mean first\?"):
        find("fist", found)
    train_in("sub/first")
    with pytest.raises(UsageError, match=r"Several runs are named first .*sub/first"):
        find("first", entries(runs))


def test_run_outside_every_log_is_found_by_its_folder(run_folder: RunFolder, runs: Path) -> None:
    entry = find(str(run_folder.folder), entries(runs))
    assert (entry.status, entry.folder) == ("finished", run_folder.folder)


def test_table_is_sorted_as_asked() -> None:
    def entry(name: str, created: str, epochs: int) -> Entry:
        return Entry(name, Path(name), "failed", created=created, config={"epochs": epochs})

    found = [entry("b", "2026-01-01", 5), entry("c", "2026-01-02", 3), entry("a", "2026-01-03", 5)]
    assert [one.name for one in in_order(found, "when")] == ["a", "c", "b"]
    assert [one.name for one in in_order(found, "name")] == ["a", "b", "c"]
    assert [one.name for one in in_order(found, "epochs")] == ["c", "a", "b"]
