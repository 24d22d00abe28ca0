"""The run folder: what a training leaves behind, and all that conversion needs.

run.json                what was trained, on what, how, and how well (schema version 1)
model.keras             the Keras model
split.csv               every image: id, file, SHA-256, label, lesion, split
history.csv             one row an epoch; none for a model that was trained elsewhere
predictions_<split>.csv probabilities on validation and test
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime._files import sha256
from edge_runtime._strict import RecordError, from_json, to_json
from edge_runtime.errors import LeakError, MissingImagesError, RunError, UsageError
from edge_runtime.manifest import Label, Metric, OperatingPoint
from edge_runtime.preprocess import InputRule
from train.calibration import Calibration
from train.config import TrainConfig
from train.data.description import Description
from train.data.split import groups_of, names_lesion
from train.data.table import SPLITS
from train.data.tensors import digest_files

SCHEMA_VERSION = 1
RUN_FILE, MODEL_FILE, SPLIT_FILE, HISTORY_FILE = (
    "run.json",
    "model.keras",
    "split.csv",
    "history.csv",
)
_SPLIT_COLUMNS = ("image_id", "file", "sha256", "label", "lesion_id", "split")


@dataclass(frozen=True)
class SplitRow:
    """One image of the run's data; ``attributes`` are the other columns of its table."""

    image_id: str
    file: str
    sha256: str
    label: str
    lesion_id: str
    split: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def lesions_of(rows: Sequence[SplitRow]) -> NDArray[np.str_]:
    """What intervals resample, shape (n,): the lesion of every row, see `groups_of`."""
    return np.array(groups_of(rows, [row.sha256 for row in rows]), np.str_)


@dataclass(frozen=True)
class LesionCount:
    """How many lesions a part has.

    Attributes:
        named: lesions that the data names.
        unnamed: further photographs whose lesions it does not name, those that the audit found
            alike counted once; several may show one lesion.
    """

    named: int
    unnamed: int

    @property
    def words(self) -> str:
        """As in "5 images of 3 lesions"."""
        unnamed = f"{self.unnamed:,} unlike photographs whose lesions are not known"
        named = f"{self.named:,} lesions"
        if not self.unnamed:
            return named
        return f"{named} and of {unnamed}" if self.named else unnamed


def lesions_by_split(rows: Sequence[SplitRow]) -> dict[str, LesionCount]:
    """The lesions of each part; empty where photographs have neither lesions nor groups."""
    if not any(row.lesion_id for row in rows):
        return {}
    names = [names_lesion(row.lesion_id) for row in rows]
    lesions, parts = lesions_of(rows), np.array([row.split for row in rows])
    counts = {}
    for split in SPLITS:
        groups = set(lesions[parts == split].tolist())
        named = len(groups & set(lesions[names].tolist()))
        counts[split] = LesionCount(named, len(groups) - named)
    return counts


@dataclass(frozen=True)
class Run:
    """The content of `run.json`.

    Attributes:
        name: of the run; the folder's name when it was trained.
        created: UTC, ISO 8601.
        weights: where the first weights came from.
        labels: in the order of the model's outputs.
        melanoma: code of the melanoma class, or None.
        input: how an image becomes the model's input.
        data: what the data set says of itself.
        data_folder: where the images were; used again by convert unless told otherwise.
        counts: images by split, then by class.
        best_epoch: counted from 1; 0 for a model that was trained elsewhere.
        calibration: the temperature, and whether it is folded into the last layer.
        operating_points: by target, chosen on validation.
        metrics: by split, then by name.
        files: SHA-256 of the other files of the folder.
    """

    schema_version: int
    name: str
    created: str
    weights: str
    labels: tuple[Label, ...]
    melanoma: str | None
    input: InputRule
    data: Description
    data_folder: str
    counts: Mapping[str, Mapping[str, int]]
    config: TrainConfig
    best_epoch: int
    calibration: Calibration
    operating_points: Mapping[str, OperatingPoint]
    metrics: Mapping[str, Mapping[str, Metric]]
    versions: Mapping[str, str]
    files: Mapping[str, str]

    @property
    def codes(self) -> tuple[str, ...]:
        """Class codes in the order of the model's outputs."""
        return tuple(label.code for label in self.labels)


