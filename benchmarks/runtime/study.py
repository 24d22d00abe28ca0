"""What is measured of the runtime, and with which images."""

from __future__ import annotations

import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import cold_start
from benchmarks.environment import Environment, load_note, observe
from benchmarks.images import GENERATED_SIZE
from benchmarks.runtime import memory
from benchmarks.runtime.overhead import Beside, compare
from edge_runtime._terminal import quiet_stderr
from edge_runtime.backends import usable_cores
from edge_runtime.bundle import Bundle
from edge_runtime.classifier import Classifier
from edge_runtime.errors import BackendError, UsageError
from train.progress import bar

SIZES = {"600 pixels": GENERATED_SIZE, "12 megapixels": (4000, 3000)}
"""Width and height: an image of HAM10000, and a photograph of a telephone."""

WAYS = {"runtime, no checks": False, "runtime": True}
"""Whether photographs are checked, by the name of the way."""

IMAGES = 4
NOISE = 3.0
"""Standard deviation of a sensor's noise, in grey levels."""
FOLDER = 200
"""Images of a folder, the smaller ones again and again."""
BARE, STAGES = Path(__file__).with_name("bare.py"), Path(__file__).with_name("stages.py")
WATCHED = Path(memory.__file__)


@dataclass(frozen=True)
class Effort:
    """How often everything is repeated: rounds, processes, folders, and classifications watched."""

    rounds: int = 200
    starts: int = 15
    folders: int = 7
    watched: int = 20_000

    def __post_init__(self) -> None:
        """Refuse numbers that measure nothing.

        Raises:
            UsageError: one is too small.
        """
        fewest = {"rounds": 1, "starts": 1, "folders": 1, "watched": memory.SAMPLES}
        for name, least in fewest.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}, expected {least} or more.")


@dataclass(frozen=True)
class Overhead:
    """Of images of one size: the bare loop's milliseconds, and the runtime's ways beside it."""

    bare_ms: float
    ways: Mapping[str, Beside]


@dataclass(frozen=True)
class Report:
    """Everything that was measured.

    Attributes:
        model, variant, input_size, threads: what was run.
        overhead: by size of the images.
        bare_start_ms, start_ms: from starting a process to its first answer, medians.
        start_ratio: the second over the first, median over the pairs.
        stages_ms: where the runtime's start goes, by stage, medians of further starts.
        folder_rate: images a second of a folder, on one core and on all, medians.
        folder_gain: the second over the first, median over the pairs.
        bare_peak_mb, peak_mb: largest resident memory of a process that answers one image of 12
            megapixels, 10^6 bytes.
        memory_mb: resident memory after every twentieth of the watched classifications.
        handed_out_mb: what the C library had handed out by then; 0 where nobody counts it.
        watched: how many these were.
        notes: doubts about the figures, in words.
    """

    model: str
    variant: str
    input_size: int
    threads: int
    overhead: Mapping[str, Overhead]
    bare_start_ms: float
    start_ms: float
    start_ratio: float
    stages_ms: Mapping[str, float]
    folder_rate: tuple[float, float]
    folder_gain: float
    bare_peak_mb: float
    peak_mb: float
    memory_mb: tuple[float, ...]
    handed_out_mb: tuple[float, ...]
    watched: int
    environment: Environment
    notes: tuple[str, ...]


def measure(folder: str, variant: str, effort: Effort) -> Report:
    """Measure a TFLite variant of a bundle beside a bare loop around the same interpreter.

    Raises:
        BundleError: the bundle is missing, damaged or altered, or lacks the variant.
        BackendError: the variant cannot run here, or a process ended without an answer.
    """
    machine = observe()
    bundle = Bundle.open(folder)
    entry = bundle.manifest.variant(variant)
    if entry.format != "tflite":
        raise BackendError(f"{variant} is no TFLite file; the bare loop calls LiteRT only.")
    with drawn() as images:
        overhead = {
            name: _overhead(bundle, variant, files, effort.rounds) for name, files in images.items()
        }
        small, large = (files for files in images.values())
        starts = _starts(bundle, variant, small[0], effort.starts)
        stages = _stages(bundle, variant, small[0], effort.starts)
        peaks = _starts(bundle, variant, large[0], 3)
        rates = _folder(bundle, variant, small, effort.folders)
        grown = _watch(folder, variant, small, effort.watched)
    note = load_note(machine)
    return Report(
        model=f"{bundle.manifest.name} {bundle.manifest.version}", variant=variant,
        input_size=bundle.manifest.input.size, threads=usable_cores(), overhead=overhead,
        bare_start_ms=_median(bare.milliseconds for bare, _ in starts),
        start_ms=_median(ours.milliseconds for _, ours in starts),
        start_ratio=_median((ours.milliseconds / bare.milliseconds for bare, ours in starts), 3),
        stages_ms=stages,
        folder_rate=(_median(one for one, _ in rates), _median(all_ for _, all_ in rates)),
        folder_gain=_median((all_ / one for one, all_ in rates), 3),
        bare_peak_mb=_median(bare.peak_rss_mb for bare, _ in peaks),
        peak_mb=_median(ours.peak_rss_mb for _, ours in peaks),
        memory_mb=tuple(one for one, _ in grown), handed_out_mb=tuple(one for _, one in grown),
        watched=effort.watched, environment=machine,
        notes=() if note is None else (note,),
    )  # fmt: skip


