"""The recipes that were tried for the models, `tries.toml`, and what comes of one."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from edge_runtime.errors import UsageError

FIGURES = ("melanoma_auc", "melanoma_auc_within_resolution", "balanced_accuracy", "macro_f1")
"""What a try is judged by."""

_Entry = TypeVar("_Entry")


@dataclass(frozen=True)
class Try:
    """One recipe.

    Attributes:
        name: of its run folder.
        question: what it asks.
        data: a key of `train.reference.data.TABLES`.
        flags: of `dermedge train`; ``@NAME`` stands for the run folder of an earlier try.
        answer: what its figures told, in words; empty before they are known.
    """

    name: str
    question: str
    data: str
    flags: tuple[str, ...]
    answer: str = ""

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
        own: those of `FIGURES` that there are on the validation part, as `dermedge evaluate --json`
            gives them.
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
    common, words = listed["common"]["flags"], listed["words"]
    for one in listed["try"]:
        flags = tuple(shlex.split(f"{common} {one['flags'].format_map(words)}"))
        yield Try(one["name"], one["question"], one["data"], flags, one.get("answer", ""))


def chosen(names: Sequence[str] | None, listed: Mapping[str, _Entry], file: str) -> list[_Entry]:
    """The entries of a file that are named, in its order; all of them for None.

    Raises:
        UsageError: a name that it does not have.
    """
    unknown = set(names or ()) - set(listed)
    if unknown:
        raise UsageError(f"{file} has no {min(unknown)}; it has {', '.join(listed)}.")
    return [entry for name, entry in listed.items() if names is None or name in names]


def with_needed(name: str, listed: Mapping[str, Try]) -> list[Try]:
    """The recipe of that name, and before it those whose runs it needs.

    Raises:
        UsageError: there is no such recipe.
    """
    (one,) = chosen([name], listed, "tries.toml")
    needed = [other for word in one.needs for other in with_needed(word, listed)]
    return [*dict.fromkeys(needed), one]
