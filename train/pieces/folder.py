"""A folder that is worked in by one call at a time, and only for what it was begun for."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_runtime._files import write_text
from edge_runtime.errors import RunError, UsageError
from train.data.table import Dataset
from train.output import writing

PLAN_FILE = "plan.json"
_LOCK_FILE = ".lock"


@contextmanager
def working_in(out: Path, plan: Mapping[str, Any]) -> Iterator[None]:
    """Make ``out``, or go on in it, for what ``plan`` says.

    Args:
        out: new, empty, or begun with the same plan.
        plan: what must not change between two calls, as it goes into JSON; nested mappings are
            compared key by key.

    Raises:
        UsageError: another call works there, or ``out`` is some other folder.
        RunError: it was begun with another plan; says what differs.
    """
    if out.is_file() or (out.is_dir() and not (out / PLAN_FILE).exists() and any(_others(out))):
        raise UsageError(f"{out} exists and was not begun by this verb; name another --out.")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with (out / _LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed when the process ends, however
        except OSError:
            raise UsageError(f"Another call is at work in {out}; wait until it is done.") from None
        _hold_to(out, json.loads(json.dumps(plan)))
        yield


def digest_data(data: Dataset, digests: Sequence[str]) -> str:
    """One hash of all that a data set brings into training.

    Args:
        data: the images.
        digests: SHA-256 of their files, in order.
    """
    facts = [
        (record.image_id, record.label, record.lesion_id or "", record.split or "", digest)
        for record, digest in zip(data.records, digests, strict=True)
    ]
    asked = [data.melanoma, [label.code for label in data.labels if label.malignant]]
    return hashlib.sha256(json.dumps([asked, facts]).encode()).hexdigest()


def _others(out: Path) -> Iterator[Path]:
    return (entry for entry in out.iterdir() if entry.name != _LOCK_FILE)


def _hold_to(out: Path, plan: dict[str, Any]) -> None:
    file = out / PLAN_FILE
    if not file.exists():
        write_text(file, json.dumps(plan, indent=1) + "\n")
        return
    try:
        begun = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"{file} cannot be read ({error}); name another --out.") from None
    if difference := _difference(begun, plan):
        raise RunError(
            f"{out} was begun with {difference}; give what it was begun with, or name another "
            "--out."
        )


def _difference(begun: Any, now: Any, where: str = "") -> str:
    """The first thing that is not the same, in words; empty where all is."""
    if isinstance(begun, dict) and isinstance(now, dict):
        for key in [*begun, *(key for key in now if key not in begun)]:
            if found := _difference(begun.get(key), now.get(key), f"{where}.{key}".strip(".")):
                return found
        return ""
    if begun == now:
        return ""
    if where.rpartition(".")[2] == "data":
        return (
            "other images, labels or lesions than there are now, or classes that mean other things"
        )
    return f"{where.removeprefix('config.')} = {json.dumps(begun)}, and not {json.dumps(now)}"
