"""Pieces for the tests: small functions that do, in a worker process, what the piece says."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import DataError


@dataclass(frozen=True)
class Errand:
    """What to do, and a folder in which every begin leaves a file."""

    number: int
    folder: Path
    deed: str = "answer"

    @property
    def name(self) -> str:
        return f"errand {self.number}"


@dataclass(frozen=True)
class Report:
    """What an errand found."""

    number: int
    process: int
    threads: str


def begins(folder: Path, number: int) -> int:
    """How often an errand was begun."""
    return len(list(folder.glob(f"begin-{number}-*")))


def node() -> str:
    """The cluster's node that this is, where it is one."""
    ray = sys.modules.get("ray")
    return ray.get_runtime_context().get_node_id() if ray and ray.is_initialized() else "none"


def run_errand(errand: Errand) -> Report:
    (errand.folder / f"begin-{errand.number}-{os.getpid()}").touch()
    first = begins(errand.folder, errand.number) == 1
    match errand.deed:
        case "refuse":
            raise DataError(f"errand {errand.number} cannot be done.")
        case "full disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        case "mistake":
            raise ZeroDivisionError("a mistake in the code")
        case "die once" if first:
            os.kill(os.getpid(), signal.SIGKILL)
        case "die always":
            os._exit(7)
        case "hold" if first:  # until it is killed from outside
            (errand.folder / f"held-{errand.number}").write_text(f"{os.getpid()} {node()}")
            time.sleep(120)
        case "wait":
            time.sleep(0.5)
        case "speak":
            print("one line", file=sys.stderr)
    return Report(errand.number, os.getpid(), os.environ["TF_NUM_INTRAOP_THREADS"])
