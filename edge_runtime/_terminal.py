"""What reaches the user's terminal: no noise of native libraries, no control characters."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

_STDERR = 2
VERBOSE_VARIABLE = "DERMEDGE_VERBOSE"


def visible(text: str) -> str:
    r"""``text`` with every character that a terminal would obey written as its escape, like \x1b.

    Names of files hold what their makers chose, colours and cursor movements included. Bytes that
    are no text (lone surrogates, PEP 383) stay, as the streams know how to write those.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or "\ud800" <= character <= "\udfff"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def visible_lines(text: str) -> str:
    """`visible` for text of several lines."""
    return "\n".join(map(visible, text.split("\n")))


def open_streams() -> None:
    """Standard streams that the caller has closed lead to nowhere, instead of failing later.

    Their descriptors are taken as well, or the next file that is opened would get one of them, and
    what native libraries write to standard error with it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()


def discard_output() -> None:
    """Send what is still to be written to nowhere, so that leaving does not fail on it again."""
    sys.stdout = _nowhere()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send the process's standard error to nowhere within the block.

    Interpreters and converters log through C++ to file descriptor 2, which Python's own redirection
    does not reach. Errors are not lost: they come as exceptions. For commands only, as it affects
    all threads; set DERMEDGE_VERBOSE to see everything.
    """
    if os.environ.get(VERBOSE_VARIABLE):
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(_STDERR)
    except OSError:  # it is closed, and what is written to it reaches nobody
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(kept, _STDERR)
        os.close(kept)
        os.close(nowhere)


def _nowhere() -> TextIO:
    return open(
        os.devnull, "w", encoding="utf-8", errors="backslashreplace"
    )  # for as long as the process lives