@contextmanager
def drawn() -> Iterator[dict[str, list[str]]]:
    """Generated JPEG files of every size, always the same ones, in a folder that vanishes.

    The large ones are the small ones enlarged, with a sensor's noise: as much work to decode as a
    telephone's, while drawing them would take minutes.
    """
    from train.synthetic import LABELS, render

    with tempfile.TemporaryDirectory(prefix="dermedge-bench-") as scratch:
        found: dict[str, list[str]] = {}
        width, height = GENERATED_SIZE
        small = [render(LABELS[n], n, width=width, height=height) for n in range(IMAGES)]
        for name, size in SIZES.items():
            found[name] = []
            for number, pixels in enumerate(small):
                file = Path(scratch) / f"{size[0]}_{number}.jpg"
                _save(pixels, size, file)
                found[name].append(str(file))
        yield found


def _save(pixels: NDArray[np.uint8], size: tuple[int, int], file: Path) -> None:
    from PIL import Image

    image = Image.fromarray(pixels)
    if image.size != size:
        larger = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
        noise = np.random.default_rng(0).normal(0, NOISE, larger.shape).astype(np.float32)
        image = Image.fromarray(np.clip(larger + noise, 0, 255).astype(np.uint8))
    image.save(file, quality=90)


def _overhead(bundle: Bundle, variant: str, files: list[str], rounds: int) -> Overhead:
    from benchmarks.runtime.bare import BareLoop

    rule, entry = bundle.manifest.input, bundle.manifest.variant(variant)
    with quiet_stderr():
        bare = BareLoop(
            str(bundle.folder / entry.file), usable_cores(), rule.size, rule.jpeg_draft
        )  # fmt: skip
        ways: dict[str, Callable[[str], object]] = {
            name: Classifier.open(bundle, variant, checks=checks).classify
            for name, checks in WAYS.items()
        }
    with bar("beside a bare loop", rounds, "round") as progress:
        return Overhead(*compare(bare.answer, ways, files, rounds, progress))


def _starts(
    bundle: Bundle, variant: str, image: str, repeats: int
) -> list[tuple[cold_start.ColdStart, cold_start.ColdStart]]:
    """Processes in turns: the bare loop's, and the runtime's."""
    rule, entry = bundle.manifest.input, bundle.manifest.variant(variant)
    model, threads = str(bundle.folder / entry.file), usable_cores()
    pairs = []
    with bar("starts", repeats, "pair") as progress:
        for number in range(repeats):
            bare = cold_start.run(
                BARE, [model, str(threads), image, str(rule.size), str(rule.jpeg_draft)], variant
            )
            pairs.append((bare, cold_start.start(bundle.folder, variant, threads, image)))
            progress(number + 1)
    return pairs


def _stages(bundle: Bundle, variant: str, image: str, repeats: int) -> dict[str, float]:
    """Median milliseconds of every stage of the runtime's start."""
    words = [str(bundle.folder), variant, str(usable_cores()), image]
    found = [json.loads(cold_start.run(STAGES, words, variant).answer) for _ in range(repeats)]
    return {stage: _median(one[stage] for one in found) for stage in found[0]}


def _folder(
    bundle: Bundle, variant: str, files: list[str], repeats: int
) -> list[tuple[float, float]]:
    """Images a second of a folder, on one core and on all, in turns."""
    images = list(itertools.islice(itertools.cycle(files), FOLDER))
    with quiet_stderr():
        pair = [Classifier.open(bundle, variant, threads) for threads in (1, usable_cores())]
    shuffler = random.Random(0)
    rates = []
    with bar("folders", repeats, "pair") as progress:
        for number in range(repeats):
            took = [0.0, 0.0]
            for index in shuffler.sample((0, 1), 2):
                started = time.perf_counter()
                for _ in pair[index].classify_many(images):
                    pass
                took[index] = time.perf_counter() - started
            rates.append((FOLDER / took[0], FOLDER / took[1]))
            progress(number + 1)
    return rates


def _watch(
    folder: str, variant: str, files: list[str], times: int
) -> list[tuple[float, float]]:  # fmt: skip
    """Resident and handed-out memory of a process that classifies again and again, 10^6 bytes."""
    command = [sys.executable, "-P", str(WATCHED), folder, variant, str(times), *files]
    found: list[tuple[float, float]] = []
    with (
        bar("memory", memory.SAMPLES, "sample") as progress,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            resident, handed_out = (round(int(number) / 1e6, 1) for number in line.split())
            found.append((resident, handed_out))
            progress(len(found))
    if process.returncode != 0 or len(found) != memory.SAMPLES:
        raise BackendError(f"A process that classified {times} times ended before it was done.")
    return found


def _median(values: Iterator[float], digits: int = 1) -> float:
    return round(statistics.median(values), digits)
