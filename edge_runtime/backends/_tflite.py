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

    def operators(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Names of the operators that XNNPACK computes, and of those that it leaves to others.

        None where the interpreter does not tell.

        An interpreter keeps the operators that a delegate has taken over, and adds a node for the
        delegate. Those on the way from its inputs to its outputs are inside it. XNNPACK is the only
        delegate that the Python packages apply by themselves.
        """
        try:
            nodes = self._interpreter._get_ops_details()  # no public call tells it
        except (AttributeError, ValueError, RuntimeError):
            return None
        operators = [node for node in nodes if "DELEGATE" not in node["op_name"].upper()]
        maker = {int(tensor): node for node in operators for tensor in node["outputs"]}
        inside: set[int] = set()
        for node in nodes:
            if "DELEGATE" not in node["op_name"].upper():
                continue
            given = set(map(int, node["inputs"]))
            wanted = list(map(int, node["outputs"]))
            while wanted:
                operator = maker.get(wanted.pop())
                if operator is None or operator["index"] in inside:
                    continue
                inside.add(operator["index"])
                wanted += [tensor for tensor in map(int, operator["inputs"]) if tensor not in given]
        names = [(node["op_name"], node["index"] in inside) for node in operators]
        return (
            tuple(name for name, taken in names if taken),
            tuple(name for name, taken in names if not taken),
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
