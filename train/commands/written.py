"""What the verbs that write a run folder share: where it goes, its report, what is printed."""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.run import RunFolder


def add_output_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Where the run goes; ``name`` says how it is called by default."""
    parser.add_argument(
        "--out", type=Path, metavar="RUN",
        help=f"run folder to write (default: runs/<data>-<{name}>-<time>)",
    )  # fmt: skip
    parser.add_argument(
        "--report", action=argparse.BooleanOptionalAction, default=True,
        help="write report.html into the run folder (default: yes)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the run's record as JSON")


def default_out(data: Path, name: str) -> Path:
    """The run folder, where none is named."""
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{data.resolve().stem}-{name}-{now}"


def tell(
    folder: RunFolder, out: Path, arguments: argparse.Namespace,
    more: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write the report, and print the run's figures, or its record and ``more`` as JSON."""
    if arguments.report:
        from train.report import write_report

        write_report(folder)
    if arguments.json:
        from edge_runtime._strict import to_json

        record = {"run": str(out), **to_json(folder.run), **(more or {})}
        print(json.dumps(record))
        return
    for split, metrics in folder.run.metrics.items():
        print(f"{split}:")
        for name, metric in metrics.items():
            interval = "" if metric.low is None else f"  [{metric.low:.3f}, {metric.high:.3f}]"
            print(f"  {name:<24} {metric.value:.3f}{interval}")
    print(f"run: {out}")
