"""What LiteRT and tflite-runtime share: both offer TensorFlow Lite's ``Interpreter``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import ModelMismatchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT_DTYPES = (np.dtype(np.float32), np.dtype(np.uint8))


class TFLiteBackend:
    """One interpreter with its tensors allocated; not for use by two threads at once."""

    def __init__(self, interpreter_class: Any, model: bytes, threads: int) -> None:
        try:
            self._interpreter = interpreter_class(model_content=model, num_threads=threads)
            self._interpreter.allocate_tensors()
            (source,) = self._interpreter.get_input_details()
            (result,) = self._interpreter.get_output_details()
        except (ValueError, RuntimeError, TypeError) as error:
            raise ModelMismatchError(
                f"The interpreter cannot load this model file ({_first_line(error)}); "
                "use another variant, or update the interpreter."
            ) from None
        if len(result["shape"]) != 2:
            raise ModelMismatchError(
                f"The model's output has the shape {tuple(map(int, result['shape']))}, expected "
                "(1, classes); convert it again."
            )
        self.input_shape = tuple(int(length) for length in source["shape"])
        self.classes = int(result["shape"][-1])
        self._input, self._output = source["index"], result["index"]
        self._dtype = np.dtype(source["dtype"])
        if self._dtype not in INPUT_DTYPES or np.dtype(result["dtype"]) != np.float32:
            raise ModelMismatchError(
                f"The model takes {self._dtype} and gives {np.dtype(result['dtype'])}, expected "
                "uint8 or float32 in and float32 probabilities out; convert it again."
            )

    def run(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class probabilities, float32 of shape (classes,)."""
        self._interpreter.set_tensor(
            self._input, tensor[np.newaxis].astype(self._dtype, copy=False)
        )
        self._interpreter.invoke()
        probabilities: NDArray[np.float32] = self._interpreter.get_tensor(self._output)[0]
        return probabilities


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
