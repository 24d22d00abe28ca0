"""The arguments that describe a run, the same for every verb that trains."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from edge_runtime.errors import UsageError
from train.architectures import ARCHITECTURES
from train.commands.data import add_data_arguments
from train.config import Augmentation, TrainConfig
from train.configuration import (
    Configuration,
    Tables,
    checked,
    configuration,
    key_types,
    merged,
    presets,
    read_preset,
    read_tables,
)
from train.data.shelf import find, looked_for

if TYPE_CHECKING:
    from train.data.table import Dataset


@dataclass(frozen=True)
class Configured:
    """What the arguments say.

    Attributes:
        data: the labelled images, without their split where it is to be made anew.
        configuration: where they are, and how to train.
    """

    data: Dataset
    configuration: Configuration

    @property
    def train(self) -> TrainConfig:
        """How to train."""
        return self.configuration.train


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """``--config``, ``--preset``, the data, and one flag for every key of `TrainConfig`."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help="a TOML file that describes the run, such as the config.toml of a run folder; flags "
        "override it",
    )  # fmt: skip
    parser.add_argument(
        "--preset", metavar="NAME",
        help=f"start from a configuration that comes with the package: {', '.join(presets())}",
    )  # fmt: skip
    add_data_arguments(parser)
    parser.add_argument(
        "--resplit", action=argparse.BooleanOptionalAction, default=None,
        help="ignore the split that the data brings and make one by lesion",
    )  # fmt: skip
    group = parser.add_argument_group("training")
    helps, defaults = _field_help(TrainConfig), TrainConfig()
    for name, kind in key_types("train").items():
        told = helps[name]
        if name == "arch":
            told += ": " + "; ".join(f"{one.name}, {one.summary}" for one in ARCHITECTURES.values())
        default = getattr(defaults, name)
        text = f"{told} (default: {'none' if default in ('', ()) else default})"
        options: dict[str, Any] = {"default": None, "help": text}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif get_origin(kind) is Literal:
            options["choices"] = get_args(kind)
        elif get_origin(kind) is tuple:
            options |= {"action": "append", "metavar": "X"}
        else:
            options |= {"type": kind, "metavar": "X"}
        group.add_argument("--" + name.replace("_", "-"), **options)
    ranges = ", ".join(f"{field.name} {field.default:g}" for field in fields(Augmentation))
    group.add_argument(
        "--augment", action="append", default=[], metavar="NAME=X",
        help=f"one range of the augmentation, may be given again (defaults: {ranges})",
    )  # fmt: skip


def configured(arguments: argparse.Namespace) -> Configured:
    """The data and the configuration that the arguments name.

    Raises:
        UsageError: no data was named, or a key or value cannot be used.
        DataError: the data cannot be used.
    """
    return open_data(configuration(said(arguments)))


def said(arguments: argparse.Namespace) -> Tables:
    """What preset, file and flags say, the later winning, and nothing that they leave out.

    Raises:
        UsageError: a key or value cannot be used.
    """
    return merged(
        read_preset(arguments.preset) if arguments.preset else {},
        read_tables(arguments.config) if arguments.config else {},
        _flags(arguments),
    )


def open_data(chosen: Configuration) -> Configured:
    """A configuration with its data read.

    Raises:
        UsageError: no data was named.
        DataError: the data cannot be used.
    """
    from train.data.table import read_data

    if not chosen.data.path:
        raise UsageError("No data was named; add `--data DATA`.")
    description = Path(chosen.data.description) if chosen.data.description else None
    with looked_for(chosen.data.path):
        data = read_data(find(chosen.data.path), description)
    if chosen.data.resplit:
        data = data.with_records(replace(r, split=None) for r in data.records)
    return Configured(data, chosen)


def _flags(arguments: argparse.Namespace) -> Tables:
    description = arguments.description and str(arguments.description)
    tables: Tables = {
        "data": dict(path=arguments.data, description=description, resplit=arguments.resplit),
        "train": {key: getattr(arguments, key) for key in key_types("train")},
        "augment": dict(_range(word) for word in arguments.augment),
    }
    kept = {t: {k: v for k, v in c.items() if v is not None} for t, c in tables.items()}
    return checked(kept, "the command line")


def _range(word: str) -> tuple[str, float]:
    name, _, number = word.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise UsageError(
            f"--augment {word} cannot be read, expected for example --augment rotation=90."
        ) from None


def _field_help(of: type) -> dict[str, str]:
    """The sentences of a class's docstring, by field: the flags and the class agree."""
    section = (of.__doc__ or "").split("Attributes:")[1]
    helps: dict[str, str] = {}
    for names, text in re.findall(r"^ {8}([\w, ]+): ((?:.|\n(?! {8}\w))+)", section, re.MULTILINE):
        for name in names.split(", "):
            helps[name] = " ".join(text.split()).rstrip(".").replace("%", "%%")
    return helps
