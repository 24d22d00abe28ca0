"""What tries came to, kept beside the page: their runs are large and stay where they were made.

A row goes when its recipe, or one whose run it needs, is no longer the one that was tried.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from edge_runtime._files import write_text
from train.reference.recipes import Found, Try, with_needed


def recorded(path: Path, listed: Mapping[str, Try]) -> dict[str, Found]:
    """What came of the recipes of ``listed`` that were tried as they stand there."""
    if not path.is_file():
        return {}
    kept = json.loads(path.read_text("utf-8"))
    return {
        name: Found(**entry["found"])
        for name, entry in kept.items()
        if name in listed and entry["recipe"] == _recipe(name, listed)
    }


def record(path: Path, listed: Mapping[str, Try], found: Mapping[str, Found]) -> None:
    """Write what came of recipes of ``listed``, for `recorded`."""
    entries = {
        name: {"recipe": _recipe(name, listed), "found": asdict(one)} for name, one in found.items()
    }
    write_text(path, json.dumps(entries, indent=1) + "\n")


def _recipe(name: str, listed: Mapping[str, Try]) -> list[str]:
    return [shlex.join((one.name, one.data, *one.flags)) for one in with_needed(name, listed)]
