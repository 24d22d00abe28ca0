"""TFLite: the metadata block that MediaPipe Tasks, ML Kit and Android Studio read.

Written to the schema `metadata_schema.fbs` (version 1.5.0) that comes with MediaPipe: a FlatBuffer
in a buffer named TFLITE_METADATA, and the label files in a ZIP behind the model, uncompressed, as
clients read them in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from convert.metadata import (
    INPUT_DESCRIPTION,
    INPUT_NAME,
    OUTPUT_DESCRIPTION,
    OUTPUT_NAME,
    Facts,
)
from convert.metadata.archive import zipped
from convert.metadata.flatbuffer import Table, model_bytes, parse_model, table_bytes

CODES_FILE, NAMES_FILE = "labels.txt", "labels_en.txt"
"""Attached to the output: what a client calls the category's name, and its display name."""

_BLOCK = "TFLITE_METADATA"
_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"  # the oldest reader that knows all that is written here

# Values of enumerations and unions in the schema.
_TENSOR_AXIS_LABELS = np.int8(2)
_RGB = np.int8(1)
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = np.uint8(1), np.uint8(2)
_NORMALIZATION_OPTIONS = np.uint8(1)


def describe(model: bytes, facts: Facts) -> bytes:
    """The model with the facts in a metadata block and the labels attached."""
    parsed = parse_model(model)
    block = schema.BufferT()
    image = _image(facts.input.size, *_normalisation(parsed))
    block.data = np.frombuffer(table_bytes(_model(facts, image), _IDENTIFIER), np.uint8)
    entry = _entry(parsed)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = _BLOCK, len(parsed.buffers)
        parsed.metadata = [*(parsed.metadata or ()), entry]
        parsed.buffers.append(block)
    else:
        parsed.buffers[entry.buffer] = block
    names = [label.name for label in facts.labels]
    files = {CODES_FILE: _lines(facts.codes), NAMES_FILE: _lines(names)}
    return model_bytes(parsed) + zipped(files)


def _entry(model: Any) -> Any:
    named = [entry for entry in model.metadata or () if entry.name == _BLOCK.encode()]
    return named[0] if named else None


def _normalisation(model: Any) -> tuple[float, float]:
    """Mean and standard deviation with which a client that normalises bytes feeds them unchanged.

    A file that takes bytes reads them by a scale and a zero point, which a client undoes after it
    has normalised: both cancel where they say the same.
    """
    graph = model.subgraphs[0]
    tensor = graph.tensors[graph.inputs[0]]
    if tensor.type != schema.TensorType.UINT8:
        return 0.0, 1.0
    known = tensor.quantization
    return float(known.zeroPoint[0]), 1 / float(known.scale[0])


def _lines(texts: Any) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()


# The tables, each field at its slot of the schema.


def _model(facts: Facts, image: Table) -> Table:
    """ModelMetadata: name, description, version, subgraph_metadata, author, license, ..."""
    cited = "".join(f" Cite: {citation}" for citation in facts.citations)
    return {
        0: f"{facts.name} ({facts.variant})",
        1: facts.description + cited,
        2: facts.version,
        3: [{2: [image], 3: [_probabilities()]}],
        4: facts.author,
        5: facts.licence,
        7: _PARSER_VERSION,
    }


def _image(size: int, mean: float, deviation: float) -> Table:
    """TensorMetadata of the input: name, description, -, content, process_units, stats."""
    properties = {0: _RGB, 1: {0: np.uint32(size), 1: np.uint32(size)}}
    as_they_are = {0: _floats(mean), 1: _floats(deviation)}
    return {
        0: INPUT_NAME,
        1: INPUT_DESCRIPTION,
        3: {0: _IMAGE_PROPERTIES, 1: properties},
        4: [{0: _NORMALIZATION_OPTIONS, 1: as_they_are}],
        5: {0: _floats(255), 1: _floats(0)},
    }


def _probabilities() -> Table:
    """TensorMetadata of the output: ..., stats, associated_files."""
    return {
        0: OUTPUT_NAME,
        1: OUTPUT_DESCRIPTION,
        3: {0: _FEATURE_PROPERTIES, 1: {}},
        5: {0: _floats(1), 1: _floats(0)},
        6: [
            {0: CODES_FILE, 1: "Class codes.", 2: _TENSOR_AXIS_LABELS},
            {0: NAMES_FILE, 1: "Names of the classes.", 2: _TENSOR_AXIS_LABELS, 3: "en"},
        ],
    }


def _floats(value: float) -> Any:
    return np.array([value], np.float32)
