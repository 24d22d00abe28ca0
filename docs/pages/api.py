"""docs/api.md: the public names of the device package, and its commands, from their docstrings."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any
from unittest import mock

import edge_runtime
from edge_runtime.commands import VERBS, Parser

_HEAD = """# The device package

Written by `make docs` from the docstrings of `edge_runtime` and the help of its commands.

`from edge_runtime import NAME` imports what NAME needs and nothing else.
"""

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")
_ITEM = re.compile(r"^ {4}(\S[^:]*): (.*)$")
_WIDTH = "92"


def page() -> str:
    """The page."""
    parts = [_HEAD]
    for name in edge_runtime.__all__:
        value = getattr(edge_runtime, name)
        if inspect.isclass(value):
            parts += _class(name, value)
    parts.append("## Commands\n")
    for verb in VERBS:
        parts.append(f"### dermedge {verb}\n\n```\n{_help(verb)}```\n")
    return "\n".join(parts)


def _class(name: str, kind: type) -> Iterator[str]:
    yield f"## {name}\n"
    if issubclass(kind, Exception):
        yield f"{inspect.getdoc(kind)} See [errors](errors.md).\n"
        return
    if dataclasses.is_dataclass(kind):
        yield f"```python\n{_signature(name, kind)}\n```\n"
    yield markdown(inspect.getdoc(kind) or "")
    for member, value in vars(kind).items():
        if member.startswith("_"):
            continue
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if isinstance(value, property):
            yield f"### {name}.{member}\n"
            yield markdown(inspect.getdoc(value) or "")
        elif inspect.isfunction(function):
            yield f"### {name}.{member}\n"
            yield f"```python\n{_signature(f'{name}.{member}', getattr(kind, member))}\n```\n"
            yield markdown(inspect.getdoc(function) or "")


def _signature(name: str, function: Any) -> str:
    """A call as Python writes it, one argument a line where it is long."""
    signature = inspect.signature(function)
    arguments = []
    starred = False
    for each in signature.parameters.values():
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not starred:
            arguments.append("*")
            starred = True
        default = "" if each.default is each.empty else f" = {each.default!r}"
        arguments.append(f"{each.name}: {each.annotation}{default}")
    returned = "" if inspect.isclass(function) else f" -> {signature.return_annotation}"
    text = f"{name}({', '.join(arguments)}){returned}"
    if len(text) <= int(_WIDTH):
        return text
    return f"{name}(\n" + "".join(f"    {each},\n" for each in arguments) + f"){returned}"


def markdown(docstring: str) -> str:
    """A docstring of ours as Markdown: its sections become lists, its examples code."""
    lines: list[str] = []
    inside = code = False
    for line in docstring.splitlines():
        heading = _SECTION.match(line)
        example = line.startswith(">>>") or (code and bool(line))
        if example != code:
            lines.append("```")
            code = example
        if heading:
            inside = True
            lines += [f"**{heading[1]}**", ""]
            continue
        if line and not line.startswith(" "):
            inside = False
        item = _ITEM.match(line) if inside else None
        if item:
            lines.append(f"- `{item[1]}`: {item[2]}")
        elif inside and line:
            lines.append(f"  {line.strip()}")
        else:
            lines.append(line)
    if code:
        lines.append("```")
    return "\n".join(lines).rstrip() + "\n"


def _help(verb: str) -> str:
    module = importlib.import_module(f"edge_runtime.commands.{verb}")
    with mock.patch.dict("os.environ", {"COLUMNS": _WIDTH}):
        parser = Parser(prog=f"dermedge {verb}", description=module.SUMMARY)
        module.add_arguments(parser)
        return parser.format_help()
