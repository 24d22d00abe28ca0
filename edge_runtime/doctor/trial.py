"""Try an interpreter for real: load model files, answer golden inputs, measure.

Run as ``python -m edge_runtime.doctor.trial BACKEND THREADS [BUNDLE]`` in a process of its own, so
that an interpreter that crashes takes nothing with it. Prints one JSON object a model file, with
the fields of `Trial`; without a bundle, a tiny model is tried.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime import backends
from edge_runtime._strict import from_json, to_json
from edge_runtime.errors import DermedgeError

_RUNS = 30
_SECONDS = 1.0  # enough for a median, and bearable on a slow board with eight variants
_PATIENCE = 600.0
_OURS = b'{"backend": '  # a native library may print lines of its own


@dataclass(frozen=True)
class Trial:
    """What one interpreter did with one model file.

    Attributes:
        backend: name of the interpreter.
        variant: name of the variant, None for the tiny model.
        error: why it cannot be used, None if it can.
        difference: largest difference from the expected golden answers.
        median_ms: of one inference, without decoding.
        memory_mb: of the whole process, the model loaded and used, in megabytes of 10^6 bytes.
        accelerated, operators: how many of its operators XNNPACK computes; None where the
            interpreter does not say.
        left: names of the operators that XNNPACK leaves to slower kernels.
    """

    backend: str
    variant: str | None
    error: str | None = None
    difference: float | None = None
    median_ms: float | None = None
    memory_mb: int | None = None
    accelerated: int | None = None
    operators: int | None = None
    left: tuple[str, ...] = ()


def try_backend(
    kind: backends.BackendKind, threads: int, bundle: Path | None, variants: tuple[str, ...] = ()
) -> tuple[Trial, ...]:
    """Run this module in another process: a trial for each of ``variants``, or of the tiny model.

    What a crash or a lack of memory leaves untried is reported with that as its error.
    """
    command = [sys.executable, "-P", "-m", "edge_runtime.doctor.trial", kind.name, str(threads)]
    if bundle is not None:
        command.append(os.fspath(bundle))
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_PATIENCE
        )
        output, ended = done.stdout, _ending(done.returncode)
    except subprocess.TimeoutExpired as error:
        output, ended = error.stdout or b"", f"it took more than {_PATIENCE:.0f} seconds"
    except OSError as error:
        output, ended = b"", f"no process could be started ({error.strerror})"
    lines = [line for line in output.splitlines() if line.startswith(_OURS)]
    trials = {trial.variant: trial for trial in (from_json(Trial, json.loads(x)) for x in lines)}
    return tuple(
        trials.get(name) or Trial(kind.name, name, error=f"the interpreter did not answer: {ended}")
        for name in (variants if bundle is not None else (None,))
    )


def _ending(status: int) -> str:
    """What the exit status of a process says, in words."""
    if status == -9:
        return "it was killed, most likely for want of memory"
    if status < 0:
        return f"it crashed (signal {-status}); this build may be for another processor"
    return f"it ended with status {status}"


def main(backend: str, threads: str, bundle: str | None = None) -> None:
    """Try, and print a line a model file."""
    (kind,) = (kind for kind in backends.BACKENDS if kind.name == backend)
    trials = _tiny(kind, int(threads)) if bundle is None else _bundle(kind, int(threads), bundle)
    for trial in trials:
        print(json.dumps(to_json(trial)), flush=True)


def _tiny(kind: backends.BackendKind, threads: int) -> Iterator[Trial]:
    from edge_runtime.doctor.tiny import SIZE, TINY_MODELS

    try:
        loaded = backends.load(kind, TINY_MODELS[kind.formats[0]], threads)
        milliseconds = _median_ms(loaded, np.zeros((SIZE, SIZE, 3), np.uint8))
        yield Trial(
            kind.name, None, None, None, milliseconds, _resident_mb(), *_accelerated(loaded)
        )
    except Exception as error:  # whatever a package that does not fit may raise
        yield Trial(kind.name, None, _sentence(error))


def _bundle(kind: backends.BackendKind, threads: int, folder: str) -> Iterator[Trial]:
    from edge_runtime.bundle import Bundle
    from edge_runtime.classifier import Classifier

    bundle = Bundle.open(folder)
    for variant in bundle.manifest.variants:
        if variant.format not in kind.formats:
            continue
        try:
            classifier = Classifier(bundle, variant, kind, threads=threads)
            difference = classifier.self_test()
            tensor = np.zeros(classifier.rule.shape, np.uint8)
            milliseconds = _median_ms(classifier.backend, tensor)
            yield Trial(
                kind.name, variant.name, None, round(difference, 6), milliseconds, _resident_mb(),
                *_accelerated(classifier.backend),
            )  # fmt: skip
            del classifier
        except Exception as error:  # whatever a file or a package that does not fit may raise
            yield Trial(kind.name, variant.name, _sentence(error))
        gc.collect()


def _sentence(error: Exception) -> str:
    if isinstance(error, DermedgeError):
        return str(error)
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"


def _median_ms(backend: backends.Backend, tensor: Any) -> float:
    backend.run(tensor)  # the first one allocates
    taken: list[float] = []
    started = time.perf_counter()
    while len(taken) < _RUNS and (not taken or time.perf_counter() - started < _SECONDS):
        before = time.perf_counter()
        backend.run(tensor)
        taken.append(time.perf_counter() - before)
    return round(statistics.median(taken) * 1000, 3)


def _accelerated(backend: Any) -> tuple[int | None, int | None, tuple[str, ...]]:
    told = backend.operators() if hasattr(backend, "operators") else None
    if told is None:
        return None, None, ()
    taken, left = told
    return len(taken), len(taken) + len(left), left


def _resident_mb() -> int | None:
    """Memory that this process holds now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000
    except (OSError, ValueError, IndexError):
        return None


if __name__ == "__main__":
    main(*sys.argv[1:])
