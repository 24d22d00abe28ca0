"""ONNX files through tf2onnx; their static quantization and 16-bit floats by ONNX Runtime."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from convert.metadata import INPUT_NAME, OUTPUT_NAME
from convert.variants import Exported, ends
from convert.variants.onnx_names import rename
from edge_runtime.errors import VariantUnsupportedError

OPSET = 17
_INTEGER_OPERATORS = [
    "Conv", "MatMul", "Gemm", "Add", "Mul", "Relu", "Clip", "MaxPool", "AveragePool",
    "GlobalAveragePool", "ReduceMean", "Transpose", "Reshape",
]  # fmt: skip


@functools.lru_cache(maxsize=1)  # the other two start from it
def float32(exported: Exported) -> bytes:
    """As trained; NHWC floats in, as everywhere in dermedge."""
    import keras
    import onnx
    import tf2onnx
    import tf2onnx.rewriter  # takes a number of the counter below when it is first imported

    layers = list(exported.model.layers)
    while layers:
        layer = layers.pop()
        layers += getattr(layer, "layers", ())  # of a model within the model
        if isinstance(layer, keras.layers.Normalization):  # tensors would become graph inputs
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    shape = (1, exported.size, exported.size, 3)
    function = tf.function(lambda image: {OUTPUT_NAME: exported.model(image, training=False)})
    signature = [tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)]
    tf2onnx.utils.INTERNAL_NAME = 1  # counted on in its names; so, one model has one content
    with _refusal_in_words("ONNX cannot hold this model"):
        model, _ = tf2onnx.convert.from_function(function, signature, opset=OPSET)
    model.producer_name = "dermedge"
    model.graph.doc_string = ""  # names a Python function and how many there were before it
    rename(model.graph)
    with _refusal_in_words("ONNX cannot hold this model"):
        onnx.checker.check_model(model)  # an operator that it has no form for stays in the graph
    return bytes(model.SerializeToString())


def float16(exported: Exported) -> bytes:
    """Weights and activations as 16-bit floats; 32-bit floats in, in the softmax, and out."""
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    plain = onnx.load_from_string(float32(exported))
    with _refusal_in_words("ONNX cannot hold this model in 16-bit floats"):
        model = convert_float_to_float16(
            plain, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, "Softmax"]
        )
    _keep_probabilities_in_float32(model.graph)
    return bytes(model.SerializeToString())


def _keep_probabilities_in_float32(graph: Any) -> None:
    """Let the softmax give the graph's output itself.

    The converter sends every float32 operator's result through 16 bits, the last one's as well,
    and probabilities that differ by less than 1 in 2,000 then tie.
    """
    producers = {name: node for node in graph.node for name in node.output}
    output = graph.output[0].name
    casts, node = [], producers[output]
    while node.op_type == "Cast":
        casts.append(node)
        node = producers[node.input[0]]
    if node.op_type != "Softmax":
        raise VariantUnsupportedError(
            f"ONNX cannot hold this model in 16-bit floats: it ends in {node.op_type}, expected a "
            "softmax as the last layer."
        )
    for cast in casts:
        graph.node.remove(cast)
    node.output[0] = output


def int8(exported: Exported) -> bytes:
    """Weights (per channel) and activations as 8-bit integers in QDQ form; both ends in float."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        """Feeds the calibration images one by one."""

        def __init__(self) -> None:
            self._images: Iterator[Any] = iter(exported.calibration)

        def get_next(self) -> dict[str, Any] | None:
            """The next feed, or None at the end."""
            image = next(self._images, None)
            return None if image is None else {INPUT_NAME: image[np.newaxis].astype(np.float32)}

    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, quantized = (Path(folder) / f"{name}.onnx" for name in "pqr")
        plain.write_bytes(float32(exported))
        with _refusal_in_words("ONNX Runtime cannot quantize it"):
            quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(quantized),
                Images(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=_INTEGER_OPERATORS,
                nodes_to_exclude=ends.onnx_ends(onnx.load(prepared)),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )
        return quantized.read_bytes()


@contextlib.contextmanager
def _refusal_in_words(title: str) -> Iterator[None]:
    """Turn what the libraries raise for a model they cannot convert into one sentence.

    Args:
        title: begins the sentence.
    """
    try:
        yield
    except Exception as error:  # those of ONNX and its runtime share no base but Exception
        known = isinstance(error, (ValueError, RuntimeError, KeyError))
        if not known and type(error).__module__.partition(".")[0] not in ("onnx", "onnxruntime"):
            raise
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise VariantUnsupportedError(f"{title}: {line[:300]}") from None
