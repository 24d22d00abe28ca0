"""The models that come with a checkout: trained, converted and measured, from recipe to card."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge_runtime._files import write_text
from edge_runtime.errors import DataError, GateError
from train.data.shelf import DATA_VARIABLE, find
from train.reference.card import remarks
from train.reference.commands import dermedge
from train.reference.data import HAM, ISIC_2018

TESTS = (HAM, ISIC_2018)
"""The data sets whose test parts say what a model does."""
DEVICE_VARIANT, FLOAT_VARIANT = "tflite_int8", "tflite_f32"


@dataclass(frozen=True)
class Model:
    """A bundle that comes with a checkout.

    Attributes:
        name: of its folder.
        run: the recipe that it is made from.
        convert: flags of `dermedge convert`.
    """

    name: str
    run: str
    convert: tuple[str, ...]


def models() -> Iterator[Model]:
    """The models of `models.toml`."""
    text = (files("train.reference") / "models.toml").read_text(encoding="utf-8")
    for one in tomllib.loads(text)["model"]:
        yield Model(one["name"], one["run"], tuple(shlex.split(one["convert"])))


def refuse_without_tests() -> None:
    """Say before hours of training that a test set is missing at their end.

    Raises:
        DataError: one of `TESTS` is not there.
    """
    for name in TESTS:
        if not find(name).exists():
            raise DataError(
                f"There is no data set {name}; set {DATA_VARIABLE} to the folder that holds "
                f"{' and '.join(TESTS)}."
            )


def build(model: Model, work: Path, out: Path) -> dict[str, dict[str, Any]]:
    """Make a model of its recipe's run.

    The bundle is written twice: its card tells what the test images say, which only the finished
    files can be asked.

    Args:
        model: which.
        work: where `train.reference.search` has left the run.
        out: folder of the bundle; an earlier one is replaced.

    Returns:
        What `dermedge evaluate --json` says of the device's variant, by data set.

    Raises:
        TrainingError: a command ended in another way than expected.
        GateError: a variant did not pass.
    """
    trained, first = work / "search" / model.run, work / "bundles" / model.name
    _convert(model, trained, first)
    figures = {name: _figures(first, name) for name in TESTS}
    card = work / "bundles" / f"{model.name}.md"
    write_text(card, remarks(figures))
    _convert(model, trained, out, "--remarks", str(card))
    return figures


def _convert(model: Model, trained: Path, out: Path, *further: str) -> None:
    words = ("convert", str(trained), "--out", str(out), "--overwrite", *model.convert, *further)
    if dermedge(*words, accepted=(0, 1)).returncode == 1:
        raise GateError(
            f"Not every variant of {model.name} passed the gate (the table before says why); "
            "choose others in models.toml, or another recipe."
        )


def _figures(bundle: Path, data: str) -> dict[str, Any]:
    """The device's variant and, paired with it, the float one."""
    printed = dermedge(
        "evaluate", str(bundle), "--variant", DEVICE_VARIANT, "--data", data, "--split", "test",
        "--against", str(bundle), "--against-variant", FLOAT_VARIANT, "--json", keep=True,
    ).stdout  # fmt: skip
    found: dict[str, Any] = json.loads(printed)
    return found
