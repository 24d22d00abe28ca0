"""Measure the runtime beside a bare loop: `python -m benchmarks.runtime BUNDLE`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.output import refuse_unwritable, write
from benchmarks.runtime.page import page
from benchmarks.runtime.study import Effort, measure
from edge_runtime.errors import DermedgeError


def main(words: list[str] | None = None) -> int:
    """Measure and print; the status is 0, or 2 where it cannot be measured."""
    usual = Effort()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.runtime", description=(__doc__ or "").partition(":")[0] + "."
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--variant", default="tflite_int8", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=usual.rounds, metavar="N")
    parser.add_argument("--starts", type=int, default=usual.starts, metavar="N")
    parser.add_argument("--folders", type=int, default=usual.folders, metavar="N")
    parser.add_argument("--watched", type=int, default=usual.watched, metavar="N",
                        help="classifications while memory is watched")  # fmt: skip
    parser.add_argument("--page", type=Path, metavar="FILE", help="write a page in Markdown")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(words)
    command = f"python -m benchmarks.runtime {given.bundle} --variant {given.variant}"
    try:
        if given.page is not None:
            refuse_unwritable(given.page, "--page")
        effort = Effort(given.rounds, given.starts, given.folders, given.watched)
        report = measure(given.bundle, given.variant, effort)
        if given.page is not None:
            write(given.page, "--page", page(report, f"{command} --page {given.page}"))
    except DermedgeError as error:
        print(f"dermedge: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(report)) if given.json else page(report, command))
    return 0


if __name__ == "__main__":
    sys.exit(main())
