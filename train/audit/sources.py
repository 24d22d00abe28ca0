"""Labelled images as they are, faults included: the audit reads on where training would stop."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edge_runtime.errors import ClassError, MissingImagesError, TableError, UsageError
from edge_runtime.formats import SUFFIXES
from train.audit.pictures import printable
from train.data import table
from train.data.description import Description, describe
from train.data.table import IMAGES_FOLDER, METADATA_FILE, Record, read_data

UNSPLIT = "test"
"""The side on which data without any split stands, as everywhere in dermedge."""

Use = Literal["as split", "train only", "held out"]
"""What the images of a data set are for: what its split says; for training only, as far as no data
set named before shows them; or for testing only, and for no table that is written."""


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        name: of its folder or CSV, unique among the data sets given together.
        root: where it was read from.
        folder: what file names are shown relative to.
        records: images that have a file, in order; labels mapped, if so asked.
        description: what it says of itself; None where nothing says what is malignant.
        missing: ids without a file.
        strays: files among the images that are none by their name, or that the table does not list.
        remarks: why training would refuse this data set, a sentence each.
        use: what its images are for.
    """

    name: str
    root: Path
    folder: Path
    records: tuple[Record, ...]
    description: Description | None
    missing: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    use: Use = "as split"

    @property
    def codes(self) -> frozenset[str]:
        """Its classes."""
        return frozenset(record.label for record in self.records)

    @property
    def has_split(self) -> bool:
        """Whether any image is assigned to a split, by the data or by the user."""
        return self.use != "as split" or any(record.split for record in self.records)

    def side(self, record: Record) -> str:
        """On which side of the split an image stands."""
        if self.use != "as split":
            return "train" if self.use == "train only" else UNSPLIT
        return (record.split or "train") if self.has_split else UNSPLIT

    def side_word(self, side: str) -> str:
        """What a side is called for people: data without a split counts as one, and has none."""
        return side if self.has_split else "no split"

    def shown(self, record: Record) -> str:
        """How reports call the file; bytes in its name that are no UTF-8 become question marks."""
        try:
            path = record.file.relative_to(self.folder)
        except ValueError:
            path = Path(os.path.relpath(record.file, self.folder))
        return printable(path.as_posix())

    def malignant(self, label: str) -> bool | None:
        """Whether a class is malignant; None where nothing says so."""
        return None if self.description is None else label in self.description.malignant


def read_sources(
    paths: Sequence[str | os.PathLike[str]], mapping: Mapping[str, str] | None = None,
    uses: Mapping[str, Use] | None = None,
) -> tuple[Source, ...]:  # fmt: skip
    """Read one or several data sets.

    Args:
        paths: folders or CSVs, each in any of the three forms of `train.data.table`.
        mapping: class codes to rename, from old to new.
        uses: what the images of a data set are for, by its name; "as split" by default.

    Raises:
        UsageError: none given, one given twice, a mapping from a class that none has, or a use of a
            data set that is not there.
        DataError: nothing there that could be audited.
    """
    if not paths:
        raise UsageError("No data was named; give one or several folders or CSVs.")
    places = [_place(Path(path)) for path in paths]
    for index, place in enumerate(places):
        if place in places[:index]:
            raise UsageError(f"{os.fspath(paths[index])} is given twice; name every data set once.")
    sources = [_read(Path(path)) for path in paths]
    names = _names([source.folder if source.root.is_dir() else source.root for source in sources])
    mapping = mapping or {}
    unknown = sorted(set(mapping) - {code for source in sources for code in source.codes})
    if unknown:
        known = ", ".join(sorted({code for source in sources for code in source.codes}))
        raise UsageError(
            f"--map names the class {unknown[0]!r}, which no data set has (they have {known})."
        )
    uses = uses or {}
    for name in uses:
        if name not in names:
            raise UsageError(
                f"There is no data set {name!r} among those named, which are {', '.join(names)}."
            )
    return tuple(
        _mapped(replace(source, name=name, use=uses.get(name, "as split")), mapping)
        for source, name in zip(sources, names, strict=True)
    )


