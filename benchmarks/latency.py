"""Milliseconds of every stage, from an image file to its answer, of several classifiers at once.

The stages are timed by the classifier itself (`edge_runtime.result.Timing`), in the calls that a
device makes: a file is read, decoded, preprocessed and inferred, one image after another. The files
have been read before, so that ``read`` is a copy from the operating system's file cache.

Classifiers take turns, run by run, so that a machine that slows down slows all of them alike. Each
turn begins with a run that is not counted: it brings the classifier's weights back into the
processor's caches, where they would be on a device that runs nothing else, and gives the threads of
the one before time to stop spinning (without it, int8 models of half a megabyte seemed 10 to 20%
slower). The order of turns is drawn anew for each round, so that none always follows the same
neighbour.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.result import Timing

WARM_UP_RUNS = 10
"""Runs of each classifier before the first round."""

_ORDER_SEED = 0


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds that 50%, 90% and 99% of the runs did not exceed (linear interpolation)."""

    p50: float
    p90: float
    p99: float


@dataclass(frozen=True)
class Stages:
    """Percentiles of each stage; each stage's are its own, so the columns do not add up."""

    read: Percentiles
    decode: Percentiles
    preprocess: Percentiles
    checks: Percentiles
    inference: Percentiles
    total: Percentiles


@dataclass(frozen=True)
class Latency:
    """What was measured of one classifier.

    Attributes:
        stages: milliseconds.
        images_per_second: images one after another, as the reciprocal of the mean total.
    """

    stages: Stages
    images_per_second: float


def measure(
    classifiers: Sequence[Classifier], files: Sequence[str], runs: int,
    progress: Callable[[int], None] | None = None,
) -> list[Latency]:  # fmt: skip
    """Time ``runs`` runs of each classifier; in a round, all classify the same image.

    Args:
        classifiers: loaded and self-tested.
        files: image files, used in turn.
        runs: counted runs of each classifier.
        progress: called with the number of rounds done.

    Returns:
        one `Latency` for each classifier, in their order.

    Raises:
        ImageError: an image cannot be used.
    """
    for classifier in classifiers:
        for file in itertools.islice(itertools.cycle(files), WARM_UP_RUNS):
            classifier.classify(file)
    timings: list[list[Timing]] = [[] for _ in classifiers]
    shuffler = random.Random(_ORDER_SEED)
    for done in range(runs):
        before, file = files[(done - 1) % len(files)], files[done % len(files)]
        for index in shuffler.sample(range(len(classifiers)), len(classifiers)):
            classifiers[index].classify(before)
            timings[index].append(classifiers[index].classify(file).timing_ms)
        if progress is not None:
            progress(done + 1)
    return [_latency(own) for own in timings]


def _latency(timings: Sequence[Timing]) -> Latency:
    def percentiles(stage: str) -> Percentiles:
        values = [getattr(timing, stage) for timing in timings]
        return Percentiles(*(round(float(p), 3) for p in np.percentile(values, (50, 90, 99))))

    total = float(np.mean([timing.total for timing in timings]))
    stages = {stage: percentiles(stage) for stage in Stages.__annotations__}
    return Latency(Stages(**stages), round(1000 / total, 2))
