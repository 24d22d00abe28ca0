"""Try recipes one after another: `python -m train.reference.search`, and write what came of them.

Each try is one `dermedge train`, then `dermedge evaluate` on validation and, where ISIC 2017 was
not trained on, on its training images: a source that the model has never seen. No test image is
looked at. A second call goes on where the first was interrupted.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge_runtime._files import write_text
from edge_runtime.errors import DermedgeError
from train.configuration import partial_folder
from train.reference.commands import dermedge
from train.reference.data import ISIC_2017, TABLES, table
from train.report.evidence import read_history
from train.run import RunFolder

PAGE = Path("docs/model-search.md")
WORK = Path("out/reference")
_BOOTSTRAP = ("--bootstrap", "500")


@dataclass(frozen=True)
class Try:
    """One recipe.

    Attributes:
        name: of its run folder.
        question: what it asks.
        data: a key of `train.reference.data.TABLES`.
        flags: of `dermedge train`; ``@NAME`` stands for the run folder of an earlier try.
    """

    name: str
    question: str
    data: str
    flags: tuple[str, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """The tries whose runs it begins with or learns from."""
        return tuple(word[1:] for word in self.flags if word.startswith("@"))

    def command(self, data: Path, out: Path) -> list[str]:
        """The words after `dermedge`; the folders of other tries are beside ``out``."""
        flags = [
            str(out.with_name(word[1:])) if word.startswith("@") else word for word in self.flags
        ]
        return ["train", "--data", str(data), *flags, "--out", str(out)]


@dataclass(frozen=True)
class Found:
    """What came of a try.

    Attributes:
        minutes: of training, by the clock of the machine it ran on.
        epochs, best_epoch: trained, and taken.
        own: figures on the validation part, as `dermedge evaluate --json` gives them.
        foreign: the same on ISIC 2017's training images; None where they were trained on.
    """

    minutes: float
    epochs: int
    best_epoch: int
    own: dict[str, Any]
    foreign: dict[str, Any] | None


def tries() -> Iterator[Try]:
    """The recipes of `tries.toml`, in order."""
    text = (files("train.reference") / "tries.toml").read_text(encoding="utf-8")
    listed = tomllib.loads(text)
    common = listed["common"]["flags"]
    for one in listed["try"]:
        words = one["flags"] if one.get("alone") else f"{common} {one['flags']}"
        yield Try(one["name"], one["question"], one["data"], tuple(shlex.split(words)))


def run(one: Try, work: Path) -> Found:
    """Train and evaluate a recipe, as far as it has not been done.

    Raises:
        TrainingError: a command ended in another way than expected.
        DataError: the table cannot be made.
    """
    out = work / "search" / one.name
    if not out.exists():
        if partial_folder(out).exists():
            dermedge("train", "--resume", str(out))
        else:
            dermedge(*one.command(table(one.data, work), out))
    folder = RunFolder.open(out)
    history = read_history(folder)
    foreign = None
    if ISIC_2017 not in TABLES[one.data]:
        foreign = _figures(
            out.with_suffix(".isic2017.json"), str(out), "--data", ISIC_2017, "--map", "sk=bkl",
            "--split", "train",
        )  # fmt: skip
    return Found(
        minutes=sum(row["seconds"] for row in history) / 60,
        epochs=len(history),
        best_epoch=folder.run.best_epoch,
        own=_figures(out.with_suffix(".val.json"), str(out), "--split", "val"),
        foreign=foreign,
    )


def _figures(kept: Path, *words: str) -> dict[str, Any]:
    if not kept.is_file():
        printed = dermedge("evaluate", *words, "--json", *_BOOTSTRAP, keep=True)
        write_text(kept, printed)
    metrics: dict[str, Any] = json.loads(kept.read_text("utf-8"))["metrics"]
    return metrics


def main(words: Sequence[str] | None = None) -> int:
    """Try everything that has not been tried, and write the page."""
    from train.reference.page import page

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--work", type=Path, default=WORK, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=PAGE, metavar="FILE")
    parser.add_argument("--only", action="append", metavar="NAME", help="no other tries")
    given = parser.parse_args(words)
    found: dict[str, Found] = {}
    try:
        for one in tries():
            if given.only and one.name not in given.only and not (
                given.work / "search" / one.name
            ).exists():  # fmt: skip
                continue
            found[one.name] = run(one, given.work)
            write_text(given.out, page([one for one in tries() if one.name in found], found))
    except DermedgeError as error:
        print(f"search: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
