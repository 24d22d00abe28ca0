"""TFLite with 16-bit activations and 8-bit weights, and its softmax put back into float.

TensorFlow's quantization debugger leaves chosen operators in float, but knows 8-bit activations
only: asked for 16 bits it answers with an 8-bit file and no warning. So the whole model is
quantized, and the end of its graph is put in the order that the other variants have:

    logits (int16) -> SOFTMAX -> int16 -> DEQUANTIZE -> probabilities      as converted
    logits (int16) -> DEQUANTIZE -> float -> SOFTMAX -> probabilities      as written

The input stays float: there is no uint8 to int16 conversion among the operators.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from convert.metadata.flatbuffer import model_bytes, parse_model
from convert.variants import Exported
from convert.variants.tflite import converter, refusal_in_words
from edge_runtime.errors import VariantUnsupportedError


def int16x8(exported: Exported) -> bytes:
    """Activations as 16-bit integers, weights as 8-bit integers; floats in and out.

    Raises:
        VariantUnsupportedError: an operator has no such form.
    """

    def images() -> Iterator[list[Any]]:
        for image in exported.calibration:
            yield [image[np.newaxis].astype(np.float32)]

    made = converter(exported)
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    made.representative_dataset = images
    made.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    made.experimental_new_quantizer = False  # it calibrates, too, and then is not used
    with refusal_in_words():
        return softmax_in_float(bytes(made.convert()))


def softmax_in_float(content: bytes) -> bytes:
    """Exchange the SOFTMAX and the DEQUANTIZE at the end of a quantized TFLite file.

    Raises:
        VariantUnsupportedError: the file does not end in these two.
    """
    model = parse_model(content)
    (graph,) = model.subgraphs
    codes = [
        model.operatorCodes[operator.opcodeIndex].builtinCode for operator in graph.operators[-2:]
    ]
    if codes != [schema.BuiltinOperator.SOFTMAX, schema.BuiltinOperator.DEQUANTIZE]:
        raise VariantUnsupportedError(
            "TensorFlow Lite cannot hold this model in 16-bit integers: it does not end in a "
            "softmax, expected one as the last layer."
        )
    softmax, dequantize = graph.operators[-2:]
    between = graph.tensors[softmax.outputs[0]]
    between.type, between.quantization = schema.TensorType.FLOAT32, None
    between.name = b"logits"
    dequantize.inputs, softmax.inputs = softmax.inputs, dequantize.inputs
    dequantize.outputs, softmax.outputs = softmax.outputs, dequantize.outputs
    graph.operators[-2:] = [dequantize, softmax]
    return model_bytes(model)
