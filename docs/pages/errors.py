"""docs/errors.md: every error, what brings it about, what the user sees, and what to do."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from edge_runtime import errors
from edge_runtime.errors import DermedgeError

_HEAD = """# Errors

Written by `make docs`; every sentence quoted here was raised for real while this page was made.

Whatever goes wrong ends in one sentence that says what was found, what was expected and what to do.
On the command line it stands on standard error after `dermedge:`, without a traceback, and the
exit status is 2 (not done). An image that cannot be used stops nothing: `dermedge classify` goes
on, tells it in its place (`--json`: an object with `file` and `error`, which has `type` and
`message`), and ends with status 1. `dermedge doctor` examines: what is wrong with the machine or
the bundle, a bundle that is not there included, is a finding on standard output, and the status 1.
Ctrl-C ends a command with status 130.
In Python the sentence is `str(error)`, and every class is in `edge_runtime.errors`.
"""


def page(folder: Path) -> str:
    """The page; provocations happen in empty folders below ``folder``."""
    classes = [
        value for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, DermedgeError)
    ]  # fmt: skip
    seen = dict(_provoked(folder))
    parts = [_HEAD, f"```\n{_tree()}\n```\n"]
    for kind in sorted(classes, key=_path):
        level = "#" * min(4, len(_path(kind)) + 1)
        parts.append(f"{level} {kind.__name__}\n")
        parts.append(f"{inspect.getdoc(kind)}\n")
        parts += seen.get(kind.__name__, [])
    return "\n".join(parts)


def _path(kind: type) -> tuple[int, ...]:
    """Where a class stands in the tree: the positions of its ancestors and its own."""
    order = list(vars(errors))
    return tuple(order.index(each.__name__) for each in reversed(kind.__mro__[:-3]))


def _tree() -> str:
    drawn = [line for line in (errors.__doc__ or "").splitlines() if re.search(r"Error {2,}", line)]
    return "\n".join(line.removeprefix("    ") for line in drawn)


def _provoked(folder: Path) -> Iterator[tuple[str, list[str]]]:
    from tests.edge_runtime.provoking import PROVOCATIONS, provoke

    for number, provocation in enumerate(PROVOCATIONS):
        own = folder / str(number)
        own.mkdir()
        sentence = str(provoke(provocation, own))
        _, separator, remedy = sentence.rpartition("; ")
        if provocation.remedy or not separator:
            remedy = provocation.remedy
        remedy = remedy[:1].upper() + remedy[1:]
        lines = [f"- **When:** {provocation.deed}", f"- **Seen:** {sentence}"]
        if remedy:
            lines.append(f"- **Do:** {remedy}")
        yield provocation.error.__name__, ["\n".join(lines) + "\n"]
