"""Writing a run into the index while it goes on."""

from __future__ import annotations

import contextlib
import datetime
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge_runtime._files import sha256
from edge_runtime._strict import to_json
from train import progress
from train.config import TrainConfig
from train.log.journal import Begun, EpochDone, Event, Failed, Finished, append, runs_folder
from train.log.process import Process
from train.run import RUN_FILE, RunFolder


class Recorder:
    """Takes down one run. A line that cannot be written costs a warning and never the run."""

    def __init__(self) -> None:
        self._folder = runs_folder()
        self._attempt = secrets.token_hex(6)
        self._warned = False

    def begun(self, out: Path, data: str, config: TrainConfig, resumed: bool) -> None:
        """The run begins, or goes on."""
        # Relative to the index, so that both can be moved together.
        place = os.path.relpath(out.resolve(), self._folder.resolve())
        self._append(
            Begun(
                self._attempt, _now(), place, data, to_json(config), resumed, Process.this()
            )
        )  # fmt: skip

    def epoch(self, row: Mapping[str, float]) -> None:
        """An epoch is over; ``row`` is its line of the history."""
        self._append(EpochDone(self._attempt, dict(row)))

    def finished(self, run: RunFolder) -> None:
        """The run folder is there."""
        digest = sha256((run.folder / RUN_FILE).read_bytes())
        self._append(
            Finished(self._attempt, _now(), digest, run.run.best_epoch, run.run.metrics)
        )  # fmt: skip

    def failed(self, error: BaseException) -> None:
        """The run ended without a run folder."""
        message = " ".join(str(error).split())
        self._append(Failed(self._attempt, _now(), type(error).__name__, message))

    def _append(self, event: Event) -> None:
        try:
            append(self._folder, event)
        except (OSError, ValueError) as error:  # a full disk, or a name that is no UTF-8
            if not self._warned:
                progress.say(
                    f"The experiment log in {self._folder} cannot be written "
                    f"({getattr(error, 'strerror', None) or error}); the run goes on without it."
                )
            self._warned = True


@contextlib.contextmanager
def recorded(
    out: Path, data: str, config: TrainConfig, *, resumed: bool = False
) -> Iterator[Recorder]:
    """Take down a run: that it begins, and the error if the block ends with one.

    Args:
        out: the run folder that is to be written.
        data: name of the data set.
        config: how it trains.
        resumed: it goes on from an epoch that an earlier process reached.

    Yields:
        the recorder, to be told of every epoch and of the run folder.
    """
    recorder = Recorder()
    recorder.begun(out, data, config, resumed)
    try:
        yield recorder
    except BaseException as error:  # an interrupt ends a run as well
        recorder.failed(error)
        raise


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
