"""Pieces on a real Ray cluster of two nodes, all of it on the loopback address.

Run by `python -m pytest -m ray`; skipped, with the reason, where Ray is not installed.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import DataError, UsageError
from tests.train.pieces.test_pool import errands, wait_for
from tests.train.pieces.two_nodes import LOOPBACK, NODE, two_nodes
from tests.train.pieces.work import begins, run_errand
from train.checkpoint import CHECKPOINT_FILE
from train.config import TrainConfig
from train.configuration import CONFIG_FILE
from train.crossval.validation import cross_validate
from train.data.table import read_data
from train.pieces.pool import Pool, run_pieces
from train.report.evidence import read_history
from train.synthetic import write_dataset

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core each."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in LOOPBACK.items():
            patch.setenv(name, value)
        pytest.importorskip("ray", reason="Ray is not installed (the extra `scale`)")
        with two_nodes() as started:
            yield started


def holder(folder: Path, number: int) -> tuple[int, str]:
    """Process and node of the worker that holds an errand, once it does."""
    process, node = wait_for(folder / f"held-{number}").split()
    return int(process), node


def test_a_piece_whose_worker_is_killed_in_mid_run_is_done_again(
    cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = threading.Thread(target=lambda: os.kill(holder(tmp_path, 1)[0], signal.SIGKILL))
    killed.start()
    pieces = errands(tmp_path, "wait", "hold", "wait", "answer")
    outcomes = run_pieces(run_errand, pieces, Pool(ray=cluster.address, threads=1))
    killed.join()
    assert [outcome.answer.number for outcome in outcomes if outcome.answer] == [0, 1, 2, 3]
    assert [begins(tmp_path, number) for number in range(4)] == [1, 2, 1, 1]
    assert "errand 1: its worker died" in capsys.readouterr().err


def test_a_piece_whose_node_is_lost_in_mid_run_is_done_again_on_another(
    cluster: Any, tmp_path: Path
) -> None:
    doomed = cluster.add_node(**NODE)

    def lose() -> None:
        holders = [holder(tmp_path, number) for number in range(3)]
        assert len({node for _, node in holders}) == 3
        cluster.remove_node(doomed, allow_graceful=False)
        for process, node in holders:
            if node != doomed.node_id:
                os.kill(process, signal.SIGKILL)

    losing = threading.Thread(target=lose)
    losing.start()
    pieces = errands(tmp_path, "hold", "hold", "hold")
    outcomes = run_pieces(run_errand, pieces, Pool(ray=cluster.address, threads=1))
    losing.join()
    assert [outcome.answer.number for outcome in outcomes if outcome.answer] == [0, 1, 2]
    assert [begins(tmp_path, number) for number in range(3)] == [2, 2, 2]


def test_a_fold_whose_worker_is_killed_is_gone_on_with(
    cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_dataset(
        tmp_path / "few", lesions={"mel": 16, "nv": 16}, width=48, height=36, processes=1
    )
    data = read_data(images)
    config = TrainConfig(arch="plain_cnn", input_size=32, epochs=40, bootstrap=100)
    out = tmp_path / "folds"
    killed = threading.Thread(target=kill_after_an_epoch, args=(out / "fold-1.partial", "fold 1"))
    killed.start()
    result = cross_validate(
        data.with_records(replace(record, split=None) for record in data.records),
        config, out, folds=2, pool=Pool(ray=cluster.address, threads=1),
    )  # fmt: skip
    killed.join()
    assert [len(read_history(run)) for run in result.runs] == [40, 40]
    printed = capsys.readouterr()
    assert "fold 1: its worker died" in printed.err
    assert "fold 1 of 2 trained" in printed.err
    assert "going on after epoch" in printed.out + printed.err  # Ray shows what workers print


def kill_after_an_epoch(folder: Path, piece: str) -> None:
    """Kill the worker of a fold, which bears the piece's name, once its first epoch is kept."""
    wait_for(folder / CONFIG_FILE)
    deadline = time.monotonic() + 120
    while not (folder / CHECKPOINT_FILE).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (worker,) = (
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if (process / "cmdline").read_bytes().startswith(f"ray::{piece}".encode())
    )
    os.kill(worker, signal.SIGKILL)


def test_an_error_of_one_piece_is_its_own(cluster: Any, tmp_path: Path) -> None:
    pieces = errands(tmp_path, "refuse", "answer")
    outcomes = run_pieces(run_errand, pieces, Pool(ray=cluster.address, threads=1))
    assert isinstance(outcomes[0].error, DataError)
    assert str(outcomes[0].error) == "errand 0 cannot be done."
    assert outcomes[1].answer is not None


def test_more_cores_than_a_node_has_are_refused(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has the 64 cores"):
        run_pieces(run_errand, errands(tmp_path, "answer"), Pool(ray=cluster.address, threads=64))


def test_an_address_where_no_cluster_answers_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (the extra `scale`)")
    with pytest.raises(UsageError, match=r"No Ray cluster can be joined at 127\.0\.0\.1:1 "):
        run_pieces(run_errand, errands(tmp_path, "answer"), Pool(ray="127.0.0.1:1"))
