"""`dermedge train`: labelled images in, a run folder out."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_runtime.errors import UsageError
from train.commands.configured import (
    Configured,
    add_config_arguments,
    configured,
    open_data,
    said,
)
from train.commands.written import add_output_arguments, default_out, tell
from train.configuration import CONFIG_FILE, configuration, merged, partial_folder, read_tables

SUMMARY = "Train a Keras CNN on labelled images; writes a run folder."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run's description, and what to do with it."""
    add_config_arguments(parser)
    add_output_arguments(parser, "arch")
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
        "--tensorboard", type=Path, metavar="FOLDER",
        help="write curves for TensorBoard into a folder of that folder",
    )  # fmt: skip
    parser.add_argument(
        "--mlflow", metavar="URI",
        help="tell the run to MLflow, for example sqlite:///mlflow.db (extra: mlflow)",
    )  # fmt: skip


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
    out = begun or arguments.out or default_out(chosen.data.root, chosen.train.arch)
    with tracking(
        out.name, chosen.data.description.name, chosen.train, tensorboard=arguments.tensorboard,
        mlflow=arguments.mlflow, resumed=bool(begun),
    ) as told:  # fmt: skip
        folder = train(
            chosen.data, chosen.train, out, where=chosen.configuration.data, on_epoch=told.epoch,
            resume=bool(begun), no_more=bool(arguments.finish),
        )  # fmt: skip
        told.finished(folder.run)
    tell(folder, out, arguments)
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
