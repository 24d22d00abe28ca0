"""The arguments by which every verb is told where the labelled images are, and of what classes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.errors import UsageError
from train.data.shelf import DATA_VARIABLE, find, looked_for

if TYPE_CHECKING:
    from train.data.table import Dataset


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """``--data`` and ``--description``."""
    parser.add_argument(
        "--data", metavar="DATA",
        help="folder of class folders, folder with images/ and metadata.csv, or such a CSV; a name "
        f"alone is also looked for in the folder ${DATA_VARIABLE}",
    )  # fmt: skip
    parser.add_argument(
        "--description", type=Path, metavar="FILE",
        help="a dataset.toml to use instead of the one beside the images",
    )  # fmt: skip


def add_mapping_argument(parser: argparse.ArgumentParser) -> None:
    """``--map``, see `train.evaluation.classes.parse_mapping`."""
    parser.add_argument(
        "--map", action="append", default=[], metavar="OLD=NEW",
        help="the data's class OLD is the model's class NEW; may be given again",
    )  # fmt: skip


def data_of(arguments: argparse.Namespace) -> Dataset:
    """The data set that the arguments name.

    Raises:
        UsageError: none was named.
        DataError: it cannot be used.
    """
    from train.data.table import read_data

    if not arguments.data:
        raise UsageError("No data was named; add `--data DATA`.")
    with looked_for(arguments.data):
        return read_data(find(arguments.data), arguments.description)
