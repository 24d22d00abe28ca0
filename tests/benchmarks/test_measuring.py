"""The parts: taking turns, fresh processes, images and the environment."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from benchmarks import cold_start
from benchmarks.cold_start import start
from benchmarks.environment import Environment, load_note, observe
from benchmarks.images import GENERATED_SIZE, ImageSet, generated, given
from benchmarks.latency import WARM_UP_RUNS, measure
from edge_runtime.bundle import Bundle
from edge_runtime.classifier import Classifier
from edge_runtime.errors import BackendError
from edge_runtime.result import Timing

FILES = ("a.jpg", "b.jpg", "c.jpg")


class Scripted:
    """Stands in for a classifier: notes its calls; its counted run number n takes n milliseconds.

    Every other call after the warm-up counts; those between take a second.
    """

    def __init__(self, name: str, calls: list[tuple[str, str]]) -> None:
        self.name, self.calls, self.times = name, calls, self._times()

    def _times(self) -> Iterator[float]:
        for _ in range(WARM_UP_RUNS):
            yield 1000.0
        for run in range(1, 1000):
            yield 1000.0
            yield float(run)

    def classify(self, file: str) -> Any:
        self.calls.append((self.name, file))
        time = next(self.times)
        self.timing_ms = Timing(time / 10, time / 5, time / 10, time / 2, time)
        return self


def scripted_run(names: str, runs: int) -> tuple[list[tuple[str, str]], list[Any]]:
    """The calls after the warm-up, and the latencies."""
    calls: list[tuple[str, str]] = []
    classifiers = [cast(Classifier, Scripted(name, calls)) for name in names]
    latencies = measure(classifiers, FILES, runs)
    return calls[WARM_UP_RUNS * len(names) :], latencies


# Latency


def test_only_counted_runs_enter_the_percentiles() -> None:
    _, (latency,) = scripted_run("x", 100)
    expected = np.percentile(np.arange(1, 101), (50, 90, 99))
    total, inference = latency.stages.total, latency.stages.inference
    assert (total.p50, total.p90, total.p99) == pytest.approx(expected, abs=1e-3)
    assert (inference.p50, inference.p90) == pytest.approx(expected[:2] / 2, abs=1e-3)
    assert latency.images_per_second == pytest.approx(1000 / 50.5, abs=0.01)


def test_classifiers_take_turns_on_the_same_image_each_after_an_uncounted_run() -> None:
    calls, _ = scripted_run("xyz", 30)
    orders = set()
    for number in range(30):
        turn = calls[6 * number : 6 * (number + 1)]
        uncounted, counted = turn[::2], turn[1::2]
        assert sorted(counted) == [(name, FILES[number % 3]) for name in "xyz"]
        assert uncounted == [(name, FILES[(number - 1) % 3]) for name, _ in counted]
        orders.add(tuple(name for name, _ in counted))
    assert len(orders) == 6  # every order occurs


# Cold start


def test_process_is_fresh_and_its_memory_is_its_own(bundle: Path, images: list[Path]) -> None:
    variant = Bundle.open(bundle).manifest.variants[0].name
    ballast = np.ones(400_000_000, np.uint8)
    began = start(bundle, variant, 1, str(images[0]))
    warm = Classifier.open(bundle, variant, 1).classify(images[0]).timing_ms.total
    assert began.milliseconds > warm
    assert 20 < began.peak_rss_mb < ballast.nbytes / 1e6


def test_process_without_an_answer_is_reported_with_its_reason(
    bundle: Path, images: list[Path]
) -> None:
    with pytest.raises(BackendError, match=r"ended with status 2 .*holds no variant tflite_int4"):
        start(bundle, "tflite_int4", 1, str(images[0]))


# Images


def test_generated_images_are_jpeg_files_that_vanish() -> None:
    with generated() as found:
        assert found.source == "generated"
        for file in found.files:
            with Image.open(file) as image:
                assert (image.format, image.size) == ("JPEG", GENERATED_SIZE)
    assert not any(map(os.path.exists, found.files))


def test_folder_gives_its_images(images: list[Path]) -> None:
    found = given([str(images[0].parent)])
    assert found == ImageSet("files", tuple(map(str, images)))


@pytest.mark.parametrize(("held", "count", "kept"), [(7, 10, 7), (10, 10, 10), (95, 10, 10)])
def test_larger_set_is_thinned_evenly(held: int, count: int, kept: int) -> None:
    files = tuple(str(number) for number in range(held))
    thinned = ImageSet("files", files).at_most(count).files
    assert len(thinned) == kept
    assert len({int(b) - int(a) for a, b in itertools.pairwise(thinned)}) == 1


# Environment


def test_environment_is_this_machine() -> None:
    found = observe()
    assert 1 <= found.usable_cores <= found.cores
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert found.versions["numpy"] == np.__version__
    assert {"dermedge-runtime", "pillow", "ai-edge-litert"} <= set(found.versions)


@pytest.mark.parametrize(
    ("load", "cores", "warned"),
    [(1.0, 2, False), (1.1, 2, True), (1.1, 4, False), (None, 1, False)],
)
def test_busy_machine_is_warned_of(load: float | None, cores: int, warned: bool) -> None:
    environment: Environment = replace(observe(), load_average=load, cores=cores)
    note = load_note(environment)
    assert (note is not None) == warned
    assert note is None or "not to be trusted" in note


def test_first_start_compiles_the_modules_and_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        f"open({str(tmp_path / 'starts')!r}, 'a').write(f'{{sys.dont_write_bytecode}} ')\n"
        "print('answer')\nprint(1000000)\n"
    )
    found = cold_start.run(program, [], "tflite_int8")
    assert (found.answer, found.peak_rss_mb) == ("answer", 1.0)
    cold_start.run(program, [], "tflite_int8")
    cold_start.run(program, [], "onnx_int8")
    assert (tmp_path / "starts").read_text() == "False " * 5  # two of them uncounted
