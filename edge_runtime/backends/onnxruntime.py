"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnxruntime import InferenceSession, SessionOptions

from edge_runtime.errors import ModelMismatchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(uint8)": np.dtype(np.uint8),
}
_ERRORS_ONLY = 3  # ONNX Runtime's severity scale: 2 would print warnings to standard error


class OnnxBackend:
    """One inference session; `run` may be called from several threads."""

    def __init__(self, model: bytes, threads: int) -> None:
        options = SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = InferenceSession(model, options, providers=["CPUExecutionProvider"])
            (source,) = self._session.get_inputs()
            (result,) = self._session.get_outputs()
        except Exception as error:  # its exception classes share no base but Exception
            raise ModelMismatchError(
                f"ONNX Runtime cannot load this model file ({str(error)[:200]}); "
                "use another variant, or update onnxruntime."
            ) from None
        if source.type not in _DTYPES or result.type != "tensor(float)":
            raise ModelMismatchError(
                f"The model takes {source.type} and gives {result.type}, expected uint8 or float32 "
                "in and float32 probabilities out; convert it again."
            )
        if len(result.shape) != 2 or not isinstance(result.shape[1], int):
            raise ModelMismatchError(
                f"The model's output has the shape {tuple(result.shape)}, expected (1, classes); "
                "convert it again."
            )
        self.input_shape = tuple(source.shape)
        self.classes = int(result.shape[-1])
        self._input = source.name
        self._dtype = _DTYPES[source.type]

    def run(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class probabilities, float32 of shape (classes,)."""
        feed = {self._input: tensor[np.newaxis].astype(self._dtype, copy=False)}
        probabilities: NDArray[np.float32] = self._session.run(None, feed)[0][0]
        return probabilities


def load(model: bytes, threads: int) -> OnnxBackend:
    """Load an ONNX file."""
    return OnnxBackend(model, threads)
