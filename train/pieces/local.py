"""Pieces in processes of this machine, each in a fresh one.

A fresh process a piece costs the seconds in which TensorFlow starts, and buys that the piece whose
process died is known, and that memory is given back between trials. Processes are started with
"spawn": TensorFlow does not survive a fork.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from edge_runtime.backends import usable_cores
from train.pieces.attempt import Answer, Piece, WorkerDied, attempt

_CONTEXT = multiprocessing.get_context("spawn")


class LocalEngine:
    """Starts a process for every piece and waits for it in a thread.

    Args:
        workers: pieces at once.
        threads: of the numeric libraries, for each piece; None divides the cores by the workers.
    """

    def __init__(self, workers: int, threads: int | None = None) -> None:
        self.slots = workers
        self._threads = threads or max(1, usable_cores() // workers)
        self._waiting = ThreadPoolExecutor(workers, thread_name_prefix="piece")
        self._processes: set[Any] = set()
        self._closed = False

    def start(self, function: Callable[[Any], Any], piece: Piece) -> Future[Answer]:
        """Begin a piece; the future raises `WorkerDied` when its process ends without an answer."""
        return self._waiting.submit(self._attend, function, piece)

    def close(self) -> None:
        """End what still runs."""
        self._closed = True
        for process in list(self._processes):
            process.terminate()
        self._waiting.shutdown(cancel_futures=True)

    def _attend(self, function: Callable[[Any], Any], piece: Piece) -> Answer:
        receiver, sender = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(
            target=_work, args=(sender, function, piece, self._threads, self.slots > 1)
        )
        process.start()
        self._processes.add(process)
        if self._closed:  # while it was being started
            process.terminate()
        sender.close()  # the process has its own end; with ours open, its death would go unseen
        try:
            answer: Answer = receiver.recv()
        except EOFError:
            process.join()
            raise WorkerDied(_ending(process.exitcode)) from None
        else:
            process.join()
            return answer
        finally:
            receiver.close()
            self._processes.discard(process)


def _work(
    sender: Connection, function: Callable[[Any], Any], piece: Piece, threads: int, beside: bool
) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this one
    threading.Thread(target=end_with_parent, daemon=True).start()
    if beside:
        sys.stderr = _Named(sys.stderr, piece.name)
    answer = attempt(function, piece, threads)
    try:
        sender.send(answer)
    except Exception as error:  # an answer, or what a library raised, that cannot be pickled
        sender.send(Answer(bug=RuntimeError(repr(error)), trace=answer.trace))


def end_with_parent() -> None:
    """Leave when the parent is gone: nobody waits for the answer, and a new call may redo it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            memory = ", perhaps for want of memory" if name == "SIGKILL" else ""
            return f"ended by {name}{memory}"
    return f"exit status {code}"


class _Named(io.TextIOBase):
    """A stream that puts the piece's name before every line; no terminal, so no bars are drawn."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream, self._name, self._begun = stream, name, ""

    def write(self, text: str) -> int:
        """Pass whole lines on, each in one call, so that those of two workers do not mix."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._stream.write(f"{self._name}: {line}\n")
        return len(text)

    def flush(self) -> None:
        """Flush the stream behind."""
        self._stream.flush()
