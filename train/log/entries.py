"""The table: what the index tells of every run, held against the run folders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from edge_runtime._files import sha256
from edge_runtime._strict import RecordError, from_json, to_json
from edge_runtime.errors import UsageError
from edge_runtime.manifest import Metric
from train.log.journal import Begun, EpochDone, Failed, Finished, read
from train.log.process import Process
from train.run import RUN_FILE, SCHEMA_VERSION, Run

Status = Literal["finished", "running", "interrupted", "failed", "gone", "unknown", "unreadable"]
INTERRUPTS = ("KeyboardInterrupt", "SystemExit")
TARGETS = ("melanoma", "malignant")
SORTS = ("when", "name", "data", "arch", "size", "epochs", "auc", "status")
"""What the table can be sorted by: newest and best first, the others upwards. There is no order by
test figures, see `train.log.comparing.JUDGED`."""


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        name: of its folder.
        folder: where the run is, or was to be.
        status: "running", "finished", "failed" or "interrupted"; "gone" where it had finished and
            its folder is not there any more; "unknown" where it began on another machine and no
            end is known; "unreadable" where there is a folder that this version cannot read.
        reason: in words, why it did not finish or is not there.
        created: UTC, ISO 8601; when it began, or, where its folder alone tells of it, ended.
        data: name of the data set.
        config: as in `run.json`; empty where it is not known.
        history: rows of the epochs so far; empty where its folder alone tells of it.
        best_epoch: counted from 1, 0 where it was imported; None until the run is finished.
        metrics: by split, then by name.
        attempts: how often it was begun or resumed.
        process: what is at it, or was.
        sha256: of its `run.json`; empty until the run is finished.
    """

    name: str
    folder: Path
    status: Status
    reason: str = ""
    created: str = ""
    data: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, float | None], ...] = ()
    best_epoch: int | None = None
    metrics: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)
    attempts: int = 1
    process: Process | None = None
    sha256: str = ""

    def auc(self, split: str) -> tuple[str, Metric] | None:
        """The first target that has an area under the ROC curve, and that area."""
        metrics = self.metrics.get(split, {})
        for target in TARGETS:
            if f"{target}_auc" in metrics:
                return target, metrics[f"{target}_auc"]
        return None


def entries(folder: Path) -> tuple[Entry, ...]:
    """Every run that the index of ``folder``, or a run folder in it, tells of; oldest first."""
    logged = _logged(folder)
    there = _run_folders(folder, [entry.folder for entry in logged])
    found = []
    for entry in logged:
        if entry.status == "running":
            entry = _judged(entry)
        elif entry.status == "finished" and entry.sha256 in there:
            place = there.pop(entry.sha256)
            entry = replace(entry, name=place.name, folder=place)
        elif entry.status == "finished":
            entry = replace(entry, status="gone", reason="its folder was deleted or moved")
        found.append(entry)
    found += [_unlogged(place) for place in there.values()]
    return tuple(sorted(found, key=lambda entry: entry.created))


def in_order(found: Sequence[Entry], by: str) -> list[Entry]:
    """The table's rows in the order that one of `SORTS` names."""

    def key(entry: Entry) -> Any:
        config, auc = entry.config, entry.auc("val")
        return {
            "when": 0,
            "name": entry.name,
            "data": entry.data,
            "arch": (str(config.get("arch", "")), config.get("width", 1.0)),
            "size": config.get("input_size", 0),
            "epochs": config.get("epochs", 0),
            "auc": -auc[1].value if auc else 1.0,
            "status": entry.status,
        }[by]

    return sorted(sorted(found, key=lambda entry: entry.created, reverse=True), key=key)


