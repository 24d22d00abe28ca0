"""The interpreters that can run a model file, behind one small interface.

A backend is one module with a function ``load(model, threads) -> Backend`` and one line below.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edge_runtime.errors import BackendNotInstalledError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_THREADS = 256
"""More threads are refused: each has a stack, and no device has as many cores."""


class Backend(Protocol):
    """A loaded model.

    Attributes:
        input_shape: shape of one batch, (1, height, width, 3).
        classes: number of outputs.
    """

    input_shape: tuple[int, ...]
    classes: int

    def run(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class probabilities, float32 (classes,), of a uint8 tensor (height, width, 3)."""
        ...


@dataclass(frozen=True)
class BackendKind:
    """A line of the registry.

    Attributes:
        name: how it is chosen on the command line.
        module: where its ``load`` is.
        package: the import name of the interpreter.
        install: what to hand to pip when it is missing.
        formats: formats of model files that it reads.
        unjudged: variants that it computes with other kernels than those the gate has judged
            (docs/arm.md), so that others come first.
    """

    name: str
    module: str
    package: str
    install: str
    formats: tuple[str, ...]
    unjudged: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether the interpreter's package can be found (nothing is imported)."""
        return importlib.util.find_spec(self.package) is not None


BACKENDS = (
    BackendKind("litert", "litert", "ai_edge_litert", "ai-edge-litert", ("tflite",)),
    BackendKind(
        "tflite-runtime", "tflite_runtime", "tflite_runtime", "dermedge-runtime[tflite-runtime]",
        ("tflite",), unjudged=("tflite_int8", "tflite_dynamic"),
    ),
    BackendKind(
        "onnxruntime", "onnxruntime", "onnxruntime", "dermedge-runtime[onnxruntime]", ("onnx",)
    ),
)  # fmt: skip
"""Every backend, the preferred one first."""


def readable(model_format: str) -> bool:
    """Whether any backend reads this format, installed or not."""
    return any(model_format in kind.formats for kind in BACKENDS)


def choose(model_format: str, name: str | None = None) -> BackendKind:
    """The backend for a format of model file: the named one, else the first that is installed.

    Raises:
        BackendNotInstalledError: none fits, or its package is not installed.
    """
    fitting = [kind for kind in BACKENDS if model_format in kind.formats]
    if not fitting:
        raise BackendNotInstalledError(
            f"No interpreter here reads {model_format} files; choose another variant."
        )
    if name is not None:
        named = [kind for kind in BACKENDS if kind.name == name]
        if not named:
            known = ", ".join(kind.name for kind in BACKENDS)
            raise BackendNotInstalledError(f"There is no backend {name}; choose one of {known}.")
        if named[0] not in fitting:
            raise BackendNotInstalledError(
                f"The backend {name} does not read {model_format} files; "
                f"choose {' or '.join(kind.name for kind in fitting)}."
            )
        fitting = named
    for kind in fitting:
        if kind.installed:
            return kind
    commands = " or ".join(f'`pip install "{kind.install}"`' for kind in fitting)
    raise BackendNotInstalledError(
        f"No interpreter for {model_format} files is installed; run {commands}."
    )


def load(kind: BackendKind, model: bytes, threads: int) -> Backend:
    """Load ``model`` (the content of a model file) to run on ``threads`` threads.

    Raises:
        ModelMismatchError: the interpreter cannot load it, or it is not an image classifier.
        BackendNotInstalledError: the package is there but does not import.
    """
    try:
        module: Any = importlib.import_module(f"edge_runtime.backends.{kind.module}")
    except ImportError as error:
        raise BackendNotInstalledError(
            f"The package {kind.package} does not import here ({error}); "
            f'run `pip install --force-reinstall "{kind.install}"`.'
        ) from None
    backend: Backend = module.load(model, threads)
    return backend


def usable_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_to_use(threads: int | None) -> int:
    """``threads``, or for None the number of cores that this process may use.

    Raises:
        UsageError: not of 1 to `MAX_THREADS`.
    """
    if threads is None:
        return min(usable_cores(), MAX_THREADS)
    if not 1 <= threads <= MAX_THREADS:
        raise UsageError(f"threads is {threads}, expected 1 to {MAX_THREADS}.")
    return threads
