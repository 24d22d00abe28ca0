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
    kind: Any = record  # mypy: a type is not Hashable
    built: Record = _reader(kind)(value, where or record.__name__)
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


_Reader = Callable[[object, str], Any]


@functools.cache  # a manifest has hundreds of values, and a dozen kinds of them
def _reader(kind: Any) -> _Reader:
    """What reads a value of a kind: ``(value, where) -> converted value``."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record_reader(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _optional_reader(_reader(inner))
    if origin is Literal:
        return _choice_reader(arguments)
    if origin is tuple:
        return _list_reader(_reader(arguments[0]))
    if origin in (dict, Mapping):
        return _mapping_reader(_reader(arguments[1]))
    return _SCALARS[kind]


def _optional_reader(inner: _Reader) -> _Reader:
    return lambda value, where: None if value is None else inner(value, where)


def _choice_reader(choices: tuple[object, ...]) -> _Reader:
    def read(value: object, where: str) -> object:
        if value not in choices:
            listed = ", ".join(repr(choice) for choice in choices)
            raise RecordError(f"{where} is {shown(value)}, expected one of {listed}")
        return value

    return read


def _list_reader(item: _Reader) -> _Reader:
    def read(value: object, where: str) -> tuple[Any, ...]:
        items = _expect(list, value, where)
        return tuple([item(one, f"{where}[{i}]") for i, one in enumerate(items)])

    return read


def _mapping_reader(item: _Reader) -> _Reader:
    def read(value: object, where: str) -> dict[str, Any]:
        entries = _expect(dict, value, where)
        return {
            _text(key, f"a key of {where}"): item(one, f"{where}.{plain(key)}")
            for key, one in entries.items()
        }

    return read


def _record_reader(kind: type[Any]) -> _Reader:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}
    required = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    def read(value: object, where: str) -> Any:
        entries = _expect(dict, value, where)
        if not entries.keys() <= readers.keys():
            unknown = min(entries.keys() - readers.keys())
            raise RecordError(f"{where} has an unknown key {shown(unknown)}")
        for name in required:
            if name not in entries:
                raise RecordError(f"{where} lacks the key {name!r}")
        arguments = {name: readers[name](one, f"{where}.{name}") for name, one in entries.items()}
        try:
            return kind(**arguments)
        except RecordError as error:
            raise RecordError(f"{where}: {error}") from None

    return read


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
