"""What a worker process does with a piece, on this machine or on a cluster alike."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from edge_runtime.errors import DermedgeError

_THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


class Piece(Protocol):
    """A frozen, picklable dataclass; its name says which piece it is, for people."""

    @property
    def name(self) -> str:
        """For example "fold 2"."""
        ...


class WorkerDied(Exception):
    """The process that worked at a piece is gone; the message says how it ended."""


@dataclass(frozen=True)
class Answer:
    """What came of one attempt: a value, an error meant for users, or a mistake in the code.

    Attributes:
        value: what the function returned, if it did.
        error: what it raised on purpose.
        bug: what else it raised, and ``trace``, the text of where.
    """

    value: Any = None
    error: DermedgeError | None = None
    bug: Exception | None = None
    trace: str = ""


def attempt(function: Callable[[Any], Any], piece: Piece, threads: int) -> Answer:
    """Answer ``piece``; errors are returned, so that they cross processes without loss.

    Args:
        function: what answers a piece.
        piece: the argument.
        threads: how many the numeric libraries may use; has to be set before TensorFlow starts.
    """
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(threads)
    try:
        return Answer(function(piece))
    except DermedgeError as error:
        return Answer(error=error)
    except Exception as error:
        return Answer(bug=error, trace=traceback.format_exc())
