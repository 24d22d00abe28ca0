"""From a folder or a CSV to one table of labelled images.

Three forms are read:

- a folder of class folders, with or without ``Train/`` and ``Test/`` (and ``Val/``) above them,
- a folder with ``images/`` and ``metadata.csv``,
- such a CSV, with ``images/`` beside it or a column ``file`` (relative to the CSV).

A CSV has the columns ``image_id`` and ``dx``, and may have ``lesion_id`` and ``split``; whatever
else it has is kept for subgroup reports.
"""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ClassError, DataNotFoundError, MissingImagesError, TableError
from edge_runtime.formats import SUFFIXES
from edge_runtime.manifest import Label
from train.data.description import Description, describe

METADATA_FILE = "metadata.csv"
IMAGES_FOLDER = "images"
SPLITS = ("train", "val", "test")
_SPLIT_WORDS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_NOTHING_KNOWN = {"", "-", "?", "n/a", "na", "nan", "none", "null", "unknown"}
_COLUMNS = ("image_id", "dx", "lesion_id", "split", "file")


@dataclass(frozen=True)
class Record:
    """One labelled image.

    Attributes:
        image_id: unique within its data set.
        file: where it is.
        label: class code.
        lesion_id: images of one lesion share it; None where it is unknown.
        split: "train", "val" or "test"; None where the data does not say.
        extra: the other columns of the table.
    """

    image_id: str
    file: Path
    label: str
    lesion_id: str | None = None
    split: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """A described table of labelled images.

    Attributes:
        root: the folder or CSV it was read from.
        description: what it says of itself.
        labels: its classes, alphabetical by code.
        records: in the order of the table.
    """

    root: Path
    description: Description
    labels: tuple[Label, ...]
    records: tuple[Record, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Class codes, in the order of `labels`."""
        return tuple(label.code for label in self.labels)

    @property
    def melanoma(self) -> str | None:
        """Code of the melanoma class, or None."""
        return self.description.melanoma if self.description.melanoma in self.codes else None

    def with_records(self, records: Iterable[Record]) -> Dataset:
        """The same data set with other records (for example with splits assigned)."""
        return replace(self, records=tuple(records))

    def of_split(self, split: str) -> tuple[Record, ...]:
        """The records of one split; where no record names a split, all of them are "test".

        Raises:
            TableError: the split is empty.
        """
        assigned = any(record.split for record in self.records)
        chosen = tuple(
            record for record in self.records if (record.split if assigned else "test") == split
        )
        if not chosen:
            held = Counter(
                (record.split or "none") if assigned else "test" for record in self.records
            )
            raise TableError(
                f"{self.root.name} has no image in the split {split!r}; it has "
                f"{', '.join(f'{count} in {name}' for name, count in sorted(held.items()))}."
            )
        return chosen


def class_indices(labels: Sequence[str], codes: Sequence[str]) -> NDArray[np.int64]:
    """Index of every image's class among a model's classes, shape (n,).

    Raises:
        ClassError: a class that the model does not know.
    """
    known = {code: index for index, code in enumerate(codes)}
    unknown = sorted(set(labels) - set(known))
    if unknown:
        raise ClassError(
            f"The data has the class {unknown[0]!r}, which the model does not know (it knows "
            f"{', '.join(codes)}); rename its images (--map does in evaluate and check) or remove "
            "them."
        )
    return np.array([known[label] for label in labels], np.int64)


def read_data(path: str | os.PathLike[str], description: Path | None = None) -> Dataset:
    """Read labelled images in any of the three forms.

    Args:
        path: folder or CSV.
        description: a ``dataset.toml`` to use instead of the one beside the images.

    Raises:
        DataNotFoundError: nothing there, or nothing that looks like labelled images.
        TableError: the CSV is unreadable, lacks a column, or contradicts itself.
        MissingImagesError: ids without a file.
        ClassError: fewer than two classes, or classes of unknown malignancy.
    """
    root = Path(path)
    if os.path.isfile(root):
        records, folder = _read_csv(root), root.parent
    elif os.path.isfile(root / METADATA_FILE):
        records, folder = _read_csv(root / METADATA_FILE), root
    elif os.path.isdir(root):
        records, folder = _read_class_folders(root), root
        _check_beside_splits(root, {record.label for record in records})
    else:
        raise DataNotFoundError(
            f"There is no data at {os.fspath(path)}; name a folder of class folders, a folder with "
            f"{IMAGES_FOLDER}/ and {METADATA_FILE}, or such a CSV."
        )
    codes = {record.label for record in records}
    if len(codes) < 2:
        raise ClassError(
            f"{root.name} holds {len(records)} images of one class ({', '.join(codes)}), expected "
            "at least two classes."
        )
    described = describe(folder, codes, description)
    return Dataset(root, described, described.labels(codes), tuple(records))


def _read_csv(path: Path) -> list[Record]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or []
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(
            f"{path.name} cannot be read as a CSV ({error}); save it as UTF-8 with commas."
        ) from None
    for column in ("image_id", "dx"):
        if column not in columns:
            raise TableError(
                f"{path.name} has the columns {', '.join(columns) or 'none'}, expected image_id "
                "and dx among them (and, where known, lesion_id and split)."
            )
    if not rows:
        raise TableError(f"{path.name} has a header and no rows; list at least one image a class.")
    files = _files_by_id(path.parent / IMAGES_FOLDER)
    records = [_record(row, number, path, files) for number, row in enumerate(rows, start=2)]
    repeated = [name for name, count in Counter(r.image_id for r in records).items() if count > 1]
    if repeated:
        raise TableError(
            f"{path.name} lists {repeated[0]} more than once ({len(repeated)} ids repeat); "
            "every image_id has to be unique."
        )
    missing = [record.image_id for record in records if not record.file.is_file()]
    if missing:
        raise MissingImagesError(
            f"{len(missing)} of {len(records)} ids in {path.name} have no file in {IMAGES_FOLDER}/ "
            f"(first: {', '.join(missing[:3])}); add the files or remove the rows."
        )
    return records


def _record(
    row: dict[str | None, str], number: int, path: Path, files: Mapping[str, Sequence[Path]]
) -> Record:
    if None in row or None in row.values():
        raise TableError(f"Row {number} of {path.name} has more or fewer cells than the header.")
    cells = {str(column): (value or "").strip() for column, value in row.items()}
    image_id, label = cells["image_id"], cells["dx"]
    if not image_id or not label:
        raise TableError(f"Row {number} of {path.name} has an empty image_id or dx; fill it in.")
    named = cells.get("file")
    found = [path.parent / named] if named else files.get(image_id, [path.parent / image_id])
    if len(found) > 1:
        raise TableError(
            f"Row {number} of {path.name} is {image_id}, which may be "
            f"{' or '.join(file.name for file in found)} in {IMAGES_FOLDER}/; give the name with "
            "its ending, or remove what is not meant."
        )
    return Record(
        image_id, found[0], label,
        lesion_id=_known(cells.get("lesion_id", "")),
        split=_split(cells.get("split", ""), f"row {number} of {path.name}"),
        extra={key: value for key, value in cells.items() if key not in _COLUMNS},
    )  # fmt: skip


def _known(word: str) -> str | None:
    """``word``, or None where it says that nothing is known: such images are not one lesion."""
    return None if word.casefold() in _NOTHING_KNOWN else word


def _split(word: str, where: str) -> str | None:
    if not word:
        return None
    split = _SPLIT_WORDS.get(word.lower())
    if split is None:
        raise TableError(f"The split in {where} is {word!r}, expected train, val or test.")
    return split


def _files_by_id(folder: Path) -> dict[str, list[Path]]:
    """Images by their names, with and without the ending."""
    files: dict[str, list[Path]] = defaultdict(list)
    if folder.is_dir():
        entries = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES)
        for entry in entries:
            files[entry.stem].append(entry)
        files |= {entry.name: [entry] for entry in entries}
    return files


def _read_class_folders(root: Path) -> list[Record]:
    folders = _visible_folders(root)
    splits = {folder: _SPLIT_WORDS.get(folder.name.lower()) for folder in folders}
    if any(splits.values()):
        pairs = [(c, splits[f]) for f in folders if splits[f] for c in _visible_folders(f)]
    else:
        pairs = [(folder, None) for folder in folders]
    records = [
        Record(file.relative_to(root).as_posix(), file, folder.name, split=split)
        for folder, split in pairs
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]
    if not records:
        raise DataNotFoundError(
            f"{root} holds neither {METADATA_FILE} nor class folders with images; see the README "
            "for the three forms of labelled data."
        )
    return records


def _check_beside_splits(root: Path, codes: Collection[str]) -> None:
    """Refuse images of known classes beside the folders of a split: they would be passed over."""
    folders = _visible_folders(root)
    parts = [folder for folder in folders if folder.name.lower() in _SPLIT_WORDS]
    for folder in folders if parts else ():
        places = [f for f in (folder, *_visible_folders(folder)) if f.name in codes]
        count = sum(file.suffix.lower() in SUFFIXES for place in places for file in place.iterdir())
        if count and folder not in parts:
            raise TableError(
                f"{root.name} has {count} images in {folder.name}/, which is neither train, val "
                f"nor test, beside {parts[0].name}/; name it so, or take it out of the folder."
            )


def check_names(records: Iterable[Record]) -> None:
    """Refuse names that no table can hold, before work whose result is a table.

    Raises:
        TableError: a file or a class folder is named in bytes that are no UTF-8.
    """
    for record in records:
        for part in record.file.parts:
            try:
                part.encode()
            except UnicodeEncodeError:
                raise TableError(
                    f"The name {os.fsencode(part)!r} is no UTF-8, in which tables are written; "
                    "rename it."
                ) from None


def _visible_folders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
