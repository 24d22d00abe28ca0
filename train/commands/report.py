"""`dermedge report`: a run folder in, one HTML file out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edge_runtime.errors import UsageError

SUMMARY = "Write a run's report: one HTML file that opens without a network."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("run", metavar="RUN", help="folder that `dermedge train` wrote")
    parser.add_argument("--data", type=Path, metavar="DATA",
                        help="where the run's images are now, if they have moved")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="file to write (default: report.html in the run folder)")  # fmt: skip
    parser.add_argument("--no-pictures", action="store_true",
                        help="show no lesion, name ids only, as for a public report")  # fmt: skip
    parser.add_argument("--robustness", action=argparse.BooleanOptionalAction, default=True,
                        help="measure under blur, noise, hair and so on")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the file's name as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Write the report and print where it is."""
    from train.report import write_report
    from train.run import RunFolder

    if not arguments.run:
        raise UsageError("No run was named.")
    if arguments.out is not None and arguments.out.is_dir():
        raise UsageError(f"{arguments.out} is a folder; name a file with --out.")
    written = write_report(
        RunFolder.open(arguments.run),
        arguments.out,
        data=arguments.data,
        pictures=not arguments.no_pictures,
        robustness=arguments.robustness,
    )
    print(json.dumps({"report": str(written)}) if arguments.json else f"report: {written}")
    return 0
