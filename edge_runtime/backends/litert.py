"""LiteRT, the present name of TensorFlow Lite's interpreter (package ai-edge-litert)."""

from __future__ import annotations

from ai_edge_litert.interpreter import Interpreter

from edge_runtime.backends._tflite import TFLiteBackend


def load(model: bytes, threads: int) -> TFLiteBackend:
    """Load a TFLite file; LiteRT uses one thread unless told."""
    return TFLiteBackend(Interpreter, model, threads)
