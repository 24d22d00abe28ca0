"""`dermedge train`: labelled images in, a run folder out."""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

from edge_runtime.errors import UsageError
from train.commands.configured import (
    Configured,
    add_config_arguments,
    configured,
    open_data,
    said,
)
from train.config import TrainConfig
from train.configuration import CONFIG_FILE, configuration, merged, partial_folder, read_tables

SUMMARY = "Train a Keras CNN on labelled images; writes a run folder."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run's description, and what to do with it."""
    add_config_arguments(parser)
    parser.add_argument(
        "--out", type=Path, metavar="RUN",
        help="run folder to write (default: runs/<data>-<arch>-<time>)",
    )  # fmt: skip
    parser.add_argument(
        "--resume", type=Path, metavar="RUN",
        help="go on with a run that was interrupted, from its last whole epoch",
    )  # fmt: skip
    parser.add_argument(
        "--finish", type=Path, metavar="RUN",
        help="write the run folder of a run that was interrupted from its best epoch so far",
    )  # fmt: skip
    parser.add_argument(
        "--show-augmentation", type=Path, metavar="PNG",
        help="draw what the augmentation does to some training images, and do not train",
    )  # fmt: skip
    parser.add_argument(
        "--report", action=argparse.BooleanOptionalAction, default=True,
        help="write report.html into the run folder (default: yes)",
    )  # fmt: skip
    parser.add_argument(
        "--tensorboard", type=Path, metavar="FOLDER",
        help="write curves for TensorBoard into a folder of that folder",
    )  # fmt: skip
    parser.add_argument(
        "--mlflow", metavar="URI",
        help="tell the run to MLflow, for example sqlite:///mlflow.db (extra: mlflow)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the run's record as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Train and print where the run is and how well it did."""
    from train.tracking import tracking
    from train.training import show_augmentation, train

    begun = arguments.resume or arguments.finish
    chosen = _begun(arguments, begun) if begun else configured(arguments)
    if arguments.show_augmentation:
        show_augmentation(chosen.data, chosen.train, arguments.show_augmentation)
        print(arguments.show_augmentation)
        return 0
    out = begun or arguments.out or _default_out(chosen.data.root, chosen.train)
    with tracking(
        out.name, chosen.data.description.name, chosen.train, tensorboard=arguments.tensorboard,
        mlflow=arguments.mlflow, resumed=bool(begun),
    ) as told:  # fmt: skip
        folder = train(
            chosen.data, chosen.train, out, where=chosen.configuration.data, on_epoch=told.epoch,
            resume=bool(begun), no_more=bool(arguments.finish),
        )  # fmt: skip
        told.finished(folder.run)
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


def _begun(arguments: argparse.Namespace, out: Path) -> Configured:
    """The configuration of an interrupted run, and what else the arguments say."""
    if out.exists():
        raise UsageError(f"{out} is finished; there is nothing to go on with.")
    file = partial_folder(out) / CONFIG_FILE
    if not file.is_file():
        raise UsageError(
            f"There is no interrupted run {out} (no {file}); name the folder that was given as "
            "--out, or train anew."
        )
    return open_data(configuration(merged(read_tables(file), said(arguments))))


def _default_out(root: Path, config: TrainConfig) -> Path:
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{root.resolve().stem}-{config.arch}-{now}"
