"""Pieces on this machine: real processes, some of which die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.errors import DataError, MissingExtraError, TrainingError, UsageError
from tests.conftest import ROOT
from tests.train.pieces.work import Errand, Report, begins, run_errand
from train.pieces.pool import TRIES, Outcome, Pool, run_pieces


def errands(folder: Path, *deeds: str) -> list[Errand]:
    return [Errand(number, folder, deed) for number, deed in enumerate(deeds)]


def test_answers_come_in_the_order_of_the_pieces_from_processes_of_their_own(
    tmp_path: Path,
) -> None:
    outcomes = run_pieces(run_errand, errands(tmp_path, "wait", "answer", "answer"), Pool(2))
    answers = [outcome.answer for outcome in outcomes]
    assert [answer.number for answer in answers if answer] == [0, 1, 2]
    assert len({answer.process for answer in answers if answer} | {os.getpid()}) == 4


def test_cores_are_divided_by_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.pieces.local.usable_cores", lambda: 6)
    for pool, threads in ((Pool(), "6"), (Pool(2), "3"), (Pool(9), "1"), (Pool(2, 5), "5")):
        (outcome,) = run_pieces(run_errand, errands(tmp_path, "answer"), pool)
        assert outcome.answer is not None
        assert outcome.answer.threads == threads


def test_a_piece_whose_worker_is_killed_is_done_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = run_pieces(run_errand, errands(tmp_path, "answer", "die once", "answer"), Pool(2))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert [begins(tmp_path, number) for number in range(3)] == [1, 2, 1]
    assert "errand 1: its worker died (ended by SIGKILL" in capsys.readouterr().err


def test_a_piece_whose_workers_always_die_is_given_up_by_name_and_the_others_are_kept(
    tmp_path: Path,
) -> None:
    outcomes = run_pieces(run_errand, errands(tmp_path, "die always", "answer"))
    assert begins(tmp_path, 0) == TRIES
    assert isinstance(outcomes[0].error, TrainingError)
    assert f"errand 0 died {TRIES} times (the last: exit status 7)" in str(outcomes[0].error)
    assert outcomes[1].answer is not None


def test_an_error_of_one_piece_is_its_own_and_not_tried_again(tmp_path: Path) -> None:
    seen: list[Outcome[Errand, Report]] = []
    outcomes = run_pieces(run_errand, errands(tmp_path, "refuse", "answer"), on_done=seen.append)
    assert isinstance(outcomes[0].error, DataError)
    assert str(outcomes[0].error) == "errand 0 cannot be done."
    assert begins(tmp_path, 0) == 1
    assert outcomes[1].answer is not None
    assert seen == outcomes


def test_a_mistake_in_the_code_ends_everything_and_says_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_pieces(run_errand, errands(tmp_path, "mistake", "answer"))
    assert "in errand 0" in caught.value.__notes__[0]
    assert "work.py" in caught.value.__notes__[0]
    assert begins(tmp_path, 1) == 0


def test_a_full_disk_in_a_worker_is_seen_as_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as caught:
        run_pieces(run_errand, errands(tmp_path, "full disk"))
    assert caught.value.errno == 28


def test_a_piece_is_made_when_a_worker_is_free_for_it(tmp_path: Path) -> None:
    done: list[int] = []

    def pieces() -> Iterator[Errand]:
        for number in range(3):
            assert done == list(range(number))
            yield Errand(number, tmp_path)

    run_pieces(run_errand, pieces(), on_done=lambda outcome: done.append(outcome.piece.number))
    assert done == [0, 1, 2]


def test_no_piece_begins_after_the_time_is_up(tmp_path: Path) -> None:
    three = errands(tmp_path, "wait", "wait", "wait")
    assert run_pieces(run_errand, three, until=time.monotonic()) == []
    outcomes = run_pieces(run_errand, three, until=time.monotonic() + 0.3)
    assert [outcome.piece.number for outcome in outcomes] == [0]


def test_lines_of_several_workers_bear_the_name_of_their_piece(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run_pieces(run_errand, errands(tmp_path, "speak", "speak"), Pool(2))
    assert sorted(capfd.readouterr().err.splitlines()) == [
        "errand 0: one line",
        "errand 1: one line",
    ]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_call(tmp_path: Path, end: signal.Signals) -> None:
    code = (
        "import signal\n"
        "from pathlib import Path\n"
        "from tests.train.pieces.work import Errand, run_errand\n"
        "from train.pieces.pool import run_pieces\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's & ignores it
        f"run_pieces(run_errand, [Errand(0, Path({str(tmp_path)!r}), 'hold')])\n"
    )
    call = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    worker = int(wait_for(tmp_path / "held-0").split()[0])
    call.send_signal(end)
    call.wait(10)
    deadline = time.monotonic() + 10
    while is_running(worker):
        assert time.monotonic() < deadline, "the worker is still there"
        time.sleep(0.05)


def test_senseless_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="--workers is 0, expected 1 or more"):
        Pool(0)
    with pytest.raises(UsageError, match="--threads is -1"):
        Pool(threads=-1)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*scale"):
        run_pieces(run_errand, errands(tmp_path, "answer"), Pool(ray="127.0.0.1:1"))


def wait_for(file: Path) -> str:
    deadline = time.monotonic() + 120  # on a busy machine
    while not (file.is_file() and file.read_text()):
        assert time.monotonic() < deadline, f"{file.name} never came"
        time.sleep(0.05)
    return file.read_text()


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
