"""Turn parsed JSON into frozen dataclasses, refusing whatever the dataclass does not describe.

A file that a device acts on is read strictly: an unknown key is a mistake or a newer schema, and
either way the reader must not guess. The dataclasses are the schema; this module only walks them.
"""

from __future__ import annotations

import dataclasses
import functools
import reprlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

_LONGEST_PLAIN = 60

_short = reprlib.Repr()
_short.maxstring = _short.maxlong = _short.maxother = 40
_short.maxlevel = _short.maxlist = _short.maxtuple = _short.maxdict = 4


class RecordError(ValueError):
    """A value does not fit its record; the message names the place and what was expected."""


def from_json(record: type[Record], value: object, where: str = "") -> Record:
    """Build ``record`` (a frozen dataclass) from ``value`` (parsed JSON).

    Raises:
        RecordError: a key is missing or unknown, or a value is of the wrong kind.
    """
    built: Record = _convert(record, value, where or record.__name__)
    return built


def to_json(value: object) -> Any:
    """The inverse of `from_json`: dataclasses and tuples become dicts and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The ``object_pairs_hook`` of `json.loads` that refuses a key that stands there twice.

    Of its two values readers in different languages would take different ones.

    Raises:
        RecordError: names the key.
    """
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if key in entries:
            raise RecordError(f"the key {shown(key)} stands there twice")
        entries[key] = value
    return entries


def shown(value: object) -> str:
    """``value`` as Python writes it, for a message: one printable line, shortened, not deep."""
    return _short.repr(value)


def plain(text: str) -> str:
    """``text`` for a message as it stands where it is short and printable, else as `shown`."""
    return text if len(text) <= _LONGEST_PLAIN and text.isprintable() else shown(text)


def _convert(kind: Any, value: object, where: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _convert(inner, value, where)
    if origin is Literal:
        if value not in arguments:
            choices = ", ".join(repr(choice) for choice in arguments)
            raise RecordError(f"{where} is {shown(value)}, expected one of {choices}")
        return value
    if origin is tuple:
        items = _expect(list, value, where)
        return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if origin in (dict, Mapping):
        entries = _expect(dict, value, where)
        return {
            _text(key, f"a key of {where}"): _convert(arguments[1], item, f"{where}.{plain(key)}")
            for key, item in entries.items()
        }
    return _SCALARS[kind](value, where)


def _record(kind: type[Any], value: object, where: str) -> Any:
    entries = _expect(dict, value, where)
    hints = _hints(kind)  # type: ignore[arg-type]  # mypy: a type is not Hashable
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(entries) - set(fields))
    if unknown:
        raise RecordError(f"{where} has an unknown key {shown(unknown[0])}")
    arguments = {}
    for name, field in fields.items():
        if name in entries:
            arguments[name] = _convert(hints[name], entries[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise RecordError(f"{where} lacks the key {name!r}")
    try:
        return kind(**arguments)
    except RecordError as error:
        raise RecordError(f"{where}: {error}") from None


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    """The types of a record's fields; to find them takes longer than to read a manifest."""
    return get_type_hints(kind)


def _expect(kind: type[Any], value: object, where: str) -> Any:
    if not isinstance(value, kind):
        names = {list: "a list", dict: "an object", str: "text", bool: "true or false"}
        raise RecordError(f"{where} is {shown(value)}, expected {names[kind]}")
    return value


def _number(value: object, where: str) -> float:
    if (
        isinstance(value, bool) or not isinstance(value, (int, float))
        or not abs(value) <= sys.float_info.max  # nan and inf, and integers that no float can hold
    ):  # fmt: skip
        raise RecordError(f"{where} is {shown(value)}, expected a finite number")
    return float(value)


def _integer(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise RecordError(f"{where} is {shown(value)}, expected a whole number")
    return value


def _text(value: object, where: str) -> str:
    text: str = _expect(str, value, where)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which JSON can hold and no file name or terminal
        raise RecordError(f"{where} is {shown(text)}, expected Unicode text") from None
    return text


_SCALARS: dict[Any, Callable[[object, str], Any]] = {
    str: _text,
    bool: lambda value, where: _expect(bool, value, where),
    int: _integer,
    float: _number,
    Any: lambda value, where: value,
}
