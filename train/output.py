"""What is written at the end of long work: its place is tried at the beginning."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.errors import UsageError


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """Say in one sentence why ``out`` cannot be written.

    A full disk stays an OSError: the command line has a sentence of its own for it.

    Raises:
        UsageError: what the block writes cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UsageError(
            f"{out} cannot be written ({error.strerror}); name another --out."
        ) from None


def try_place(out: Path) -> None:
    """Make the folder that is to hold ``out``, and try to write into it.

    Raises:
        UsageError: that cannot be done.
    """
    with writing(out):
        place = Path(os.path.realpath(out))  # links are written through
        if place.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if not place.parent.exists():
            place.parent.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent):
            pass
