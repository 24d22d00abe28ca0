"""`python -m train.reproduction`: train both studies in both ways, and write the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_runtime._files import write_text
from edge_runtime.errors import DermedgeError
from train.reproduction.benign_malignant import study
from train.reproduction.nine_classes import outcomes
from train.reproduction.page import page


def main() -> int:
    """Work in a folder that may hold what an earlier call has trained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("out/reproduction"), metavar="FOLDER",
                        help="tables, copies and runs; a second call goes on (default: %(default)s)"
                        )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("docs/reproduction.md"), metavar="FILE",
                        help="the page (default: %(default)s)")  # fmt: skip
    arguments = parser.parse_args()
    try:
        first = list(outcomes(arguments.work / "nine-classes"))
        text = page(first, study(arguments.work / "benign-malignant"))
    except DermedgeError as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return 2
    write_text(arguments.out, text + "\n")
    print(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
