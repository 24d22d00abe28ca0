"""A table that can be trained on: conflicts set aside, copies dropped, a split that does not leak.

What is left out goes into a second table with the reason, so that nothing vanishes silently.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from edge_runtime._files import write_text
from edge_runtime.errors import ClassError
from train.audit.auditing import Audit
from train.audit.findings import Item
from train.audit.sources import Source
from train.data.description import DESCRIPTION_FILE, Description
from train.data.split import split
from train.data.table import SPLITS, Dataset, Record, read_data

_COLUMNS = ("image_id", "dx", "lesion_id", "split", "file", "data_set")


def fix(found: Audit, path: Path, seed: int = 0, accepted: Collection[str] = ()) -> str:
    """Write ``path`` and, beside it, what was set aside and why.

    A split that the data brings is kept where nothing in it leaks; otherwise one is made anew by
    `train.data.split`, by picture and lesion group and stratified by class.

    Args:
        found: the audit.
        path: the CSV to write, the third form of `train.data.table`.
        seed: of the split.
        accepted: classes that the user has named on purpose.

    Returns:
        a sentence on what was written.

    Raises:
        ClassError: the classes of the data sets do not meet, or one is too small to be split.
    """
    check_classes_meet(found.sources, accepted)
    aside = _set_aside(found)
    keeps_split = _splits_hold(found, aside)
    if not keeps_split:
        aside |= _too_few(found, aside)
    kept = [index for index in range(len(found.items)) if index not in aside]
    if not kept:
        raise ClassError("All images would be set aside, so there is nothing to write.")
    records = _records(found, kept)
    if not keeps_split:
        records = [replace(record, split=None) for record in records]
    data = Dataset(path, Description(path.stem, ()), (), tuple(records))
    records = list(split(data, [found.items[i].digest for i in kept], seed=seed).records)
    made = "that the data brings is kept" if keeps_split else "is new"
    folder = path.resolve().parent
    origins = [found.items[index].source.name for index in kept]
    _write_records(path, records, origins, folder)
    aside_path = path.with_name(f"{path.name.removesuffix(path.suffix)}.set-aside.csv")
    _write_aside(aside_path, found, aside, folder)
    described = _ensure_readable(path, found)
    sides = Counter(str(record.split) for record in records)
    parts = ", ".join(f"{sides[side]} {side}" for side in ("train", "val", "test") if sides[side])
    return (
        f"{path}: {len(records)} images ({parts}); the split {made}. {aside_path.name}: "
        f"{len(aside)} images set aside.{_lost(found, aside)}{described}"
    )


def check_classes_meet(sources: tuple[Source, ...], accepted: Collection[str] = ()) -> None:
    """Refuse to merge data sets that name their classes differently.

    The data set with the most classes sets the names; the others may have fewer, not different
    ones, except those that the user has ``accepted``.

    Raises:
        ClassError: says which do not meet and how to map them.
    """
    reference = max(sources, key=lambda source: len(source.codes))
    for source in sources:
        foreign = sorted(source.codes - reference.codes - set(accepted))
        if foreign:
            hints = " ".join(
                f'--map "{code}={_meant(source, code, reference) or code}"' for code in foreign
            )
            raise ClassError(
                f"{source.name} has the class{'es' if len(foreign) > 1 else ''} "
                f"{', '.join(foreign)}, which {reference.name} does not have (it has "
                f"{', '.join(sorted(reference.codes))}); say what they are called there, as in "
                f"{hints}, where naming a class as itself keeps it apart."
            )


def _meant(source: Source, code: str, reference: Source) -> str | None:
    """The class of ``reference`` that bears the same full name, if there is one."""
    if source.description is None or reference.description is None:
        return None
    name = source.description.labels(source.codes)
    theirs = {label.name: label.code for label in reference.description.labels(reference.codes)}
    return next((theirs.get(label.name) for label in name if label.code == code), None)


def _lost(found: Audit, aside: Collection[int]) -> str:
    """A sentence on classes of which nothing is left."""
    before = {item.record.label for item in found.items}
    after = {item.record.label for i, item in enumerate(found.items) if i not in aside}
    lost = sorted(before - after)
    return f" Nothing is left of the class {', '.join(lost)}." if lost else ""


def _set_aside(found: Audit) -> dict[int, str]:
    """Why images are left out, by index."""
    aside = {i: f"cannot be read: {found.facts[i].problem}" for i in found.unreadable}
    for group in found.findings.conflicts:
        labels = sorted({found.items[member].record.label for member in group.members})
        for member in group.members:
            aside.setdefault(member, f"one picture under the labels {', '.join(labels)}")
    first: dict[str, int] = {}
    for index, item in enumerate(found.items):
        if index not in aside and first.setdefault(item.digest, index) != index:
            aside[index] = f"the same file as {found.shown(first[item.digest])}"
    return aside


def _records(found: Audit, kept: list[int]) -> list[Record]:
    """The kept records, with unique ids, and lesions that are the picture-or-lesion groups."""
    groups: dict[int, list[int]] = defaultdict(list)
    for index in kept:
        groups[int(found.findings.group_of[index])].append(index)
    names: dict[int, str] = {}
    for members in groups.values():
        name = next((n for m in members if (n := found.items[m].record.lesion_id)), None)
        names |= dict.fromkeys(members, _unique_lesion(found, members[0], name))
    ids = Counter(found.items[index].record.image_id for index in kept)
    records = []
    for index in kept:
        item = found.items[index]
        own = item.record.image_id
        image_id = own if ids[own] == 1 else f"{item.source.name}/{own}"
        records.append(replace(item.record, image_id=image_id, lesion_id=names[index]))
    return records


def _unique_lesion(found: Audit, index: int, lesion: str | None) -> str:
    """A name for a group: its first lesion where one is known, else its number."""
    number = int(found.findings.group_of[index])
    if lesion is None:
        return f"group-{number:06d}"
    return lesion if len(found.sources) == 1 else f"{lesion}/{number:06d}"


def _splits_hold(found: Audit, aside: Collection[int]) -> bool:
    """Whether every data set brings a split, and no kept group stands on several sides."""
    sides: dict[int, set[str]] = defaultdict(set)
    for index, item in enumerate(found.items):
        if index not in aside:
            sides[int(found.findings.group_of[index])].add(item.side)
    return all(source.has_split for source in found.sources) and all(
        len(several) == 1 for several in sides.values()
    )


def _too_few(found: Audit, aside: Collection[int]) -> dict[int, str]:
    """Images of classes that cannot be shared between all parts of a split."""
    groups: dict[str, set[int]] = defaultdict(set)
    for index, item in enumerate(found.items):
        if index not in aside:
            groups[item.record.label].add(int(found.findings.group_of[index]))
    return {
        index: f"too few pictures of the class {item.record.label} are left to be split: "
        f"{len(groups[item.record.label])}, expected at least {len(SPLITS)}"
        for index, item in enumerate(found.items)
        if index not in aside and len(groups[item.record.label]) < len(SPLITS)
    }


def _write_records(path: Path, records: list[Record], origins: list[str], folder: Path) -> None:
    extras = list(dict.fromkeys(key for record in records for key in record.extra))
    extras = [key for key in extras if key not in _COLUMNS]
    rows: list[dict[str, object]] = [
        {
            **{key: record.extra.get(key, "") for key in extras},
            "image_id": record.image_id, "dx": record.label, "lesion_id": record.lesion_id,
            "split": record.split, "file": _relative(record.file, folder), "data_set": origin,
        }
        for record, origin in zip(records, origins, strict=True)
    ]  # fmt: skip
    _write_csv(path, [*_COLUMNS, *extras], rows)


def _write_aside(path: Path, found: Audit, aside: Mapping[int, str], folder: Path) -> None:
    def row(index: int, item: Item) -> dict[str, object]:
        return {
            "image_id": item.record.image_id, "dx": item.record.label,
            "file": _relative(item.record.file, folder), "data_set": item.source.name,
            "reason": aside[index],
        }  # fmt: skip

    rows = [row(index, found.items[index]) for index in sorted(aside)]
    _write_csv(path, ["image_id", "dx", "file", "data_set", "reason"], rows)


def _write_csv(path: Path, columns: list[str], rows: list[dict[str, object]]) -> None:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def _relative(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file.resolve(), folder)).as_posix()


def _ensure_readable(path: Path, found: Audit) -> str:
    """Write a description beside the table where the table alone does not say what is malignant."""
    try:
        read_data(path)
    except ClassError:
        file = path.resolve().parent / DESCRIPTION_FILE
        known = [s.description for s in found.sources if s.description is not None]
        if file.exists() or not known:
            raise
        malignant = sorted({code for one in known for code in one.malignant})
        melanoma = sorted({one.melanoma for one in known if one.melanoma})
        lines = [f"name = {json.dumps(path.stem)}", f"malignant = {json.dumps(malignant)}"]
        if len(melanoma) == 1:
            lines.append(f"melanoma = {json.dumps(melanoma[0])}")
        write_text(file, "\n".join(lines) + "\n")
        read_data(path)
        return f" {file.name} beside it says which classes are malignant."
    return ""
