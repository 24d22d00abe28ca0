"""The TOML file that describes a run: where the data are, and everything in `TrainConfig`.

    [data]
    path = "ham10000"

    [train]
    arch = "efficientnet_lite0"
    epochs = 30

    [augment]
    rotation = 180.0

What a file leaves out keeps its default. A run folder holds such a file with every key, and
`dermedge train --config` accepts it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from edge_runtime.errors import UsageError
from train.config import Augmentation, TrainConfig

CONFIG_FILE = "config.toml"
_SUFFIX = ".toml"


@dataclass(frozen=True)
class DataConfig:
    """Where the labelled images are.

    Attributes:
        path: a folder, a CSV, or a name in the folder that DERMEDGE_DATA names.
        description: a dataset.toml to use instead of the one beside the images; empty for none.
        resplit: ignore the split that the data brings and make one by lesion.
    """

    path: str = ""
    description: str = ""
    resplit: bool = False


@dataclass(frozen=True)
class Configuration:
    """A whole run as one value."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


Tables = dict[str, dict[str, Any]]
_TABLES: Mapping[str, type] = {"data": DataConfig, "train": TrainConfig, "augment": Augmentation}


def presets() -> tuple[str, ...]:
    """Names of the configurations that come with the package."""
    folder = files("train") / "presets"
    return tuple(sorted(entry.name.removesuffix(_SUFFIX) for entry in folder.iterdir()))


def read_preset(name: str) -> Tables:
    """The tables of a preset.

    Raises:
        UsageError: there is none of that name; says the nearest.
    """
    if name not in presets():
        raise UsageError(f"There is no preset {name!r}; {_nearest(name, presets())}")
    text = (files("train") / "presets" / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    return checked(tomllib.loads(text), f"the preset {name}")


def read_tables(path: Path) -> Tables:
    """The tables of a TOML file, every key known and every value of its type.

    Raises:
        UsageError: not readable, not TOML, or a key or value that cannot be used.
    """
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"The configuration {path} cannot be read ({error.strerror}); name a TOML file, such "
            f"as the {CONFIG_FILE} of a run folder."
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} is not TOML ({error}); correct it.") from None
    return checked(value, str(path))


def merged(*layers: Tables) -> Tables:
    """Tables in which later layers win, key by key."""
    return {
        table: {key: v for layer in layers for key, v in layer.get(table, {}).items()}
        for table in _TABLES
    }


def configuration(tables: Tables) -> Configuration:
    """The tables as a value; what they leave out has its default.

    Raises:
        UsageError: a value out of its range.
    """
    augment = Augmentation(**tables.get("augment", {}))
    train = TrainConfig(**tables.get("train", {}))
    return Configuration(DataConfig(**tables.get("data", {})), replace(train, augment=augment))


def tables_of(configuration: Configuration) -> Tables:
    """Every key of a configuration, as `merged` takes them."""
    train = asdict(configuration.train)
    augment = train.pop("augment")
    return {"data": asdict(configuration.data), "train": train, "augment": augment}


def format_configuration(configuration: Configuration) -> str:
    """The configuration as TOML, with every key."""
    import tomli_w

    return tomli_w.dumps(tables_of(configuration))


def partial_folder(out: Path) -> Path:
    """Where the run ``out`` keeps its configuration and its last epoch until it is finished."""
    return out.with_name(f"{out.name}.partial")


def differences(one: Configuration, other: Configuration) -> list[str]:
    """What the second says otherwise, such as "epochs (30, now 20)"."""
    before, after = tables_of(one), tables_of(other)
    return [
        f"{key} ({before[table][key]}, now {after[table][key]})"
        for table in before
        for key in before[table]
        if before[table][key] != after[table][key]
    ]


def checked(value: Mapping[str, Any], where: str) -> Tables:
    """The parsed content of a TOML file, if every key is known and every value of its type.

    Raises:
        UsageError: names the first key that cannot be used, and the nearest known one.
    """
    tables: Tables = {}
    for table, content in value.items():
        if table not in _TABLES:
            raise UsageError(f"{where} has a table [{table}]; {_nearest(table, [*_TABLES])}")
        if not isinstance(content, Mapping):
            raise UsageError(f"{where} has {table} = {content!r}, expected a table [{table}].")
        hints = key_types(table)
        for key, found in content.items():
            if key not in hints:
                raise UsageError(
                    f"{where} has the unknown key {key!r} in [{table}]; {_nearest(key, [*hints])}"
                )
            _check_type(found, hints[key], f"{key} in [{table}] of {where}")
        tables[table] = {k: _as(hints[k], v) for k, v in content.items()}
    return tables


def key_types(table: str) -> dict[str, Any]:
    """The keys of a table and the types of their values."""
    hints = get_type_hints(_TABLES[table])
    return {f.name: hints[f.name] for f in fields(_TABLES[table]) if hints[f.name] != Augmentation}


def _as(kind: Any, value: Any) -> Any:
    if get_origin(kind) is tuple:
        return tuple(value)
    return float(value) if kind is float else value


def _check_type(value: Any, kind: Any, where: str) -> None:
    if get_origin(kind) is Literal:
        fits, expected = value in get_args(kind), " or ".join(map(repr, get_args(kind)))
    elif get_origin(kind) is tuple:
        fits = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        expected = "a list of texts"
    else:
        numbers = (int, float) if kind is float else kind
        fits = isinstance(value, numbers) and (kind is bool or not isinstance(value, bool))
        expected = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}[
            kind
        ]
    if not fits:
        raise UsageError(f"{where} is {value!r}, expected {expected}.")


def _nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
