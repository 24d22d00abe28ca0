"""The folder that holds a user's data sets, so that a name alone is enough."""

from __future__ import annotations

import os
from pathlib import Path

DATA_VARIABLE = "DERMEDGE_DATA"


def shelf() -> Path | None:
    """The folder that DERMEDGE_DATA names, or None."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else None


def find(named: str) -> Path:
    """The path that a user named, or the folder or file of that name on the shelf."""
    path, folder = Path(named), shelf()
    if folder and not os.path.exists(path) and os.path.exists(folder / path):
        return folder / path
    return path
