"""What must hold for every input, whatever it is: no output, no warning of ours, bounded cost."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator

SECONDS = 5.0
"""One input may take this much processor time; how busy the machine is does not matter then."""

MEGABYTES = 256
"""One input may raise the most memory that the process ever had by no more than this."""

_REMARKS = ("/PIL/", "\\PIL\\")
"""Pillow warns of odd files, which its callers may want to know; the command keeps it quiet."""


class Violation(Exception):
    """Something that must hold for every input does not hold for this one."""


@contextlib.contextmanager
def watched(*, native_remarks: bool = False) -> Iterator[None]:
    """Raise `Violation` where the block warns, prints, dawdles or takes too much memory.

    ``native_remarks`` lets native code write to standard error; see `tests.fuzz.decoding`.
    """
    started, before = time.process_time(), peak_megabytes()
    with _no_output(native_remarks=native_remarks), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    seconds = time.process_time() - started
    ours = [warning for warning in caught if not any(p in warning.filename for p in _REMARKS)]
    if ours:
        raise Violation(f"a warning: {ours[0].message} ({ours[0].filename}:{ours[0].lineno})")
    if seconds > SECONDS:
        raise Violation(f"{seconds:.1f} s, at most {SECONDS:g} are allowed")
    taken = peak_megabytes() - before
    if taken > MEGABYTES:
        raise Violation(f"{taken:.0f} MB more at its peak, at most {MEGABYTES} are allowed")


def peak_megabytes() -> float:
    """The most memory that this process ever had in use (its resident set)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # bytes there, kilobytes elsewhere


def one_sentence(error: Exception) -> None:
    """Raise `Violation` where a message is not one line that ends like a sentence."""
    message = str(error)
    try:
        message.encode()
    except UnicodeEncodeError:
        raise Violation(f"a message that cannot be printed: {message!a}") from None
    if not message.replace(" ", "x").isprintable() or not message.endswith("."):
        raise Violation(f"a message that is not one printable sentence: {message!r}")
    if len(message) > 1000:
        raise Violation(f"a message of {len(message)} characters: {message[:200]!r}...")


@functools.cache
def _sinks() -> dict[int, int]:
    """A nameless file for each of standard output (1) and standard error (2)."""
    sinks = {}
    for number in (1, 2):
        sinks[number], name = tempfile.mkstemp(prefix="dermedge-fuzz-")
        os.unlink(name)
    return sinks


@contextlib.contextmanager
def _no_output(*, native_remarks: bool) -> Iterator[None]:
    """Raise `Violation` where anything, native code too, writes to standard output or error."""
    sinks = _sinks()
    kept = {number: os.dup(number) for number in sinks}
    try:
        for number, sink in sinks.items():
            os.dup2(sink, number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
        said = {number: _taken(sink) for number, sink in sinks.items()}
    for number, text in said.items():
        if text and not (number == 2 and native_remarks):
            raise Violation(f"output: {text!r}")


def _taken(sink: int) -> bytes:
    """What was written to a sink, which is then empty."""
    if not os.lseek(sink, 0, os.SEEK_END):
        return b""
    os.lseek(sink, 0, os.SEEK_SET)
    said = os.read(sink, 300)
    os.ftruncate(sink, 0)
    os.lseek(sink, 0, os.SEEK_SET)
    return said
