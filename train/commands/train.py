"""`dermedge train`: labelled images in, a run folder out."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import re
from pathlib import Path
from typing import Any, get_type_hints

from train.commands.data import add_data_arguments, data_of
from train.config import TrainConfig

SUMMARY = "Train a Keras CNN on labelled images; writes a run folder."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for every field of `TrainConfig`, besides data and output."""
    add_data_arguments(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="RUN",
        help="run folder to write (default: runs/<data>-<arch>-<time>)",
    )
    parser.add_argument(
        "--resplit",
        action="store_true",
        help="ignore the split that the data brings and make one by lesion",
    )
    parser.add_argument(
        "--report",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write report.html into the run folder (default: yes)",
    )
    parser.add_argument("--json", action="store_true", help="print the run's record as JSON")
    group = parser.add_argument_group("training")
    kinds, helps = get_type_hints(TrainConfig), _field_help()
    for field in dataclasses.fields(TrainConfig):
        flag = "--" + field.name.replace("_", "-")
        text = f"{helps[field.name]} (default: {field.default})"
        options: dict[str, Any] = {"default": field.default, "help": text}
        if kinds[field.name] is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options |= {"type": kinds[field.name], "metavar": "X"}
        group.add_argument(flag, **options)


def run(arguments: argparse.Namespace) -> int:
    """Train and print where the run is and how well it did."""
    from train.training import train

    fields = dataclasses.fields(TrainConfig)
    config = TrainConfig(**{field.name: getattr(arguments, field.name) for field in fields})
    data = data_of(arguments)
    if arguments.resplit:
        data = data.with_records(dataclasses.replace(r, split=None) for r in data.records)
    out = arguments.out or _default_out(data.root, config)
    folder = train(data, config, out)
    if arguments.report:
        from train.report import write_report

        write_report(folder)
    if arguments.json:
        from train.run import format_run

        print(json.dumps({"run": str(out), **json.loads(format_run(folder.run))}))
        return 0
    for split, metrics in folder.run.metrics.items():
        print(f"{split}:")
        for name, metric in metrics.items():
            interval = "" if metric.low is None else f"  [{metric.low:.3f}, {metric.high:.3f}]"
            print(f"  {name:<24} {metric.value:.3f}{interval}")
    print(f"run: {out}")
    return 0


def _default_out(root: Path, config: TrainConfig) -> Path:
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{root.resolve().stem}-{config.arch}-{now}"


def _field_help() -> dict[str, str]:
    """The sentences of `TrainConfig`'s docstring, by field: the flags and the class agree."""
    section = (TrainConfig.__doc__ or "").split("Attributes:")[1]
    helps: dict[str, str] = {}
    for names, text in re.findall(r"^ {8}([\w, ]+): ((?:.|\n(?! {8}\w))+)", section, re.MULTILINE):
        for name in names.split(", "):
            helps[name] = " ".join(text.split()).rstrip(".").replace("%", "%%")
    return helps
