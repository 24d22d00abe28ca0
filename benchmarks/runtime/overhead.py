"""Milliseconds from a file to its answer, of the runtime and of a bare loop, in turns."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WARM_UP_ROUNDS = 5
_ORDER_SEED = 0
_RESAMPLES = 2000

Way = Callable[[str], object]
"""Takes the path of an image, and answers."""


@dataclass(frozen=True)
class Beside:
    """One way of answering, beside the bare loop.

    Attributes:
        milliseconds: median of the rounds.
        ratio: median over the rounds of its milliseconds divided by the bare loop's in that round.
        low, high: 95% of the medians of rounds drawn with replacement.
    """

    milliseconds: float
    ratio: float
    low: float
    high: float


def compare(
    bare: Way, ways: Mapping[str, Way], files: Sequence[str], rounds: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[float, dict[str, Beside]]:  # fmt: skip
    """Time every way on the same image in every round, in an order that is drawn anew.

    A turn begins with a call that is not counted, on another image: it brings the way's own weights
    and code back into the processor's caches.

    Args:
        bare: what the others are compared with.
        ways: the others, by name.
        files: paths of images, used in turn.
        rounds: how many calls of each way are counted.
        progress: called with the number of rounds done.

    Returns:
        The bare loop's median in milliseconds, and every other way beside it.
    """
    everyone = [bare, *ways.values()]
    took = np.empty((len(everyone), rounds))
    shuffler = random.Random(_ORDER_SEED)
    for number in range(-WARM_UP_ROUNDS, rounds):
        before, file = files[(number - 1) % len(files)], files[number % len(files)]
        for index in shuffler.sample(range(len(everyone)), len(everyone)):
            everyone[index](before)
            started = time.perf_counter()
            everyone[index](file)
            if number >= 0:
                took[index, number] = time.perf_counter() - started
        if progress is not None and number >= 0:
            progress(number + 1)
    return round(float(np.median(took[0])) * 1000, 3), {
        name: _beside(took[0], own) for name, own in zip(ways, took[1:], strict=True)
    }


def _beside(bare: NDArray[np.float64], own: NDArray[np.float64]) -> Beside:
    ratios = own / bare
    drawn = np.random.default_rng(_ORDER_SEED).choice(ratios, (_RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return Beside(
        round(float(np.median(own)) * 1000, 3),
        *(round(float(value), 3) for value in (np.median(ratios), low, high)),
    )
