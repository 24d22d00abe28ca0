"""The two ends of a network, which quantized variants leave in floats.

Normalisation is the input's: bytes as they are, read with another scale and zero point, are the
normalised picture, so 8-bit variants need no operators for it. In integers these would round every
grey level twice, and runtimes break the ties in different ways.

The head is the last layer with weights, the mean over the picture before it, and the softmax. It
is small, so floats cost next to nothing there; with 8-bit logits of some 0.1 a step, a last bit
moves a probability by up to 0.02.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from convert.metadata.flatbuffer import model_bytes, operator_kind, parse_model

_OPERATOR = schema.BuiltinOperator
_WEIGHTED = (_OPERATOR.FULLY_CONNECTED,)
_POOLING = (_OPERATOR.MEAN, _OPERATOR.AVERAGE_POOL_2D)
_SHAPING = (_OPERATOR.RESHAPE, _OPERATOR.SQUEEZE)

_ONNX_WEIGHTED, _ONNX_POOLING = ("MatMul", "Gemm"), ("ReduceMean", "GlobalAveragePool")
_ONNX_SHAPING = ("Add", "Reshape", "Squeeze", "Flatten")


def normalisation(model: Any) -> Any:
    """The Keras layer by which a model normalises its input, if it is the same for all channels.

    Returns:
        a ``Rescaling`` layer whose scale and offset are numbers, and which alone takes the model's
        input; None where there is another.
    """
    import keras

    (image,) = model.inputs
    first = [node.operation for node in _takers(model, image)]
    if len(first) != 1 or not isinstance(first[0], keras.layers.Rescaling):
        return None
    (layer,) = first
    alike = all(isinstance(value, (int, float)) for value in (layer.scale, layer.offset))
    return layer if alike else None


def _takers(model: Any, tensor: Any) -> list[Any]:
    """Nodes of a functional model that take a tensor."""
    nodes = [node for layer in model.layers for node in layer._inbound_nodes]
    return [node for node in nodes if any(one is tensor for one in node.input_tensors)]


def tflite_head(model: bytes) -> list[str]:
    """Names of the tensors that the head of a TFLite file makes, before its softmax."""
    parsed = parse_model(model)
    graph = parsed.subgraphs[0]
    makers = {int(output): made for made in graph.operators for output in made.outputs}
    (last,) = graph.outputs
    made = makers[int(last)]
    found: list[str] = []
    weighted = False
    while (made := makers.get(int(made.inputs[0]))) is not None:
        kind = operator_kind(parsed, made)
        if kind not in (*_WEIGHTED, *_POOLING, *_SHAPING) or (weighted and kind in _WEIGHTED):
            break
        weighted = weighted or kind in _WEIGHTED
        found.append(graph.tensors[made.outputs[0]].name.decode())
        if kind in _POOLING:
            break
    return found


def takes_floats(model: bytes) -> bool:
    """Whether the first layer of a quantized TFLite file takes floats, not 8-bit integers.

    One that takes integers begins with QUANTIZE, which TensorFlow makes into an input of bytes.
    """
    parsed = parse_model(model)
    graph = parsed.subgraphs[0]
    (source,) = graph.inputs
    takers = [made for made in graph.operators if source in made.inputs]
    kinds = {operator_kind(parsed, made) for made in takers}
    return kinds != {_OPERATOR.QUANTIZE}


def fed_bytes(model: bytes, scale: float, zero_point: int) -> bytes:
    """A TFLite file of which the float input is computed from bytes.

    Args:
        model: the file, with one float input.
        scale, zero_point: a byte q stands for ``(q - zero_point) * scale``.
    """
    parsed = parse_model(model)
    graph = parsed.subgraphs[0]
    (source,) = graph.inputs
    known = schema.QuantizationParametersT()
    known.scale, known.zeroPoint = np.array([scale], np.float32), np.array([zero_point], np.int64)
    pixels = copy.copy(graph.tensors[source])
    pixels.type, pixels.quantization = schema.TensorType.UINT8, known
    pixels.name = b"image_bytes"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = _OPERATOR.DEQUANTIZE
    code.version = 1
    made = schema.OperatorT()
    made.opcodeIndex = len(parsed.operatorCodes)
    made.inputs, made.outputs = [len(graph.tensors)], [source]
    graph.tensors.append(pixels)
    graph.operators.insert(0, made)
    graph.inputs = [len(graph.tensors) - 1]
    parsed.operatorCodes.append(code)
    for signature in parsed.signatureDefs or ():
        for entry in signature.inputs:
            entry.tensorIndex = graph.inputs[0]
    return model_bytes(parsed)


def onnx_ends(model: Any) -> list[str]:
    """Names of the nodes of an ONNX graph before its first convolution, and of its head."""
    nodes = list(model.graph.node)
    first = next((at for at, node in enumerate(nodes) if node.op_type == "Conv"), 0)
    found = [node.name for node in nodes[:first]]
    makers = {output: node for node in nodes for output in node.output}
    node = makers[model.graph.output[0].name]
    weighted = False
    while (node := makers.get(node.input[0])) is not None:
        kind = node.op_type
        if kind not in (*_ONNX_WEIGHTED, *_ONNX_POOLING, *_ONNX_SHAPING) or (
            weighted and kind in _ONNX_WEIGHTED
        ):
            break
        weighted = weighted or kind in _ONNX_WEIGHTED
        found.append(node.name)
        if kind in _ONNX_POOLING:
            break
    return found
