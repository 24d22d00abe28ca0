"""tflite-runtime, the older interpreter: for armv7l and for systems without LiteRT."""

from __future__ import annotations

from tflite_runtime.interpreter import Interpreter

from edge_runtime.backends._tflite import TFLiteBackend


def load(model: bytes, threads: int) -> TFLiteBackend:
    """Load a TFLite file."""
    return TFLiteBackend(Interpreter, model, threads)
