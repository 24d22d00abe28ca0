"""FlatBuffers as TFLite files hold them: the model through its schema, metadata table by table.

The model's schema is read and written by the classes that ai-edge-litert brings. Nothing maintained
brings those of the metadata's schema, so its tables are written by slot number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types

MODEL_IDENTIFIER = b"TFL3"
_BUFFER_ALIGNMENT = 16  # "force_align: 16" on Buffer.data in TFLite's schema.fbs

Table = Mapping[int, Any]
"""A table: values by slot, which is the place of the field in the schema, counted from 0; a union
takes two, its type and its value. Values: str, a NumPy scalar, a float32 array, a table, or a list
of tables. An empty list or text is left out."""

_SCALARS = {
    np.uint8: number_types.Uint8Flags,
    np.int8: number_types.Int8Flags,
    np.uint32: number_types.Uint32Flags,
    np.int32: number_types.Int32Flags,
}


def parse_model(content: bytes) -> Any:
    """The `ModelT` of a TFLite file."""
    return schema.ModelT.InitFromPackedBuf(content, 0)


def model_bytes(model: Any) -> bytes:
    """The file's content of a `ModelT`."""
    builder = _AligningBuilder(1024)
    builder.Finish(model.Pack(builder), file_identifier=MODEL_IDENTIFIER)
    return bytes(builder.Output())


def operator_kind(model: Any, operator: Any) -> int:
    """The `BuiltinOperator` of an operator of a `ModelT`."""
    code = model.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def table_bytes(root: Table, identifier: bytes) -> bytes:
    """A FlatBuffer whose root is ``root``."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, root), file_identifier=identifier)
    return bytes(builder.Output())


class _AligningBuilder(flatbuffers.Builder):
    """Puts tensors' bytes where the schema wants them, which the Python classes do not."""

    def CreateNumpyVector(self, x: Any) -> Any:
        if x.dtype == np.uint8:
            self.Prep(_BUFFER_ALIGNMENT, x.nbytes)
        return super().CreateNumpyVector(x)


def _table(builder: Any, fields: Table) -> int:
    """Write a table after what it refers to; returns its offset."""
    present = {slot: value for slot, value in fields.items() if not _empty(value)}
    offsets = {
        slot: _offset(builder, value)
        for slot, value in present.items()
        if type(value) not in _SCALARS
    }
    builder.StartObject(max(fields, default=-1) + 1)
    for slot, value in present.items():
        if slot in offsets:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
        else:
            builder.PrependSlot(_SCALARS[type(value)], slot, value.item(), 0)
    return int(builder.EndObject())


def _offset(builder: Any, value: Any) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, np.ndarray):
        return int(builder.CreateNumpyVector(value))
    if isinstance(value, Mapping):
        return _table(builder, value)
    return _tables(builder, value)


def _tables(builder: Any, tables: Sequence[Table]) -> int:
    offsets = [_table(builder, table) for table in tables]
    builder.StartVector(number_types.UOffsetTFlags.bytewidth, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _empty(value: Any) -> bool:
    return isinstance(value, (str, list)) and not value
