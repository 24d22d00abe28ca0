"""Pieces on a Ray cluster: the same functions, each piece in a fresh process of some node.

Ray's own repetition of tasks is off and `train.pieces.pool` repeats instead: Ray would repeat a
task that ran out of memory without end, and would not say that it repeats. Its usage statistics are
off too.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from edge_runtime.errors import MissingExtraError, UsageError
from train.pieces.attempt import Answer, Piece, WorkerDied, attempt

THREADS = 2
"""Cores of a piece, unless the caller says otherwise."""

KNOCK_SECONDS = 10.0
"""How long the head of a cluster may take to accept a connection."""


class RayEngine:
    """Hands pieces to the nodes of a running cluster.

    Args:
        address: of the cluster's head, for example ``127.0.0.1:6379``, or ``auto`` for the cluster
            that this machine belongs to. This machine has to be one of its nodes.
        workers: pieces at once; None for as many as the cluster has cores for.
        threads: cores of a piece.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: no cluster answers there, or none of its nodes has so many cores.
    """

    def __init__(self, address: str, workers: int | None, threads: int | None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ModuleNotFoundError:
            raise MissingExtraError(
                "--ray needs the package ray, which is not installed; run "
                '`pip install ./edge_runtime ".[train,scale]"` in the checkout.'
            ) from None
        self._ray, self._threads = ray, threads or THREADS
        try:
            _knock(address)
            ray.init(address=address, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UsageError(
                f"No Ray cluster can be joined at {address} ({reason.rstrip('.')}); start one with "
                "`ray start --head` and call from one of its nodes."
            ) from None
        room = [
            int(node["Resources"].get("CPU", 0)) // self._threads
            for node in ray.nodes()
            if node["Alive"]
        ]
        if not any(room):
            ray.shutdown()
            raise UsageError(
                f"No node of the Ray cluster at {address} has the {self._threads} cores that a "
                "piece asks for; lower --threads."
            )
        self.slots = workers or sum(room)
        self._running: set[Any] = set()
        self._task = ray.remote(
            num_cpus=self._threads, max_calls=1, max_retries=0, scheduling_strategy="SPREAD"
        )(attempt)

    def start(self, function: Callable[[Any], Any], piece: Piece) -> Future[Answer]:
        """Begin a piece; the future raises `WorkerDied` when its process or its node is gone."""
        task = self._task.options(name=piece.name).remote(function, piece, self._threads)
        self._running.add(task)
        answer: Future[Answer] = Future()

        def finish(done: Future[Answer]) -> None:
            self._running.discard(task)
            error = done.exception()
            if error is None:
                answer.set_result(done.result())
            else:
                answer.set_exception(self._death(error) or error)

        task.future().add_done_callback(finish)
        return answer

    def close(self) -> None:
        """End what still runs, and leave the cluster as it was."""
        for task in list(self._running):
            self._ray.cancel(task, force=True)
        self._ray.shutdown()

    def _death(self, error: BaseException) -> WorkerDied | None:
        """What Ray's error says of a worker that is gone; None for any other error."""
        errors = self._ray.exceptions
        for kind, words in (
            (errors.OutOfMemoryError, "its node ran out of memory"),
            (errors.NodeDiedError, "its node is gone"),
            (errors.LocalRayletDiedError, "its node is gone"),
            (errors.ObjectLostError, "its answer was lost with its node"),
            (errors.WorkerCrashedError, "its process ended"),
        ):
            if isinstance(error, kind):
                return WorkerDied(words)
        return None


def _knock(address: str) -> None:
    """See that somebody listens at ``HOST:PORT``, since Ray waits minutes where nobody does."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