def find(word: str, among: Sequence[Entry]) -> Entry:
    """The run in that folder or of that name; of several attempts, the last.

    Raises:
        UsageError: there is none, or several folders bear the name.
    """
    place = Path(word)
    if (place / RUN_FILE).is_file():
        same = [entry for entry in among if entry.folder.resolve() == place.resolve()]
        return same[-1] if same else _unlogged(place)
    named = [entry for entry in among if entry.name == word]
    named = [entry for entry in named if entry.status == "finished"] or named[-1:]
    if len(named) == 1:
        return named[0]
    if named:
        places = ", ".join(str(entry.folder) for entry in named)
        raise UsageError(f"Several runs are named {word} ({places}); name the folder of one.")
    near = get_close_matches(word, {entry.name for entry in among}, n=1)
    hint = f"did you mean {near[0]}?" if near else "`dermedge runs` lists those that there are."
    raise UsageError(f"There is no run {word}; {hint}")


def _logged(folder: Path) -> list[Entry]:
    """The runs of the index, as it alone tells of them."""
    found: list[Entry] = []
    position: dict[str, int] = {}  # of the entry that an attempt belongs to
    latest: dict[str, int] = {}  # of the entry that last was to write to a place
    for event in read(folder):
        if isinstance(event, Begun):
            before = latest.get(event.run)
            if event.resumed and before is not None and found[before].status != "finished":
                position[event.attempt] = before
                found[before] = replace(
                    found[before], status="running", reason="", process=event.process,
                    attempts=found[before].attempts + 1,
                )  # fmt: skip
            else:
                position[event.attempt] = latest[event.run] = len(found)
                found.append(_begun(folder, event))
        elif event.attempt in position:  # else its first line was lost
            at = position[event.attempt]
            found[at] = _continued(found[at], event)
    return found


def _begun(folder: Path, event: Begun) -> Entry:
    place, here = (folder / event.run).resolve(), Path.cwd()
    return Entry(
        name=place.name,
        folder=place.relative_to(here) if place.is_relative_to(here) else place,
        status="running",
        created=event.time,
        data=event.data,
        config=event.config,
        process=event.process,
    )


def _continued(entry: Entry, event: EpochDone | Finished | Failed) -> Entry:
    if isinstance(event, EpochDone):
        epoch = event.row.get("epoch") or 0
        earlier = [row for row in entry.history if (row.get("epoch") or 0) < epoch]
        return replace(entry, history=(*earlier, event.row))
    if isinstance(event, Finished):
        return replace(
            entry, status="finished", best_epoch=event.best_epoch, metrics=event.metrics,
            sha256=event.sha256,
        )  # fmt: skip
    if event.error in INTERRUPTS:
        return replace(entry, status="interrupted", reason="by the user")
    return replace(entry, status="failed", reason=event.message or event.error)


def _judged(entry: Entry) -> Entry:
    """A run of which no end is known: at work, or killed."""
    alive = entry.process.is_alive() if entry.process else None
    if alive:
        return entry
    if alive is None:
        host = entry.process.host if entry.process else "another machine"
        return replace(entry, status="unknown", reason=f"it began on {host}")
    return replace(entry, status="interrupted", reason="its process was killed")


def _run_folders(folder: Path, logged: Iterable[Path]) -> dict[str, Path]:
    """Run folders where the index says and in ``folder``, by the digest of their record."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    found: dict[str, Path] = {}
    for place in [*logged, *inside]:
        record = place / RUN_FILE
        if not place.name.startswith(".") and record.is_file():
            found.setdefault(sha256(record.read_bytes()), place)
    return found


def _unlogged(place: Path) -> Entry:
    """A run that its folder alone tells of: copied from elsewhere, or older than the index."""
    try:
        content = (place / RUN_FILE).read_bytes()
        run = from_json(Run, json.loads(content), "run")
        if run.schema_version != SCHEMA_VERSION:
            raise RecordError(f"it has schema version {run.schema_version}")
    except (OSError, ValueError, RecordError, UsageError) as error:
        return Entry(place.name, place, "unreadable", reason=f"{RUN_FILE} is not valid: {error}")
    return Entry(
        name=place.name, folder=place, status="finished", created=run.created, data=run.data.name,
        config=to_json(run.config), best_epoch=run.best_epoch, metrics=run.metrics,
        sha256=sha256(content),
    )  # fmt: skip
