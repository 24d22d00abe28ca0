"""`import.json`: what a run knows of a model that was trained elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from edge_runtime._strict import RecordError, from_json, to_json
from edge_runtime.errors import RunError
from edge_runtime.manifest import Metric
from train.config import IMPORTED
from train.run import RunFolder

IMPORT_FILE = "import.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Tried:
    """How the model's answers fit the images under one normalisation.

    Attributes:
        log_loss: in nats, at the best temperature.
        auc: mean over the classes of one against the rest, with a 99% interval.
    """

    log_loss: float
    auc: Metric


@dataclass(frozen=True)
class Imported:
    """Where the model came from, what was checked, and what had to be taken on trust.

    Attributes:
        file, sha256: the model file that was imported.
        ending: what it ended in, in words.
        normalisation: the rule that is now inside the model.
        declared: whether the user named it; it was found by behaviour otherwise.
        checked_on: validation images on which every rule was tried.
        tried: what came of it, by rule.
        difference: largest difference of a probability between the file's model, fed by its own
            rule, and the model of the run, fed with bytes; before the temperature.
        trained_on: what is taken as trained on, and why, in words.
        accepted: what the check found and the user accepted, in words; empty where all was well.
    """

    schema_version: int
    file: str
    sha256: str
    ending: str
    normalisation: str
    declared: bool
    checked_on: int
    tried: Mapping[str, Tried]
    difference: float
    trained_on: str
    accepted: str = ""


def format_import(imported: Imported) -> str:
    """The text of `import.json`."""
    return json.dumps(to_json(imported), indent=1, ensure_ascii=False) + "\n"


def read_import(folder: RunFolder) -> Imported | None:
    """What a run knows of its import; None if it was trained here.

    Raises:
        RunError: the file is damaged or of an unknown version.
    """
    if folder.run.config.arch != IMPORTED:
        return None
    try:
        imported = from_json(Imported, json.loads((folder.folder / IMPORT_FILE).read_bytes()))
    except (OSError, ValueError, RecordError) as error:
        raise RunError(f"{IMPORT_FILE} is not valid ({error}); import the model again.") from None
    if imported.schema_version != SCHEMA_VERSION:
        raise RunError(
            f"{IMPORT_FILE} has schema version {imported.schema_version}, this package reads "
            f"{SCHEMA_VERSION}; use the dermedge that wrote it, or import the model again."
        )
    return imported