def _place(path: Path) -> Path:
    """What makes two ways of naming a data set the same."""
    resolved = path.resolve()
    return resolved.parent if resolved.name == METADATA_FILE else resolved


def _names(roots: Sequence[Path]) -> list[str]:
    """Folder names, made unique by their parents' where they have to be."""
    parts = [root.resolve().parts for root in roots]
    lengths = [1] * len(parts)
    while True:
        names = ["/".join(part[-length:]) for part, length in zip(parts, lengths, strict=True)]
        longer = [
            min(length + (names.count(name) > 1), len(part))
            for name, length, part in zip(names, lengths, parts, strict=True)
        ]
        if longer == lengths:
            return names
        lengths = longer


def _read(path: Path) -> Source:
    folder = path.parent if path.is_file() else path
    csv_file = path if path.is_file() else path / METADATA_FILE
    records: Sequence[Record]
    missing: list[str] = []
    remarks: list[str] = []
    description: Description | None
    try:
        data = read_data(path)
        records, description = data.records, data.description
    except (ClassError, MissingImagesError, TableError) as error:
        # Training stops here; the audit looks at what there is and repeats the sentence.
        if isinstance(error, TableError) and csv_file.is_file():
            raise
        remarks.append(str(error))
        if csv_file.is_file():
            records, missing = _read_incomplete(csv_file)
        else:
            records = table._read_class_folders(path)
        description = _described(folder, records)
    if csv_file.is_file():
        strays = _unlisted(csv_file.parent / IMAGES_FOLDER, records)
    else:
        strays = _not_images(path, records)
    return Source(
        path.name, path, folder, tuple(records), description, tuple(missing), strays, tuple(remarks)
    )


def _read_incomplete(path: Path) -> tuple[list[Record], list[str]]:
    """The rows of a CSV that have a file, and the ids of those that have none."""
    files = table._files_by_id(path.parent / IMAGES_FOLDER)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    records = [table._record(dict(row), n, path, files) for n, row in enumerate(rows, start=2)]
    there = [record for record in records if record.file.is_file()]
    if not there:
        raise MissingImagesError(
            f"None of the {len(records)} ids in {path.name} has a file; put the images into "
            f"{IMAGES_FOLDER}/ beside it, or name them in a column `file`."
        )
    return there, [record.image_id for record in records if not record.file.is_file()]


def _described(folder: Path, records: Sequence[Record]) -> Description | None:
    try:
        return describe(folder, {record.label for record in records})
    except ClassError:
        return None


def _unlisted(folder: Path, records: Sequence[Record]) -> tuple[str, ...]:
    """Files in the images folder that the table does not use."""
    if not folder.is_dir():
        return ()
    used = {record.file.name for record in records if record.file.parent == folder}
    return tuple(
        sorted(f.name for f in folder.iterdir() if f.name not in used and _visible_file(f))
    )


def _not_images(root: Path, records: Sequence[Record]) -> tuple[str, ...]:
    """Files in the class folders that are not images by their name."""
    folders = {record.file.parent for record in records}
    return tuple(
        sorted(
            file.relative_to(root).as_posix()
            for folder in folders
            for file in folder.iterdir()
            if _visible_file(file) and file.suffix.lower() not in SUFFIXES
        )
    )


def _visible_file(path: Path) -> bool:
    return not path.name.startswith(".") and path.is_file()


def _mapped(source: Source, mapping: Mapping[str, str]) -> Source:
    if not mapping:
        return source
    records = tuple(
        replace(record, label=mapping.get(record.label, record.label)) for record in source.records
    )
    described = source.description
    if described is not None:
        described = replace(
            described,
            malignant=tuple(sorted({mapping.get(code, code) for code in described.malignant})),
            melanoma=mapping.get(described.melanoma, described.melanoma),
        )
    return replace(source, records=records, description=described)
