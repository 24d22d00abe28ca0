"""Make the models that come with a checkout: `python -m train.reference`, and tell of them."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from edge_runtime._files import write_text
from edge_runtime.errors import DermedgeError
from train.reference.building import build, models
from train.reference.card import table
from train.reference.search import WORK

README = Path("README.md")
SHOWN = "reference"
"""The model whose figures the README shows."""
_MARKED = re.compile(r"<!-- reference -->.*?<!-- /reference -->", re.DOTALL)


def main() -> int:
    """Build every model, or those that are named; the README gets the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--work", type=Path, default=WORK, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("models"), metavar="FOLDER")
    parser.add_argument("--only", action="append", metavar="NAME", help="no other models")
    given = parser.parse_args()
    try:
        for model in models():
            if given.only and model.name not in given.only:
                continue
            figures = build(model, given.work, given.out / model.name)
            if model.name == SHOWN and README.is_file():
                _show(table(figures))
    except DermedgeError as error:
        print(f"reference: {error}", file=sys.stderr)
        return 2
    return 0


def _show(figures: str) -> None:
    shown = f"<!-- reference -->\n{figures}\n<!-- /reference -->"
    write_text(README, _MARKED.sub(lambda _: shown, README.read_text(encoding="utf-8")))


if __name__ == "__main__":
    sys.exit(main())
