"""What the comparison found, kept between the tests that find it and the page that shows it."""

from __future__ import annotations

import json
from typing import Any

from edge_runtime._files import write_text
from tests.arm.machines import CACHE

FILE = CACHE / "measured.json"


def read() -> dict[str, Any]:
    """By table, the rows that were measured; empty where nothing was."""
    if not FILE.is_file():
        return {}
    found: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return found


def keep(table: str, row: str, values: Any) -> None:
    """Write down one row of a table, over what stood there."""
    found = read()
    found.setdefault(table, {})[row] = values
    write_text(FILE, json.dumps(found, indent=1) + "\n")
