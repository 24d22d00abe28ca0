"""A benchmark of a bundle: which variants, which thread counts, and what is measured of them."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Sequence

from benchmarks.cold_start import ColdStart, start
from benchmarks.environment import load_note, observe
from benchmarks.images import ImageSet, generated, given
from benchmarks.latency import WARM_UP_RUNS, measure
from benchmarks.report import Images, Measured, Model, Report, Settings, Skipped
from edge_runtime._terminal import quiet_stderr
from edge_runtime.backends import usable_cores
from edge_runtime.bundle import Bundle
from edge_runtime.classifier import Classifier
from edge_runtime.errors import BackendError, UsageError
from train.progress import bar

FEWEST_RUNS = 10
"""With fewer runs, a 90th percentile is only the slowest run."""


def default_threads() -> tuple[int, ...]:
    """One thread, and all cores that this process may use."""
    return tuple(sorted({1, usable_cores()}))


def benchmark(
    folder: str | os.PathLike[str], *, images: Sequence[str] | None = None,
    variants: Sequence[str] | None = None, threads: Sequence[int] | None = None,
    runs: int = 100, cold_starts: int = 5,
) -> Report:  # fmt: skip
    """Measure a bundle on this machine.

    All chosen variants are loaded at the same time, to measure them in turns; where memory is
    short, name fewer.

    Args:
        folder: the bundle.
        images: files and folders to classify; None to have images generated. Of more images than
            ``runs``, as many are used, spread evenly.
        variants: names; None for all of the bundle, whatever their verdict.
        threads: numbers of threads; None for one, and for as many as there are usable cores.
        runs: classifications of each variant and thread count, `FEWEST_RUNS` or more.
        cold_starts: processes started for each of them.

    Raises:
        UsageError: a number is too small, or a folder holds no image.
        BundleError: the bundle is missing, damaged or altered, or lacks a variant.
        ImageError: an image cannot be used.
        BackendError: none of the variants can run here.
    """
    machine = observe()
    counts = default_threads() if threads is None else tuple(dict.fromkeys(threads))
    _check(counts, runs, cold_starts)
    bundle = Bundle.open(folder)
    names = [entry.name for entry in bundle.manifest.variants]
    if variants is not None:
        names = [bundle.manifest.variant(name).name for name in dict.fromkeys(variants)]
    classifiers, skipped = _open(bundle, names, counts)
    with generated() if images is None else contextlib.nullcontext(given(images)) as found:
        chosen = found.at_most(runs)
        described = _describe(chosen, classifiers[0])
        results = _measure(classifiers, bundle, chosen.files, runs, cold_starts)
    note = load_note(machine)
    return Report(
        bundle=os.fspath(folder),
        model=Model(bundle.manifest.name, bundle.manifest.version),
        images=described,
        settings=Settings(runs, WARM_UP_RUNS, cold_starts),
        results=tuple(results),
        skipped=tuple(skipped),
        environment=machine,
        notes=() if note is None else (note,),
    )


def _check(threads: Sequence[int], runs: int, cold_starts: int) -> None:
    if runs < FEWEST_RUNS:
        raise UsageError(
            f"runs is {runs}, expected {FEWEST_RUNS} or more; percentiles of fewer mean nothing."
        )
    if cold_starts < 1:
        raise UsageError(f"cold_starts is {cold_starts}, expected 1 or more.")
    if not threads or min(threads) < 1:
        raise UsageError(f"threads are {list(threads)}, expected at least one number of 1 or more.")


def _open(
    bundle: Bundle, names: Sequence[str], threads: Sequence[int]
) -> tuple[list[Classifier], list[Skipped]]:
    """A classifier for each variant and thread count, and the variants that cannot run here."""
    classifiers: list[Classifier] = []
    skipped: list[Skipped] = []
    for name in names:
        try:
            with quiet_stderr():
                classifiers += [Classifier.open(bundle, name, count) for count in threads]
        except BackendError as error:
            skipped.append(Skipped(name, str(error)))
    if not classifiers:
        raise BackendError(f"No variant can run here; {skipped[0].variant}: {skipped[0].reason}")
    return classifiers, skipped


def _describe(images: ImageSet, classifier: Classifier) -> Images:
    """What the images are; an unusable one is found here, before anything is measured."""
    sizes = [classifier.classify(file).quality for file in images.files]
    pixels = statistics.fmean(size.width * size.height for size in sizes)
    return Images(images.source, len(sizes), round(pixels / 1e6, 3))


def _measure(
    classifiers: list[Classifier], bundle: Bundle, files: Sequence[str], runs: int,
    cold_starts: int,
) -> list[Measured]:  # fmt: skip
    """First the latencies, then the cold starts; empties ``classifiers`` in between."""
    rows = [(one.variant.name, one.threads, one.backend_kind.name) for one in classifiers]
    with bar("latency", runs, "round") as progress:
        latencies = measure(classifiers, files, runs, progress)
    classifiers.clear()  # the processes to come have the memory to themselves
    starts = _cold_starts(bundle, [row[:2] for row in rows], files[0], cold_starts)
    return [
        Measured(
            *row,
            latency.stages,
            latency.images_per_second,
            cold_start_ms=round(statistics.median(one.milliseconds for one in own), 1),
            peak_rss_mb=round(statistics.median(one.peak_rss_mb for one in own), 1),
        )
        for row, latency, own in zip(rows, latencies, starts, strict=True)
    ]


def _cold_starts(
    bundle: Bundle, rows: Sequence[tuple[str, int]], image: str, repeats: int
) -> list[list[ColdStart]]:
    """Several starts of each row, in turns, as the machine may slow down meanwhile."""
    starts: list[list[ColdStart]] = [[] for _ in rows]
    with bar("cold starts", repeats * len(rows), "process") as progress:
        for repeat in range(repeats):
            for index, (variant, threads) in enumerate(rows):
                starts[index].append(start(bundle.folder, variant, threads, image))
                progress(repeat * len(rows) + index + 1)
    return starts
