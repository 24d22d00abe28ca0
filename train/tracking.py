"""A run told to TensorBoard or MLflow while it goes on, for those who watch their runs there.

Both get the configuration, every epoch, and in the end the figures on validation. The figures on
test stay in the run folder: a dashboard that sorts runs by them makes the best run the luckiest.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from edge_runtime._strict import to_json
from edge_runtime.errors import MissingExtraError, UsageError
from edge_runtime.manifest import Metric
from train import backend, progress
from train.config import TrainConfig
from train.run import Run

EXPERIMENT = "dermedge"
"""What the runs are filed under in MLflow."""
FINAL = "val"

Row = Mapping[str, float]


class Tracker(Protocol):
    """Something that a run is told to."""

    def epoch(self, row: Row) -> None:
        """An epoch is over; ``row`` is its line of the history, ``epoch`` counted from 1."""

    def finished(self, run: Run) -> None:
        """The run folder is there."""

    def close(self, failed: bool) -> None:
        """Nothing more will come."""


class Tracking:
    """All trackers of one run. One that fails is told nothing more, and the run goes on."""

    def __init__(self, trackers: Mapping[str, Tracker]) -> None:
        self._trackers = dict(trackers)

    def epoch(self, row: Row) -> None:
        """An epoch is over; fits as `on_epoch` of `train.training.train`."""
        self._tell(lambda tracker: tracker.epoch(row))

    def finished(self, run: Run) -> None:
        """The run folder is there."""
        self._tell(lambda tracker: tracker.finished(run))

    def close(self, failed: bool) -> None:
        """Nothing more will come."""
        self._tell(lambda tracker: tracker.close(failed))

    def _tell(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                call(tracker)
            except Exception as error:  # whatever a server or a disk does, hours of training go on
                del self._trackers[name]
                progress.say(f"{name} is told nothing more of this run: {_reason(error)}")


@contextlib.contextmanager
def tracking(
    name: str, data: str, config: TrainConfig, *, tensorboard: Path | None = None,
    mlflow: str | None = None, resumed: bool = False,
) -> Iterator[Tracking]:  # fmt: skip
    """Tell a run to TensorBoard, MLflow, both or none.

    Args:
        name: of the run.
        data: name of the data set.
        config: how it trains.
        tensorboard: a folder; the run's event files come into a folder in it.
        mlflow: where MLflow keeps its runs, such as ``sqlite:///mlflow.db`` or a server's address.
        resumed: the run goes on, and so does what was told of it.

    Raises:
        MissingExtraError: MLflow is not installed.
        UsageError: the folder cannot be written, or MLflow cannot be reached.
    """
    trackers: dict[str, Tracker] = {}
    if tensorboard is not None:
        trackers["TensorBoard"] = _TensorBoard(tensorboard, name, data, config)
    if mlflow is not None:
        trackers["MLflow"] = _MLflow(mlflow, name, data, config, resumed)
    told = Tracking(trackers)
    try:
        yield told
    except BaseException:
        told.close(failed=True)
        raise
    told.close(failed=False)


class _TensorBoard:
    """Event files in ``train`` and ``validation``, which TensorBoard lays over each other.

    Written through TensorFlow alone: only viewing needs the package tensorboard.
    """

    def __init__(self, folder: Path, name: str, data: str, config: TrainConfig) -> None:
        backend.prepare()
        import tensorflow as tf

        self._tf = tf
        try:
            self._writers = {
                part: tf.summary.create_file_writer(str(folder / name / part))
                for part in ("train", "validation")
            }
            self._write("train", "configuration", _table({"data": data, **_flat(config)}), 0)
            self._flush()
        except tf.errors.OpError as error:
            raise UsageError(
                f"--tensorboard {folder} cannot be written ({_reason(error)}); name another folder."
            ) from None

    def epoch(self, row: Row) -> None:
        for part, name, value in _figures(row):
            self._write(part, name, value, int(row["epoch"]))
        self._flush()

    def finished(self, run: Run) -> None:
        for name, metric in run.metrics[FINAL].items():
            for tag, value in _ends(name, metric):
                self._write("validation", f"final/{tag}", value, run.best_epoch)

    def close(self, failed: bool) -> None:
        for writer in self._writers.values():
            writer.close()

    def _write(self, part: str, tag: str, value: float | str, step: int) -> None:
        # What `tf.summary.scalar` and `tf.summary.text` do; in TensorFlow 2.21 they ask for the
        # package tensorboard. The data classes tell its plug-ins how to read the tensor.
        tf = self._tf
        kinds = tf.compat.v1.SummaryMetadata
        plugin, kind = ("text", 2) if isinstance(value, str) else ("scalars", 1)
        metadata = kinds(plugin_data=kinds.PluginData(plugin_name=plugin), data_class=kind)
        tensor = tf.constant([value] if isinstance(value, str) else value)
        with self._writers[part].as_default():
            tf.summary.write(tag, tensor, step=step, metadata=metadata)

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()


class _MLflow:
    """A run in MLflow's store, through its client."""

    def __init__(self, uri: str, name: str, data: str, config: TrainConfig, resumed: bool) -> None:
        # Runs are nobody's business but the user's, and a server that is down is not worth the
        # client's own minutes of patience.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        try:
            from mlflow import MlflowClient
        except ModuleNotFoundError:
            raise MissingExtraError(
                '--mlflow needs MLflow, which is not installed; run pip install "dermedge[mlflow]".'
            ) from None
        for chatty in ("mlflow", "alembic"):  # of the tables that they make in a new store
            logging.getLogger(chatty).setLevel(logging.WARNING)
        try:
            self._client = MlflowClient(tracking_uri=uri)
            earlier = self._earlier(name) if resumed else None
            self._run = earlier or self._new(name, data, config)
            self._client.update_run(self._run, status="RUNNING")
        except Exception as error:  # its stores raise whatever their libraries do
            raise UsageError(
                f"--mlflow {uri} cannot be used ({_reason(error)}); name a store such as "
                "sqlite:///mlflow.db, or the address of a server that runs."
            ) from None

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        made: str = found.experiment_id if found else self._client.create_experiment(EXPERIMENT)
        return made

    def _new(self, name: str, data: str, config: TrainConfig) -> str:
        run = self._client.create_run(self._experiment(), run_name=name, tags={"data": data})
        made: str = run.info.run_id
        for key, value in _flat(config).items():
            self._client.log_param(made, key, value)
        return made

    def _earlier(self, name: str) -> str | None:
        """The latest run of that name."""
        quoted = name.replace("'", "''")
        found = self._client.search_runs(
            [self._experiment()], f"attributes.run_name = '{quoted}'",
            order_by=["attributes.start_time DESC"], max_results=1,
        )  # fmt: skip
        return found[0].info.run_id if found else None

    def epoch(self, row: Row) -> None:
        self._log({name: value for name, value in row.items() if name != "epoch"}, row["epoch"])

    def finished(self, run: Run) -> None:
        figures = dict(
            pair for name, metric in run.metrics[FINAL].items() for pair in _ends(name, metric)
        )
        self._log({f"final_{FINAL}_{name}": value for name, value in figures.items()},
                  run.best_epoch)  # fmt: skip

    def close(self, failed: bool) -> None:
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")

    def _log(self, figures: Mapping[str, float], step: float) -> None:
        from mlflow.entities import Metric as Logged

        now = int(time.time() * 1000)
        logged = [
            Logged(name, float(value), now, int(step))
            for name, value in figures.items()
            if math.isfinite(value)
        ]
        self._client.log_batch(self._run, metrics=logged)


def _figures(row: Row) -> Iterator[tuple[str, str, float]]:
    """Part, name and value of every figure of an epoch: ``val_loss`` is the validation's loss."""
    for name, value in row.items():
        if name == "epoch" or not math.isfinite(value):
            continue
        if name.startswith("val_"):
            yield "validation", name.removeprefix("val_"), value
        else:
            yield "train", name, value


def _ends(name: str, metric: Metric) -> Iterator[tuple[str, float]]:
    """A figure and the ends of its interval."""
    for tag, value in ((name, metric.value), (f"{name}_low", metric.low),
                       (f"{name}_high", metric.high)):  # fmt: skip
        if value is not None:
            yield tag, value


def _flat(config: TrainConfig) -> dict[str, str]:
    found: dict[str, Any] = {}
    for name, value in to_json(config).items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": item for inner, item in value.items()}
        else:
            found[name] = value
    return {name: str(value) for name, value in found.items()}


def _table(settings: Mapping[str, str]) -> str:
    """In Markdown, which TensorBoard shows as a table."""
    rows = [f"| {name} | {value} |" for name, value in settings.items()]
    return "\n".join(["| setting | value |", "| --- | --- |", *rows])


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__
