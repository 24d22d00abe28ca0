"""Where figures are written: tried before minutes of measuring, not after them."""

from __future__ import annotations

import os
from pathlib import Path

from edge_runtime._files import write_text
from edge_runtime.errors import UsageError


def refuse_unwritable(path: Path, flag: str) -> None:
    """Refuse a file that cannot be written.

    Args:
        path: of the file.
        flag: by which it was named.

    Raises:
        UsageError: it is a folder, or lies in one that is not there or may not be written.
    """
    if path.is_dir():
        raise UsageError(f"{flag} {path} is a folder; name a file.")
    place = Path(os.path.realpath(path))  # links are written through
    if place.exists() and not place.is_file():  # a terminal, a pipe, /dev/null
        writable = os.access(place, os.W_OK)
    else:
        writable = os.access(place.parent, os.W_OK | os.X_OK)
    if not writable:
        raise UsageError(f"{flag} {path} cannot be written; name a file in a folder that can be.")


def write(path: Path, flag: str, text: str) -> None:
    """Write a file that was named by a flag.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        write_text(path, text)
    except OSError as error:
        raise UsageError(
            f"{flag} {path} cannot be written ({error.strerror}); name another file."
        ) from None
