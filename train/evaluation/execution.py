"""Running a variant on held-out images with the very code that runs on the device."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from edge_runtime import backends
from edge_runtime._terminal import quiet_stderr
from edge_runtime.errors import ModelMismatchError

_TIMED_RUNS = 30


def open_model(model: bytes, model_format: str, threads: int = 1) -> backends.Backend:
    """The device's interpreter for a model file's content."""
    with quiet_stderr():
        return backends.load(backends.choose(model_format), model, threads)


def run_images(
    model: bytes, model_format: str, tensors: NDArray[np.uint8], rows: NDArray[np.int64],
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Probabilities of a variant for some images, one image at a time, on all cores.

    Args:
        model: content of the model file.
        model_format: "tflite" or "onnx".
        tensors: uint8 of shape (n, size, size, 3).
        rows: m indices into ``tensors``.
        progress: called after every image with the number of those answered so far.

    Returns:
        float32 of shape (m, classes).

    Raises:
        ModelMismatchError: an answer is not finite.
    """

    done = itertools.count(1)  # one step of it is atomic

    def answer(backend: backends.Backend, part: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        answers = []
        for row in part:
            answers.append(backend.run(tensors[row]))
            if progress is not None:
                progress(next(done))
        return answers

    parts = np.array_split(rows, backends.usable_cores())
    interpreters = [open_model(model, model_format) for _ in parts]
    with ThreadPoolExecutor(len(parts)) as pool:
        answers = [row for part in pool.map(answer, interpreters, parts) for row in part]
    probabilities = np.stack(answers)
    if not np.isfinite(probabilities).all():
        raise ModelMismatchError(
            "The variant answers with numbers that are not finite; leave it out."
        )
    return probabilities


def median_ms(models: Sequence[tuple[bytes, str]], tensor: NDArray[np.uint8]) -> list[float]:
    """Median milliseconds of one inference on one thread, the models taking turns.

    Args:
        models: content and format of every model file.
        tensor: an input.
    """
    interpreters = [open_model(model, model_format) for model, model_format in models]
    seconds = np.empty((_TIMED_RUNS, len(models)))
    for turn in seconds:
        for at, interpreter in enumerate(interpreters):
            started = time.perf_counter()
            interpreter.run(tensor)
            turn[at] = time.perf_counter() - started
    return [float(one) * 1000 for one in np.median(seconds, axis=0)]
