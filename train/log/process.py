"""Whether the process that began a run is still at it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of some machine.

    Attributes:
        host: name of the machine.
        pid: its number there.
        began: when, in the system's own count, which tells it from a later one of that number;
            empty where the system does not say.
    """

    host: str
    pid: int
    began: str

    @classmethod
    def this(cls) -> Process:
        """The one that asks."""
        return cls(socket.gethostname(), os.getpid(), _began(os.getpid()))

    def is_alive(self) -> bool | None:
        """Whether it still runs; None where this machine cannot tell."""
        if self.host != socket.gethostname():
            return None
        try:
            os.kill(self.pid, 0)  # asks, and sends nothing
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:  # another user's
            pass
        return _began(self.pid) == self.began


def _began(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # field 22 of proc(5); two went with the bracket
