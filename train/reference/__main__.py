"""Make the models that come with a checkout: `python -m train.reference`, and tell of them."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_runtime._files import write_text
from edge_runtime.errors import DermedgeError, UsageError
from train.reference.building import build, models, refuse_without_tests
from train.reference.card import table
from train.reference.recipes import chosen
from train.reference.search import PAGE, WORK, search

README = Path("README.md")
SHOWN = "reference"
"""The model whose figures the README shows."""
_MARKED = re.compile(r"<!-- reference -->.*?<!-- /reference -->", re.DOTALL)


def main(words: Sequence[str] | None = None) -> int:
    """Build every model, or those that are named; the README gets the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--work", type=Path, default=WORK, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("models"), metavar="FOLDER")
    parser.add_argument("--only", action="append", metavar="NAME", help="no other models")
    given = parser.parse_args(words)
    try:
        _marked(README)
        wanted = chosen(given.only, {one.name: one for one in models()}, "models.toml")
        refuse_without_tests()
        for model in wanted:
            search([model.run], given.work, PAGE)
            figures = build(model, given.work, given.out / model.name)
            if model.name == SHOWN:
                show(figures, README)
    except DermedgeError as error:
        print(f"reference: {error}", file=sys.stderr)
        return 2
    return 0


def show(figures: Mapping[str, Mapping[str, Any]], readme: Path) -> None:
    """Put a model's table between the README's markers.

    Raises:
        UsageError: it has none.
    """
    told = f"<!-- reference -->\n{table(figures)}\n<!-- /reference -->"
    write_text(readme, _MARKED.sub(lambda _: told, _marked(readme)))


def _marked(readme: Path) -> str:
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    if not _MARKED.search(text):
        raise UsageError(
            f"{readme} has no <!-- reference --> markers; call this in the checkout, and put them "
            "back."
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
