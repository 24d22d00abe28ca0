"""`dermedge bench`: how fast a bundle is on this machine, stage by stage."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from edge_runtime._terminal import visible_lines
from edge_runtime.errors import UsageError

SUMMARY = "Measure how fast a bundle is here: latency by stage, cold start, memory."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--variant", action="append", metavar="NAME",
                        help="only this one; may be given again (default: all)")  # fmt: skip
    parser.add_argument("--threads", metavar="LIST",
                        help="separated by commas (default: 1 and the usable cores)")  # fmt: skip
    parser.add_argument("--runs", type=int, default=100, metavar="N",
                        help="runs of each variant and thread count (default: 100)")  # fmt: skip
    parser.add_argument("--cold-starts", type=int, default=5, metavar="N",
                        help="fresh processes of each of them (default: 5)")  # fmt: skip
    parser.add_argument("--images", nargs="+", metavar="FILE_OR_FOLDER",
                        help="what is classified (default: generated images)")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="also write the JSON here, replacing an earlier one")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    from benchmarks.benchmark import benchmark
    from benchmarks.output import refuse_unwritable, write
    from benchmarks.report import as_text

    threads = None if arguments.threads is None else _numbers(arguments.threads)
    if arguments.out is not None:
        refuse_unwritable(arguments.out, "--out")
    report = benchmark(
        arguments.bundle,
        images=arguments.images,
        variants=arguments.variant,
        threads=threads,
        runs=arguments.runs,
        cold_starts=arguments.cold_starts,
    )
    if arguments.out is not None:
        write(arguments.out, "--out", json.dumps(report.to_dict(), indent=1) + "\n")
    if arguments.json:
        print(json.dumps(report.to_dict()))
    else:
        print(visible_lines(as_text(report)))
    for note in report.notes:
        print(visible_lines(f"dermedge: {note}"), file=sys.stderr)
    return 0


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"--threads is {text!r}, expected numbers separated by commas, for example 1,4."
        ) from None
