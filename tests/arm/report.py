"""Put what was measured into docs/arm.md, between its markers, and print the installed sizes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tabulate import tabulate

from edge_runtime._files import write_text
from tests.arm import measured
from tests.arm.wheels import ROOT

PAGE = ROOT / "docs" / "arm.md"
MIB = 2**20


def main() -> int:
    """Fill the page; status 1 where nothing was measured."""
    found = measured.read()
    missing = sorted(set(TABLES) - set(found))
    if missing:
        print(
            f"Nothing was measured of {', '.join(missing)}; run `make test-arm`.", file=sys.stderr
        )
        return 1
    text = PAGE.read_text(encoding="utf-8")
    for name, table in TABLES.items():
        text = fill(text, name, table(found[name]))
    write_text(PAGE, text)
    print(sizes(found["sizes"]))
    return 0


def fill(text: str, name: str, content: str) -> str:
    """The page with ``content`` between the markers of ``name``."""
    marked = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
    if not marked.search(text):
        sys.exit(f"{PAGE.name} has lost its markers for {name}.")
    block = f"<!-- {name} -->\n{content}\n<!-- /{name} -->"
    return marked.sub(lambda _: block, text)


def compared(rows: Mapping[str, Any]) -> str:
    """Probabilities of one machine beside another's."""
    return _table(
        ["variant and machine", "images", "largest difference of a probability", "of 1/256",
         "images answered bit for bit", "decisions changed", "golden inputs"],
        (
            [name, row["images"], f"{row['largest']:.1e}", f"{row['largest'] * 256:.2f}",
             f"{row['identical']:.0%}", row["decisions"],
             f"{row['self_test']:.1e}" if "self_test" in row else ""]
            for name, row in rows.items()
        ),
    )  # fmt: skip


def features(rows: Mapping[str, Any]) -> str:
    """Which 8-bit features are identical."""
    return _table(
        ["model and processor", "images", "8-bit features"],
        ([name, row["images"], "identical to x86-64"] for name, row in rows.items()),
    )


def command(rows: Mapping[str, Any]) -> str:
    """`dermedge classify` on files of every kind."""
    return _table(
        ["machine", "files", "largest difference of a probability", "decisions changed"],
        ([name, row["files"], f"{row['largest']:.1e}", 0] for name, row in rows.items()),
    )


def inputs(rows: Mapping[str, Any]) -> str:
    """Input tensors beside those of x86-64."""
    return _table(
        ["files", "machine", "number", "equal", "bytes that differ", "largest, grey levels",
         "Pillow", "built with libjpeg-turbo"],
        (
            [*name.split(" | "), row["files"], row["equal"], f"{row['bytes']:.2%}",
             row["largest"], row["pillow"], row["libjpeg_turbo"]]
            for name, row in rows.items()
        ),
    )  # fmt: skip


def rounding(rows: Mapping[str, Any]) -> str:
    """How far the two families of kernels are apart, layer by layer."""
    return _table(
        ["layer", "operator", "outputs that differ", "largest, in steps"],
        (
            [number, name, f"{share:.2%}", steps]
            for number, (name, share, steps) in enumerate(rows["layers"], start=1)
        ),
    )


def sizes(rows: Mapping[str, Any]) -> str:
    """MiB on disk, by machine and distribution."""
    distributions = sorted({name for row in rows.values() for name in row} - {"total"})
    heads = [*rows]

    def cell(row: Mapping[str, int], name: str) -> str:
        return f"{row[name] / MIB:.1f}" if name in row else ""

    lines = [[name, *(cell(rows[head], name) for head in heads)] for name in distributions]
    lines.append(["**total**", *(f"**{rows[head]['total'] / MIB:.1f}**" for head in heads)])
    return _table(["MiB on disk", *heads], lines)


def _table(heads: list[str], rows: Iterable[list[Any]]) -> str:
    return tabulate(list(rows), heads, tablefmt="github", disable_numparse=True)


TABLES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "features": features,
    "aarch64": compared,
    "command": command,
    "inputs": inputs,
    "older": compared,
    "rounding": rounding,
    "sizes": sizes,
}
"""By marker of the page, what is put there."""


if __name__ == "__main__":
    sys.exit(main())
