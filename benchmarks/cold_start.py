"""How long a fresh process takes to its first answer, and how much memory it takes.

Everything counts that a user waits for: starting Python, imports, loading the bundle and checking
its digests, the self-test on the golden inputs, and the first image. The files are in the operating
system's cache, so after a reboot it takes longer by the time to read them from the disk. Modules
are compiled, as pip leaves them: one first start that is not counted sees to that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import BackendError

_PROGRAM = Path(__file__).with_name("first_answer.py")
_compiled: set[tuple[Path, str]] = set()
"""Programs and variants for which this process has had the modules compiled by a first start."""


@dataclass(frozen=True)
class ColdStart:
    """One start.

    Attributes:
        milliseconds: from starting the process until its first answer was read.
        peak_rss_mb: the most resident memory it had, in megabytes of 10^6 bytes.
        answer: the line that it printed.
    """

    milliseconds: float
    peak_rss_mb: float
    answer: str


def start(bundle: str | os.PathLike[str], variant: str, threads: int, image: str) -> ColdStart:
    """Start one process that classifies ``image``, and wait until it has ended.

    Raises:
        BackendError: the process ended without an answer.
    """
    return run(_PROGRAM, [os.fspath(bundle), variant, str(threads), image], variant)


def run(program: Path, arguments: Sequence[str], variant: str) -> ColdStart:
    """Start a program that prints an answer and then its peak memory, and wait until it has ended.

    Raises:
        BackendError: the process ended without an answer.
    """
    # -P: the program's folder is not searched for modules.
    command = [sys.executable, "-P", str(program), *arguments]
    if (program, variant) not in _compiled:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=_environment())
        _compiled.add((program, variant))
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        started = time.perf_counter()
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints,
            text=True, env=_environment(),
        ) as process:  # fmt: skip
            assert process.stdout is not None
            answer = process.stdout.readline()
            answered = time.perf_counter()
            memory = process.stdout.read()
        if process.returncode != 0 or not answer.strip():
            complaints.seek(0)
            last = (complaints.read().strip().splitlines() or ["no message"])[-1]
            raise BackendError(
                f"A fresh process with {variant} ended with status {process.returncode} instead of "
                f"an answer ({last}); leave this variant out."
            )
    return ColdStart((answered - started) * 1000, int(memory) / 1e6, answer.strip())


def _environment() -> dict[str, str]:
    """This process's, but for the wish to keep no compiled modules, which containers have."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
