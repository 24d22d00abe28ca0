"""Making the variants in a process of its own, ahead of the one that executes and judges them.

TensorFlow converts and calibrates on one core, which would leave the others idle for minutes.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from convert.variants import VARIANTS, Converted, Exported, LayerError, Quantizer, VariantKind
from edge_runtime.errors import ConversionError
from train import backend
from train.pieces.local import end_with_parent
from train.run import RunFolder

_WORTH_A_PROCESS = 1000
"""Executions of every variant, which take about as long as TensorFlow needs to start."""

_Answer = TypeVar("_Answer")
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
    process = ProcessPoolExecutor(
        1, get_context("spawn"), _begin,
        (run.folder, exported.saved_model, exported.size, exported.calibration, exported.labels),
    )  # fmt: skip
    begun = {kind.name: process.submit(_plain, kind.name) for kind in kinds}

    def make(kind: VariantKind) -> Quantizer:
        plain = begun.get(kind.name) or process.submit(_plain, kind.name)
        return _MadeElsewhere(process, kind.name, *_result(plain))

    try:
        yield make
    finally:
        process.shutdown(cancel_futures=True)


class _MadeElsewhere:
    """A `Quantizer` in the other process, its plain form and that one's errors at hand."""

    def __init__(
        self, process: ProcessPoolExecutor, name: str, model: bytes, errors: tuple[LayerError, ...]
    ) -> None:
        self._process, self._name = process, name
        self._model, self._errors = model, errors

    def model(self, float_tensors: Sequence[str] = ()) -> bytes:
        """See `Quantizer.model`."""
        return self._ask("model", float_tensors) if float_tensors else self._model

    def layer_errors(self) -> tuple[LayerError, ...]:
        """See `Quantizer.layer_errors`."""
        return self._errors

    def layer_effects(self, errors: Sequence[LayerError]) -> tuple[LayerError, ...]:
        """See `Quantizer.layer_effects`."""
        return self._ask("layer_effects", errors)

    def _ask(self, method: str, argument: Any) -> Any:
        return _result(self._process.submit(_further, self._name, method, argument))


def _result(future: Future[_Answer]) -> _Answer:
    try:
        return future.result()
    except BrokenProcessPool:
        raise ConversionError(
            "The process that makes the variants was ended from outside, perhaps for want of "
            "memory; free some, or name fewer variants."
        ) from None


# In the other process

_exported: Exported
_made: dict[str, Converted] = {}


def _begin(
    run: Path, saved_model: Path, size: int, calibration: Any, labels: tuple[str, ...]
) -> None:
    global _exported
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as the parent has been told to
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    threading.Thread(target=end_with_parent, daemon=True).start()
    backend.prepare()
    model = RunFolder.open(run).model()
    _exported = Exported(model, saved_model, size, calibration, labels)


def _plain(name: str) -> tuple[bytes, tuple[LayerError, ...]]:
    _made[name] = VARIANTS[name].convert(_exported)
    return _made[name].model(), _made[name].layer_errors()


def _further(name: str, method: str, argument: Any) -> Any:
    return getattr(_made[name], method)(argument)
