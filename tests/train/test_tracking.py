"""What TensorBoard and MLflow are told of a run, read back from their own files."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import MissingExtraError, TrainingError, UsageError
from edge_runtime.manifest import Metric
from train.config import TrainConfig
from train.run import Run, RunFolder
from train.tracking import Tracking, tracking

CONFIG = TrainConfig(arch="plain_cnn", input_size=32, epochs=2, learning_rate=0.003)
ROWS = [
    {"epoch": 1, "loss": 0.9, "val_loss": 1.0, "val_auc": 0.7, "seconds": 3.0},
    {"epoch": 2, "loss": 0.5, "val_loss": float("nan"), "val_auc": 0.8, "seconds": 2.0},
]


def through(told: Tracking, run: Run | None = None) -> None:
    for row in ROWS:
        told.epoch(row)
    if run is not None:
        told.finished(run)


def written(folder: Path) -> dict[str, dict[int, Any]]:
    """Values by tag, then by step, of the event files in a folder."""
    import tensorflow as tf

    found: dict[str, dict[int, Any]] = defaultdict(dict)
    for file in sorted(folder.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found[value.tag][event.step] = tf.make_ndarray(value.tensor)
    return found


def final(run: Run) -> Metric:
    return run.metrics["val"]["melanoma_auc"]


# TensorBoard


def test_tensorboard_files_hold_every_epoch_and_the_figures_on_validation(
    tmp_path: Path, run_folder: RunFolder
) -> None:
    with tracking("first", "generated", CONFIG, tensorboard=tmp_path) as told:
        through(told, run_folder.run)
    learnt, judged = (written(tmp_path / "first" / part) for part in ("train", "validation"))
    assert learnt["loss"] == pytest.approx({1: 0.9, 2: 0.5})
    assert learnt["seconds"] == pytest.approx({1: 3.0, 2: 2.0})
    assert judged["loss"] == pytest.approx({1: 1.0})  # NaN has no place in a curve
    assert judged["auc"] == pytest.approx({1: 0.7, 2: 0.8})
    (table,) = learnt["configuration"][0].tolist()
    assert b"| learning_rate | 0.003 |" in table
    assert b"| data | generated |" in table
    metric, step = final(run_folder.run), run_folder.run.best_epoch
    assert judged["final/melanoma_auc"] == pytest.approx({step: metric.value})
    assert judged["final/melanoma_auc_low"] == pytest.approx({step: metric.low})


def test_tensorboard_is_told_of_an_epoch_when_it_is_over(tmp_path: Path) -> None:
    with tracking("first", "generated", CONFIG, tensorboard=tmp_path) as told:
        told.epoch(ROWS[0])
        assert written(tmp_path / "first" / "train")["loss"] == pytest.approx({1: 0.9})


def test_tensorboard_needs_no_package_of_that_name_to_be_written(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorboard", None)
        with tracking("first", "generated", CONFIG, tensorboard=tmp_path) as told:
            through(told)
    assert set(written(tmp_path / "first" / "validation")) == {"loss", "auc"}


def test_folder_that_tensorboard_cannot_have_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match=r"--tensorboard .*file cannot be written .*name another"),
        tracking("first", "generated", CONFIG, tensorboard=tmp_path / "file"),
    ):
        pass


# MLflow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of MLflow's, whose tables take seconds to make."""
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


def kept(store: str, name: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("dermedge")
    return [
        (run, {
            key: [(point.step, point.value) for point in client.get_metric_history(
                run.info.run_id, key)] for key in run.data.metrics
        })
        for run in client.search_runs(
            [experiment.experiment_id], f"attributes.run_name = '{name}'",
            order_by=["attributes.start_time ASC"],
        )
    ]  # fmt: skip


def test_mlflow_store_holds_configuration_epochs_and_the_figures_on_validation(
    store: str, run_folder: RunFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    with tracking("first", "generated", CONFIG, mlflow=store) as told:
        through(told, run_folder.run)
    assert capfd.readouterr() == ("", "")
    ((run, curves),) = kept(store, "first")
    assert run.info.status == "FINISHED"
    assert run.data.tags["data"] == "generated"
    assert run.data.params["learning_rate"] == "0.003"
    assert run.data.params["augment.rotation"] == "180.0"
    assert curves["loss"] == [(1, 0.9), (2, 0.5)]
    assert curves["val_loss"] == [(1, 1.0)]
    metric, step = final(run_folder.run), run_folder.run.best_epoch
    assert curves["final_val_melanoma_auc"] == [(step, metric.value)]
    assert curves["final_val_melanoma_auc_high"] == [(step, metric.high)]
    assert not [name for name in curves if "test" in name]


def test_mlflow_is_told_that_a_run_failed_and_goes_on_when_it_is_resumed(store: str) -> None:
    def fail() -> None:
        with tracking("torn", "generated", CONFIG, mlflow=store) as told:
            told.epoch(ROWS[0])
            raise TrainingError("no")

    with pytest.raises(TrainingError):
        fail()
    ((run, _),) = kept(store, "torn")
    assert run.info.status == "FAILED"
    with tracking("torn", "generated", CONFIG, mlflow=store, resumed=True) as told:
        told.epoch(ROWS[1])
        ((run, _),) = kept(store, "torn")
        assert run.info.status == "RUNNING"
    ((run, curves),) = kept(store, "torn")
    assert (run.info.status, curves["val_auc"]) == ("FINISHED", [(1, 0.7), (2, 0.8)])


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9", "sqlite:////dev/null/x.db", "carrier:pigeon"]
)
def test_mlflow_that_cannot_be_reached_is_refused_at_once(uri: str) -> None:
    pytest.importorskip("mlflow")
    started = time.monotonic()
    with (
        pytest.raises(UsageError, match=r"--mlflow .* cannot be used \(.*\); name a store such as"),
        tracking("first", "generated", CONFIG, mlflow=uri),
    ):
        pass
    assert time.monotonic() - started < 30


def test_missing_mlflow_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with (
        pytest.raises(MissingExtraError, match=r'pip install "dermedge\[mlflow\]"'),
        tracking("first", "generated", CONFIG, mlflow="sqlite:///x.db"),
    ):
        pass


# Both


def test_tracker_that_fails_in_mid_run_does_not_end_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Broken:
        def epoch(self, row: object) -> None:
            raise ConnectionError("the server has gone")

        finished = close = epoch

    class Counting:
        told = 0

        def epoch(self, row: object) -> None:
            self.told += 1

        finished = close = epoch

    counting = Counting()
    told = Tracking({"MLflow": Broken(), "TensorBoard": counting})
    through(told)
    told.close(failed=False)
    assert counting.told == 3
    assert capsys.readouterr().err == (
        "MLflow is told nothing more of this run: the server has gone\n"
    )


def test_without_trackers_nothing_is_loaded_or_written() -> None:
    with tracking("first", "generated", CONFIG) as told:
        through(told)
    assert "mlflow" not in vars(sys.modules["train.tracking"])
