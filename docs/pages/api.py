"""docs/api.md: the public names of the device package, and its commands, from their docstrings."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import itertools
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import edge_runtime
from edge_runtime.commands import VERBS, Parser

_HEAD = """# The device package

Written by `make docs` from the docstrings of `edge_runtime` and the help of its commands.

`from edge_runtime import NAME` imports what NAME needs and nothing else. What else stands in a
signature is among the [types](#types), and what a photograph's answer means is
[the decision](#the-decision).
"""

_TYPES = {
    "BundleFile": "listed", "Checks": "checks", "Decision": "decision", "Familiar": "checks",
    "Figures": "quality", "Flaw": "quality", "Gate": "manifest", "ImageSource": "source",
    "IntegrityError": "errors", "Label": "manifest", "Limit": "checks", "Metric": "manifest",
    "ModelId": "result", "OperatingPoint": "manifest", "PublicKey": "signature",
    "Quality": "result", "Source": "manifest", "Timing": "result", "Variant": "manifest",
    "Verdict": "manifest",
}  # fmt: skip
"""What stands in signatures without being a public name, and the module that defines it."""

_RULES = {"decision": "The decision", "profiles": "Colour profiles"}
"""Modules whose docstring is a rule, and the heading that it gets."""

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")
_REFERENCE = re.compile(r"`edge_runtime\.([\w.]+)`")
_ITEM = re.compile(r"^ {4}(\S[^:]*): (.*)$")
_WIDTH = "92"


def page() -> str:
    """The page."""
    parts = [_HEAD]
    for name in edge_runtime.__all__:
        value = getattr(edge_runtime, name)
        if inspect.isclass(value):
            parts += _class(name, value)
    for module, heading in _RULES.items():
        text = inspect.getdoc(importlib.import_module(f"edge_runtime.{module}")) or ""
        parts.append(f"## {heading}\n\n{markdown(text)}")
    parts.append("## Types\n")
    for name, home in _TYPES.items():
        parts += _type(name, importlib.import_module(f"edge_runtime.{home}"))
    parts.append("## Commands\n")
    for verb in VERBS:
        parts.append(f"### dermedge {verb}\n\n```\n{_help(verb)}```\n")
    return "\n".join(parts)


def _type(name: str, module: ModuleType) -> Iterator[str]:
    if inspect.isclass(kind := getattr(module, name, None)):
        yield from _class(name, kind, "###")
        return
    written, meant = _alias(name, module)
    yield f"### {name}\n\n```python\n{written}\n```\n"
    yield markdown(meant)


def _alias(name: str, module: ModuleType) -> tuple[str, str]:
    """How a type without a class is written, and the string below it; some exist for checkers only.

    Raises:
        LookupError: there is none, or nothing is said of it.
    """
    source = inspect.getsource(module)
    for block in ast.walk(ast.parse(source)):
        body = block.body if isinstance(block, (ast.Module, ast.If)) else []
        for node, below in itertools.pairwise(body):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                assert isinstance(below, ast.Expr)
                return ast.get_source_segment(source, node) or "", ast.literal_eval(below.value)
    raise LookupError(f"{module.__name__} says nothing of {name}")


def _class(name: str, kind: type, level: str = "##") -> Iterator[str]:
    yield f"{level} {name}\n"
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
            yield f"{level}# {name}.{member}\n"
            yield markdown(inspect.getdoc(value) or "")
        elif inspect.isfunction(function):
            yield f"{level}# {name}.{member}\n"
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
    """A docstring of ours as Markdown: lists of its sections, code of its examples, links.

    Raises:
        LookupError: it refers to something that has no entry on the page.
    """
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
    return _REFERENCE.sub(_link, "\n".join(lines).rstrip() + "\n")


def _link(reference: re.Match[str]) -> str:
    name = reference[1].rpartition(".")[2]
    heading = _RULES.get(name, name)
    if name not in {*_RULES, *_TYPES, *edge_runtime.__all__}:
        raise LookupError(f"{reference[0]} has no entry")
    text = heading.lower() if name in _RULES else heading
    return f"[{text}](#{heading.lower().replace(' ', '-')})"


def _help(verb: str) -> str:
    module = importlib.import_module(f"edge_runtime.commands.{verb}")
    with mock.patch.dict("os.environ", {"COLUMNS": _WIDTH}):
        parser = Parser(prog=f"dermedge {verb}", description=module.SUMMARY)
        module.add_arguments(parser)
        return parser.format_help()
