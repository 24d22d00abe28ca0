"""What is tuned, and between which values.

A range is written ``LOW:HIGH`` (``1e-4:1e-2``), a choice ``A,B,C`` (``16,32,64``), and a single
value keeps a key out of the search; on the command line as ``--range KEY=...``, in a TOML file as
``KEY = "..."`` in the table ``[tune]``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import UsageError
from train.config import TrainConfig
from train.configuration import key_types

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

TABLE = "tune"


@dataclass(frozen=True)
class Range:
    """All numbers between two, both included."""

    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """One of some numbers."""

    values: tuple[float, ...]


Space = Mapping[str, Range | Choice]

SPACE: Space = MappingProxyType(
    {
        "learning_rate": Range(1e-4, 1e-2),
        "batch_size": Choice((16, 32, 64)),
        "epochs": Range(5, 20),
        "augmentation": Range(0.0, 1.5),
        "dropout": Range(0.0, 0.5),
        "weight_decay": Range(1e-4, 1e-1),
    }
)
"""What is tuned unless the user says otherwise."""

LOGARITHMIC = frozenset({"learning_rate", "weight_decay"})
"""Keys whose ranges are searched by orders of magnitude."""

_MEASURES = frozenset(
    {"seed", "deterministic", "val_fraction", "test_fraction", "sensitivity", "bootstrap",
     "pretrained"}
)  # fmt: skip
"""Keys that would change what is measured, or that are no numbers."""


def tunable() -> tuple[str, ...]:
    """The keys of `TrainConfig` that may be given a range."""
    return tuple(
        name for name, kind in key_types("train").items()
        if kind in (int, float) and name not in _MEASURES
    )  # fmt: skip


def read_space(path: Path) -> dict[str, str]:
    """The table ``[tune]`` of a TOML file, as words for `make_space`.

    Raises:
        UsageError: not readable, not TOML, or without such a table.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(TABLE)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); name a TOML file with a table [{TABLE}]."
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} is not TOML ({error}); correct it.") from None
    if not isinstance(table, dict):
        raise UsageError(
            f'{path} has no table [{TABLE}], with lines as learning_rate = "1e-4:1e-2".'
        )
    return {name: str(value) for name, value in table.items()}


def make_space(
    config: TrainConfig, *layers: Iterable[tuple[str, str]]
) -> dict[str, Range | Choice]:
    """`SPACE` with other ranges, the later winning.

    Args:
        config: what holds for everything that is not tuned; it says which values can be.
        layers: (key, words) each.

    Raises:
        UsageError: an unknown key, words that are no range, or values that `TrainConfig` refuses.
    """
    space = dict(SPACE)
    for name, words in (pair for layer in layers for pair in layer):
        if name not in tunable():
            raise UsageError(f"{name!r} cannot be tuned; what can is {', '.join(tunable())}.")
        space[name] = _parse(name, words)
    for name, values in space.items():
        for value in _ends(values):
            chosen(config, {name: value})  # refuses what is out of its range
    if all(_single(values) for values in space.values()):
        raise UsageError("Every key has a single value, so there is nothing to tune; widen one.")
    return space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space in Optuna's words."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, BaseDistribution] = {}
    for name, values in space.items():
        whole, log = key_types("train")[name] is int, name in LOGARITHMIC
        if isinstance(values, Choice):
            found[name] = CategoricalDistribution([_typed(name, v) for v in values.values])
        elif whole:
            found[name] = IntDistribution(int(values.low), int(values.high), log=log)
        else:
            found[name] = FloatDistribution(values.low, values.high, log=log)
    return found


def chosen(config: TrainConfig, parameters: Mapping[str, Any]) -> TrainConfig:
    """``config`` with the values of a trial."""
    changes: dict[str, Any] = {name: _typed(name, value) for name, value in parameters.items()}
    return replace(config, **changes)


def values_within(config: TrainConfig, space: Space) -> dict[str, Any] | None:
    """The configuration's own values of what is tuned; None where one lies outside."""
    own = {name: getattr(config, name) for name in space}
    for name, values in space.items():
        inside = (
            own[name] in values.values
            if isinstance(values, Choice)
            else values.low <= own[name] <= values.high
        )
        if not inside:
            return None
    return own


def words(space: Space) -> dict[str, str]:
    """Every range as the user may write it."""
    return {
        name: ",".join(f"{v:g}" for v in values.values)
        if isinstance(values, Choice)
        else f"{values.low:g}:{values.high:g}"
        for name, values in space.items()
    }


def _parse(name: str, text: str) -> Range | Choice:
    try:
        if ":" in text:
            low, high = (float(word) for word in text.split(":"))
            parsed: Range | Choice = Range(low, high)
        else:
            parsed = Choice(tuple(float(word) for word in text.split(",")))
        numbers = _ends(parsed)
        if not all(math.isfinite(number) for number in numbers) or _disordered(parsed):
            raise ValueError
        if key_types("train")[name] is int and not all(n.is_integer() for n in numbers):
            raise ValueError
        if name in LOGARITHMIC and isinstance(parsed, Range) and parsed.low <= 0:
            raise ValueError
    except ValueError:
        kind = "whole numbers" if key_types("train")[name] is int else "numbers"
        above = ", above 0" if name in LOGARITHMIC else ""
        raise UsageError(
            f"The range {name}={text} cannot be used, expected LOW:HIGH or A,B,C in {kind}{above}."
        ) from None
    return parsed


def _disordered(values: Range | Choice) -> bool:
    if isinstance(values, Range):
        return values.low >= values.high
    return len(set(values.values)) < len(values.values)


def _ends(values: Range | Choice) -> tuple[float, ...]:
    return values.values if isinstance(values, Choice) else (values.low, values.high)


def _single(values: Range | Choice) -> bool:
    return isinstance(values, Choice) and len(values.values) == 1


def _typed(name: str, value: float) -> int | float:
    return int(value) if key_types("train")[name] is int else float(value)
