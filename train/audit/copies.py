"""Which pictures are the same one: candidates by `polar`, confirmed by `alignment`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends import usable_cores
from train.audit import alignment, neighbours, polar, settings
from train.audit import layers as layers_of
from train.audit.layers import Layers
from train.audit.pictures import Pictures

Progress = Callable[[str, int, int], None]

_CHUNK, _PAIRS = 64, 768
_FIT_ON = 2000


@dataclass(frozen=True)
class Comparison:
    """Pairs that were laid over each other, whether or not they turned out to be copies.

    Attributes:
        first, second: indices of pictures, first < second, each pair once; shape (n,).
        correlation, detail: see `alignment.Likeness`, the better of both directions, shape (n,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    correlation: NDArray[np.float64]
    detail: NDArray[np.float64]


def compare(pictures: Pictures, chosen: NDArray[np.int64], progress: Progress) -> Comparison:
    """Compare the pictures ``chosen`` (indices of usable, distinct files) with each other.

    Args:
        pictures: what was read.
        chosen: indices, shape (n,).
        progress: called with (what, done, total).
    """
    if len(chosen) < 2:
        return _merge(chosen[:0], chosen[:0], [], chosen)
    sketches, aspects = pictures.sketches[chosen], pictures.aspects[chosen]
    descriptors = _describe(sketches, aspects, progress)
    found = neighbours.candidates(
        descriptors, lambda done, total: progress("looking for neighbours", done, total)
    )
    del descriptors
    copy, other, maps = _turned(found, sketches, aspects, progress)
    layers = _filter(pictures.grey[chosen], aspects, progress)

    def confirm(part: list[int]) -> alignment.Likeness:
        rows = np.array(part)
        answer = alignment.align(layers, copy[rows], other[rows], maps[rows])
        return replace(answer, rows=rows[answer.rows])

    order = np.argsort(copy, kind="stable").tolist()
    answers = _parallel(confirm, _chunks(order, _PAIRS), "confirming", len(order), progress)
    return _merge(copy, other, answers, chosen)


def _turned(
    found: neighbours.Candidates,
    sketches: NDArray[np.uint8],
    aspects: NDArray[np.float64],
    progress: Progress,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Candidates that look alike when turned: copy, other, and the map to start from (n, 2, 3)."""
    centres = _centres(sketches, aspects)
    by_other: dict[int, list[int]] = defaultdict(list)
    for row, index in enumerate(found.other.tolist()):
        by_other[index].append(row)

    def turn(part: list[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows = np.array([row for index in part for row in by_other[index]])
        series = polar.spectra(sketches[part], float(aspects[part[0]]))
        where = np.repeat(np.arange(len(part)), [len(by_other[index]) for index in part])
        values, maps = [], []
        for places in found.places[rows].T:
            value, angle, reflected = polar.best_turn(
                centres[found.copy[rows]], series[where, places]
            )
            values.append(value)
            maps.append(polar.placed(places, aspects[found.other[rows]], angle, reflected))
        best = np.argmax(values, 0)
        index = np.arange(len(rows))
        kept = np.array(values)[best, index] >= settings.COARSE_MINIMUM
        return rows[kept], np.array(maps)[best, index][kept]

    groups = _by_aspect(np.array(sorted(by_other), np.int64), aspects)
    parts = [part for group in groups for part in _chunks(group, _CHUNK)]
    turned = _parallel(turn, parts, "turning", len(by_other), progress)
    if not turned:
        none = np.empty(0, np.int64)
        return none, none, np.empty((0, 2, 3), np.float32)
    rows = np.concatenate([part for part, _ in turned])
    return found.copy[rows], found.other[rows], np.concatenate([maps for _, maps in turned])


def _describe(
    sketches: NDArray[np.uint8], aspects: NDArray[np.float64], progress: Progress
) -> NDArray[np.float16]:
    """Descriptors of all places of all sketches, (places, n, components)."""
    count = len(sketches)
    sample = np.linspace(0, count - 1, min(count, _FIT_ON)).astype(np.int64)
    centres = _centres(sketches[sample], aspects[sample])
    whitening = neighbours.fit_whitening(polar.magnitudes(centres[:, None])[:, 0])
    components = whitening.projection.shape[1]
    result = np.empty((len(polar.PLACES), count, components), np.float16)

    def describe(part: list[int]) -> None:
        series = polar.spectra(sketches[part], float(aspects[part[0]]))
        result[:, part] = whitening.apply(polar.magnitudes(series)).transpose(1, 0, 2)

    groups = _by_aspect(np.arange(count), aspects)
    parts = [part for group in groups for part in _chunks(group, _CHUNK)]
    _parallel(describe, parts, "describing", count, progress)
    return result


def _centres(sketches: NDArray[np.uint8], aspects: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Spectra of the centre discs, (n, rings, frequencies, channels)."""
    shape = (len(sketches), settings.RINGS, settings.FREQUENCIES, polar.CHANNELS)
    result = np.zeros(shape, np.complex64)
    for group in _by_aspect(np.arange(len(sketches)), aspects):
        for part in _chunks(group, _CHUNK):
            result[part] = polar.spectra(sketches[part], float(aspects[part[0]]), places=1)[:, 0]
    return result


def _filter(grey: NDArray[np.uint8], aspects: NDArray[np.float64], progress: Progress) -> Layers:
    made = layers_of.empty(aspects)

    def fill(part: list[int]) -> None:
        layers_of.fill(made, grey, slice(part[0], part[-1] + 1))

    parts = _chunks(list(range(len(grey))), _CHUNK)
    _parallel(fill, parts, "filtering", len(grey), progress)
    return made


def _merge(
    copy: NDArray[np.int64],
    other: NDArray[np.int64],
    answers: list[alignment.Likeness],
    chosen: NDArray[np.int64],
) -> Comparison:
    """Each pair once, with the better of its two directions."""
    best: dict[tuple[int, int], tuple[float, float]] = {}
    for answer in answers:
        for row, correlation, detail in zip(
            answer.rows.tolist(), answer.correlation, answer.detail, strict=True
        ):
            ends = (int(copy[row]), int(other[row]))
            pair = (min(ends), max(ends))
            figures = (float(correlation), float(detail))
            best[pair] = max(best.get(pair, (-1.0, -1.0)), figures, key=lambda f: f[1])
    pairs = sorted(best)
    ends_of = chosen[np.array(pairs, np.int64).reshape(-1, 2)]
    figures_of = np.array([best[pair] for pair in pairs], np.float64).reshape(-1, 2)
    return Comparison(ends_of[:, 0], ends_of[:, 1], figures_of[:, 0], figures_of[:, 1])


def _chunks(items: list[int], length: int) -> list[list[int]]:
    return [items[start : start + length] for start in range(0, len(items), length)]


def _by_aspect(indices: NDArray[np.int64], aspects: NDArray[np.float64]) -> list[list[int]]:
    """Indices grouped by what `polar.sampler` treats as one aspect."""
    groups: dict[float, list[int]] = defaultdict(list)
    for index in indices:
        groups[round(float(aspects[index]), 2)].append(int(index))
    return list(groups.values())


Answer = TypeVar("Answer")


def _parallel(
    work: Callable[[list[int]], Answer], parts: list[list[int]], what: str, total: int,
    progress: Progress,
) -> list[Answer]:  # fmt: skip
    """Run ``work`` over parts on all cores; NumPy releases the interpreter's lock."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    results, done = [], 0
    # One thread of algebra in each of ours, or they wait for one another.
    with threadpool_limits(1), ThreadPoolExecutor(usable_cores()) as pool:
        for part, result in zip(parts, pool.map(work, parts), strict=True):
            results.append(result)
            done += len(part)
            progress(what, done, total)
    return results