@dataclass(frozen=True)
class RunFolder:
    """An opened run folder."""

    folder: Path
    run: Run

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> RunFolder:
        """Read `run.json` and check the other files against it.

        Raises:
            RunError: missing, damaged, altered, or of an unknown version.
        """
        path = Path(folder)
        try:
            value: Any = json.loads((path / RUN_FILE).read_bytes())
        except OSError as error:
            raise RunError(
                f"{os.fspath(folder)} holds no readable {RUN_FILE} ({error.strerror}); name a run "
                "folder that `dermedge train` wrote."
            ) from None
        except ValueError as error:
            raise RunError(f"{RUN_FILE} is not JSON ({error}); train again.") from None
        version = value.get("schema_version") if isinstance(value, dict) else None
        if version != SCHEMA_VERSION:
            raise RunError(
                f"{RUN_FILE} has schema version {version!r}, this package reads {SCHEMA_VERSION}; "
                "use the dermedge that wrote it, or train again."
            )
        try:
            opened = cls(path, from_json(Run, value, "run"))
        except (RecordError, UsageError) as error:
            raise RunError(f"{RUN_FILE} is not valid: {error}; train again.") from None
        for name in opened.run.files:
            opened._read(name)
        return opened

    def model(self) -> Any:
        """The Keras model, its file checked against the run's digest.

        Raises:
            RunError: the file is missing, altered, or does not load.
        """
        import keras

        self._read(MODEL_FILE)
        try:
            return keras.models.load_model(self.folder / MODEL_FILE, compile=False)
        except (OSError, ValueError, TypeError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RunError(f"{MODEL_FILE} does not load ({reason}); train again.") from None

    def rows(self) -> tuple[SplitRow, ...]:
        """Every image of the run's data, in the order of its table."""
        reader = csv.reader(io.StringIO(self._read(SPLIT_FILE).decode("utf-8")))
        columns, own = tuple(next(reader, ())), len(_SPLIT_COLUMNS)
        if columns[:own] != _SPLIT_COLUMNS:
            raise RunError(f"{SPLIT_FILE} has unexpected columns; train again.")
        others = columns[own:]  # the data's, which may bear the names of ours: by their place
        return tuple(
            SplitRow(
                **dict(zip(_SPLIT_COLUMNS, row[:own], strict=True)),
                attributes=dict(zip(others, row[own:], strict=True)),
            )
            for row in reader
        )

    def find_images(
        self, split: str | None = None, data: Path | None = None
    ) -> tuple[tuple[SplitRow, ...], list[Path]]:
        """The images of one split, or of all, found again and proved to be the same.

        Args:
            split: which part; None for all of them.
            data: where they are now, if they have moved.

        Returns:
            their rows, and their files in the same order.

        Raises:
            MissingImagesError: an image is gone.
            LeakError: an image is no longer the one that the run has seen.
        """
        folder = data or Path(self.run.data_folder)
        base = folder.parent if folder.is_file() else folder
        rows = tuple(row for row in self.rows() if split in (None, row.split))
        files = [base / row.file for row in rows]
        gone = [row.file for row, file in zip(rows, files, strict=True) if not file.is_file()]
        if gone:
            raise MissingImagesError(
                f"{len(gone)} of {len(rows)} images of the run are not in {base} (first: "
                f"{gone[0]}); say with --data where they are."
            )
        found = digest_files(files)
        pairs = zip(rows, found, strict=True)
        changed = [row.file for row, digest in pairs if row.sha256 != digest]
        if changed:
            raise LeakError(
                f"{len(changed)} images have changed since training (first: {changed[0]}), so the "
                "split no longer holds; restore them, or train again."
            )
        return rows, files

    def _read(self, name: str) -> bytes:
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise RunError(
                f"{name} of the run {self.folder.name} cannot be read ({error.strerror}); "
                "train again."
            ) from None
        if sha256(content) != self.run.files.get(name):
            raise RunError(
                f"{name} of the run {self.folder.name} was altered since training; train again."
            )
        return content


def format_run(run: Run) -> str:
    """The text of `run.json`."""
    return json.dumps(to_json(run), indent=1, ensure_ascii=False) + "\n"


def split_csv(rows: Sequence[SplitRow]) -> str:
    """The text of `split.csv`: the columns of `SplitRow`, then those of the data's table."""
    others = tuple(rows[0].attributes) if rows else ()
    return _csv(
        (*_SPLIT_COLUMNS, *others),
        [
            [
                *(getattr(row, name) for name in _SPLIT_COLUMNS),
                *(row.attributes.get(name, "") for name in others),
            ]
            for row in rows
        ],
    )


def history_csv(history: Sequence[Mapping[str, float]]) -> str:
    """The text of `history.csv`: one row an epoch, the columns of the first row."""
    columns = tuple(history[0]) if history else ("epoch",)
    return _csv(columns, [[row[name] for name in columns] for row in history])


def predictions_csv(
    rows: Sequence[SplitRow], codes: Sequence[str], probabilities: NDArray[np.float32]
) -> str:
    """The text of `predictions_<split>.csv`: id, lesion, label, one column a class."""
    return _csv(
        ("image_id", "lesion_id", "label", *(f"p_{code}" for code in codes)),
        [
            [row.image_id, row.lesion_id, row.label, *map(str, answered)]
            for row, answered in zip(rows, probabilities, strict=True)
        ],
    )


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
