"""The index file: one event a line, appended by any number of processes at once.

A line goes to the end of the file in one write (``O_APPEND``, which POSIX makes atomic on a local
file system), so lines of two processes do not mix. A line that a crash left half-written is passed
over, and so is one that a later version wrote.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime._strict import RecordError, from_json, to_json
from edge_runtime.manifest import Metric
from train.log.process import Process

JOURNAL_FILE = "runs.jsonl"
SCHEMA_VERSION = 1
RUNS_VARIABLE = "DERMEDGE_RUNS"
DEFAULT_FOLDER = "runs"


@dataclass(frozen=True)
class Begun:
    """A run begins, or goes on where an earlier process left it.

    Attributes:
        attempt: this process's part of the run; its other events bear the same.
        time: UTC, ISO 8601.
        run: the run folder to be, relative to the index.
        data: name of the data set.
        config: as in `run.json`.
        resumed: whether it goes on.
        process: what does it.
    """

    attempt: str
    time: str
    run: str
    data: str
    config: Mapping[str, Any]
    resumed: bool
    process: Process


@dataclass(frozen=True)
class EpochDone:
    """An epoch is over: its row of the history. What is not a finite number is None."""

    attempt: str
    row: Mapping[str, float | None]


@dataclass(frozen=True)
class Finished:
    """The run folder is there.

    Attributes:
        attempt: see `Begun`.
        time: UTC, ISO 8601.
        sha256: of its `run.json`, by which the folder is known again wherever it is.
        best_epoch: counted from 1.
        metrics: by split, then by name.
    """

    attempt: str
    time: str
    sha256: str
    best_epoch: int
    metrics: Mapping[str, Mapping[str, Metric]]


@dataclass(frozen=True)
class Failed:
    """The run ended without a run folder, by an error of that class and message."""

    attempt: str
    time: str
    error: str
    message: str


Event = Begun | EpochDone | Finished | Failed
_KINDS: Mapping[str, type[Event]] = {
    "begun": Begun, "epoch": EpochDone, "finished": Finished, "failed": Failed,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}


def runs_folder() -> Path:
    """The folder with the index: what DERMEDGE_RUNS names, or else ``runs`` in this folder."""
    return Path(os.environ.get(RUNS_VARIABLE) or DEFAULT_FOLDER)


def append(folder: Path, event: Event) -> None:
    """Add a line to the index of ``folder``.

    Raises:
        OSError: the folder cannot be made, or the line not be written whole.
    """
    line = {"schema_version": SCHEMA_VERSION, "event": _NAMES[type(event)], **to_json(event)}
    content = json.dumps(_finite(line), ensure_ascii=False, allow_nan=False).encode() + b"\n"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / JOURNAL_FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            content = b"\n" + content  # after a line that was cut off; an empty line does no harm
        written = os.write(descriptor, content)
    finally:
        os.close(descriptor)
    if written != len(content):
        raise OSError(f"only {written} of {len(content)} bytes were written")


def read(folder: Path) -> Iterator[Event]:
    """The events in the order in which they were written; none where there is no index."""
    try:
        content = (folder / JOURNAL_FILE).read_bytes()
    except FileNotFoundError:
        return
    for line in content.split(b"\n"):
        try:
            value = json.loads(line)
            if value.pop("schema_version") == SCHEMA_VERSION:
                yield from_json(_KINDS[value.pop("event")], value)
        except (ValueError, AttributeError, KeyError, TypeError, RecordError):
            continue  # cut off, still being written, or not an event that this version knows


def _finite(value: Any) -> Any:
    """The same without NaN and infinity, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
