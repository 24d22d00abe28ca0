"""Keep what native libraries write to standard error away from the user."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

VERBOSE_VARIABLE = "DERMEDGE_VERBOSE"


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send the process's standard error to nowhere within the block.

    Interpreters and converters log through C++ to file descriptor 2, which Python's own redirection
    does not reach. Errors are not lost: they come as exceptions. For commands only, as it affects
    all threads; set DERMEDGE_VERBOSE to see everything.
    """
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        descriptor = 2
    if os.environ.get(VERBOSE_VARIABLE):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(descriptor)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(nowhere)
