"""`run_pieces`: one function over many independent pieces, wherever they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from edge_runtime.errors import DermedgeError, TrainingError, UsageError
from train import progress
from train.pieces.attempt import Answer, Piece, WorkerDied

TRIES = 3
"""How often a piece is begun, when its worker dies, before it is given up."""

P = TypeVar("P", bound=Piece)
A = TypeVar("A")


@dataclass(frozen=True)
class Pool:
    """Where pieces run.

    Attributes:
        workers: pieces at once; None for one here, and for what a cluster has cores for.
        threads: cores of a piece; None divides those of this machine, and gives two on a cluster.
        ray: address of a Ray cluster; None for this machine.
    """

    workers: int | None = None
    threads: int | None = None
    ray: str | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        for name in ("workers", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name} is {value}, expected 1 or more.")


@dataclass(frozen=True)
class Outcome(Generic[P, A]):
    """What came of a piece: an answer, or the error that ended it."""

    piece: P
    answer: A | None = None
    error: DermedgeError | None = None


class _Engine(Protocol):
    """What runs pieces: `LocalEngine` or `RayEngine`."""

    slots: int

    def start(self, function: Callable[[Any], Any], piece: Piece) -> Future[Answer]: ...

    def close(self) -> None: ...


def run_pieces(
    function: Callable[[P], A],
    pieces: Iterable[P],
    pool: Pool | None = None,
    *,
    on_done: Callable[[Outcome[P, A]], None] | None = None,
    until: float | None = None,
) -> list[Outcome[P, A]]:
    """Answer all pieces, several at once, in processes of their own.

    A piece whose worker dies is begun again, at most `TRIES` times. An error that a piece raises on
    purpose ends that piece only.

    Args:
        function: importable, and the same on every machine; its answer is small and picklable.
        pieces: taken one by one, when a worker is free, so that an iterator may make the next piece
            from the answers so far.
        pool: where.
        on_done: called here, in the order in which pieces end.
        until: no piece begins after this value of `time.monotonic`; those that run are waited for.

    Returns:
        the outcomes, in the order in which the pieces were taken.

    Raises:
        MissingExtraError, UsageError: the cluster cannot be used.
        Exception: what a piece raised that is not a `DermedgeError`; the others are then ended.
    """
    engine = _engine(pool or Pool())
    outcomes: dict[int, Outcome[P, A]] = {}
    running: dict[Future[Answer], tuple[int, P, int]] = {}  # the place in the order, and the try
    source = iter(pieces)
    taken = 0
    try:
        while True:
            while len(running) < engine.slots and (until is None or time.monotonic() < until):
                piece = next(source, None)
                if piece is None:
                    break
                running[engine.start(function, piece)] = (taken, piece, 1)
                taken += 1
            if not running:
                return [outcomes[place] for place in sorted(outcomes)]
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                place, piece, tries = running.pop(future)
                outcome = _outcome(future, piece, tries)
                if outcome is None:
                    running[engine.start(function, piece)] = (place, piece, tries + 1)
                    continue
                outcomes[place] = outcome
                if on_done is not None:
                    on_done(outcome)
    finally:
        engine.close()


def _engine(pool: Pool) -> _Engine:
    if pool.ray is None:
        from train.pieces.local import LocalEngine

        return LocalEngine(pool.workers or 1, pool.threads)
    from train.pieces.cluster import RayEngine

    return RayEngine(pool.ray, pool.workers, pool.threads)


def _outcome(future: Future[Answer], piece: P, tries: int) -> Outcome[P, Any] | None:
    """What came of a try; None when the piece is to be begun again."""
    try:
        answer = future.result()
    except WorkerDied as death:
        if tries < TRIES:
            progress.say(f"{piece.name}: its worker died ({death}); try {tries + 1} of {TRIES}")
            return None
        error = TrainingError(
            f"The worker of {piece.name} died {TRIES} times (the last: {death}); if memory ran "
            "out, use fewer --workers or a smaller --batch-size."
        )
        return Outcome(piece, error=error)
    if answer.bug is not None:
        answer.bug.add_note(f"in {piece.name}:\n{answer.trace}")
        raise answer.bug
    return Outcome(piece, answer.value, answer.error)
