"""Making the variants in a process of its own, ahead of the one that executes and judges them.

TensorFlow converts and calibrates on one core, which would leave the others idle for minutes.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.variants import VARIANTS, Converted, Exported, LayerError, Quantizer, VariantKind
from edge_runtime.errors import ConversionError
from train import backend
from train.pieces.local import end_with_parent
from train.run import RunFolder

_WORTH_A_PROCESS = 1000
"""Executions of every variant, which take about as long as TensorFlow needs to start."""

_PATIENCE = 10.0  # seconds, for a process that has just been started

Make = Callable[[VariantKind], Quantizer]


@contextlib.contextmanager
def making(
    exported: Exported, run: RunFolder, kinds: Sequence[VariantKind], executions: int
) -> Iterator[Make]:
    """A function that makes variants of a model.

    Args:
        exported: the model.
        run: where it comes from.
        kinds: the variants that will be asked for, in this order; others may be, too.
        executions: how many images each of them will answer. Where they are few, the variants are
            made in this process, each when it is asked for.
    """
    if executions < _WORTH_A_PROCESS or len(kinds) < 2:
        yield lambda kind: kind.convert(exported)
        return
    parts = _Parts(
        run.folder, exported.saved_model, exported.size, exported.calibration, exported.labels
    )
    process = _Process(parts)
    try:
        begun = {kind.name: process.begin(_plain, kind.name) for kind in kinds}

        def make(kind: VariantKind) -> Quantizer:
            plain = begun.get(kind.name) or process.begin(_plain, kind.name)
            return _MadeElsewhere(process, kind.name, *process.result(plain))

        yield make
    except BaseException:
        process.kill()  # nobody waits for what it would still make
        raise
    finally:
        process.close()


@dataclass(frozen=True, eq=False)
class _Parts:
    """What an `Exported` is made of again in the other process; a Keras model cannot be sent."""

    run: Path
    saved_model: Path
    size: int
    calibration: NDArray[np.uint8]
    labels: tuple[str, ...]


class _Process:
    """The other process: one thing after the other."""

    def __init__(self, parts: _Parts) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _begin, (parts,))
        self._pid = self.begin(os.getpid)

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have it call a function when it is done with those before."""
        try:
            return self._pool.submit(function, *arguments)
        except BrokenProcessPool:
            raise _ended() from None

    def result(self, future: Future[Any]) -> Any:
        """What came of it."""
        try:
            return future.result()
        except BrokenProcessPool:
            raise _ended() from None

    def kill(self) -> None:
        """End it in the middle of its work."""
        with contextlib.suppress(Exception):  # it may have ended by itself
            os.kill(self._pid.result(timeout=_PATIENCE), signal.SIGTERM)

    def close(self) -> None:
        """Wait until it has ended."""
        self._pool.shutdown(cancel_futures=True)


class _MadeElsewhere:
    """A `Quantizer` in the other process, its plain form and that one's errors at hand."""

    def __init__(
        self, process: _Process, name: str, model: bytes, errors: tuple[LayerError, ...]
    ) -> None:
        self._process, self._name = process, name
        self._model, self._errors = model, errors

    def model(self, float_tensors: Sequence[str] = ()) -> bytes:
        """See `Quantizer.model`."""
        if not float_tensors:
            return self._model
        made: bytes = self._ask("model", float_tensors)
        return made

    def layer_errors(self) -> tuple[LayerError, ...]:
        """See `Quantizer.layer_errors`."""
        return self._errors

    def layer_effects(self, errors: Sequence[LayerError]) -> tuple[LayerError, ...]:
        """See `Quantizer.layer_effects`."""
        found: tuple[LayerError, ...] = self._ask("layer_effects", errors)
        return found

    def _ask(self, method: str, argument: Any) -> Any:
        return self._process.result(self._process.begin(_further, self._name, method, argument))


def _ended() -> ConversionError:
    return ConversionError(
        "The process that makes the variants ended before it was done, perhaps for want of memory; "
        "free some, or name fewer variants."
    )


# In the other process

_parts: _Parts
_made: dict[str, Converted] = {}


def _begin(parts: _Parts) -> None:
    """Keep what will be needed; what can fail comes later, when an error finds its way back."""
    global _parts
    _parts = parts
    tempfile.tempdir = str(parts.saved_model.parent)  # the parent removes it, however this one ends
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as the parent has been told to
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    threading.Thread(target=end_with_parent, daemon=True).start()


@functools.cache
def _exported() -> Exported:
    backend.prepare()
    model = RunFolder.open(_parts.run).model()
    return Exported(model, _parts.saved_model, _parts.size, _parts.calibration, _parts.labels)


def _plain(name: str) -> tuple[bytes, tuple[LayerError, ...]]:
    _made[name] = VARIANTS[name].convert(_exported())
    return _made[name].model(), _made[name].layer_errors()


def _further(name: str, method: str, argument: Any) -> Any:
    return getattr(_made[name], method)(argument)
