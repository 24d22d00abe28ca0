"""Take a TFLite file apart: its operators, and the file that ends after one of them."""

from __future__ import annotations

from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


def read_graph(model: bytes) -> Any:
    """The file as objects of its schema."""
    return schema.ModelT.InitFromPackedBuf(model, 0)


def operators(model: bytes) -> list[str]:
    """Names of the operators in their order, such as CONV_2D."""
    read = read_graph(model)
    codes = [max(each.builtinCode, each.deprecatedBuiltinCode) for each in read.operatorCodes]
    return [_NAMES[codes[operator.opcodeIndex]] for operator in read.subgraphs[0].operators]


def end_after(model: bytes, count: int) -> bytes:
    """The file that does the first ``count`` operators and gives out what the last one makes."""
    read = read_graph(model)
    graph = read.subgraphs[0]
    graph.operators = graph.operators[:count]
    graph.outputs = [graph.operators[-1].outputs[0]]
    read.signatureDefs = []
    builder = flatbuffers.Builder(len(model))
    builder.Finish(read.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def end_at_features(model: bytes) -> bytes:
    """The file up to its last 8-bit tensor: without the head, which computes in floats."""
    names = operators(model)
    assert names.count("DEQUANTIZE") == 1, names
    return end_after(model, names.index("DEQUANTIZE"))
