"""A table that can be trained on: conflicts set aside, copies dropped, a split that does not leak.

What is left out goes into a second table with the reason, so that nothing vanishes silently.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_runtime._files import write_text
from edge_runtime._strict import to_json
from edge_runtime.errors import ClassError, UsageError
from train.audit.auditing import Audit, Progress, audit
from train.audit.findings import Item
from train.audit.sources import Source
from train.data.description import DESCRIPTION_FILE, Description
from train.data.split import group_name, split
from train.data.table import SPLITS, Dataset, Record, check_names, read_data

_ROUNDS = 4
_ASIDE = ("image_id", "dx", "file", "data_set", "reason")
_COLUMNS = ("image_id", "dx", "lesion_id", "split", "file", "data_set")


@dataclass(frozen=True)
class Fixed:
    """A table in the making.

    Attributes:
        rows: of the table, by column.
        aside: rows of what was left out, with the reason.
        split: where the split is from, in words.
    """

    rows: list[dict[str, str]]
    aside: list[dict[str, str]]
    split: str


def fix(
    found: Audit, path: Path, seed: int = 0, accepted: Collection[str] = (),
    progress: Progress = lambda what, done, total: None, *, keep_split: bool = False,
) -> str:  # fmt: skip
    """Write ``path`` and, beside it, what was set aside and why; then audit it.

    A split that the data brings is kept where nothing in it leaks; otherwise one is made anew by
    `train.data.split`, by picture and lesion group and stratified by class. As the search for
    copies looks at the nearest neighbours only, fewer pictures can bring a last copy to light: what
    the second audit finds is put right too, until one finds nothing.

    A published test part is comparable only as long as it is whole. With ``keep_split``, what
    stands on several sides stays on the last of them (test, then validation), and the rest of it is
    set aside. So is, of data for training only (`Source.use`), what a data set named before shows:
    it would add nothing but another label, perhaps. Held-out data sets count as test, and are not
    written.

    Args:
        found: the audit.
        path: the CSV to write, the third form of `train.data.table`.
        seed: of the split.
        accepted: classes that the user has named on purpose.
        progress: called with (what, done, total).
        keep_split: keep the split that the data brings, whatever leaks.

    Returns:
        a sentence on what was written.

    Raises:
        ClassError: the classes of the data sets do not meet, or one is too small to be split.
        UsageError: a split is to be kept, and a data set brings none.
    """
    if path.is_symlink():  # written through, and paths in it are seen from where it lies
        path = path.resolve()
    if keep_split:
        _check_splits(found.sources)
    check_classes_meet(found.sources, accepted)
    check_names(item.record for item in found.items)
    aside_path = path.with_name(f"{path.stem}.set-aside.csv")
    labels = {item.record.label for item in found.items}
    aside: list[dict[str, str]] = []
    described = ""
    for _ in range(_ROUNDS):
        fixed = _fixed(found, path, seed, keep_split=keep_split)
        aside += fixed.aside
        columns = list(dict.fromkeys([*_COLUMNS, *(key for row in fixed.rows for key in row)]))
        _write_csv(path, columns, fixed.rows)
        _write_csv(aside_path, _ASIDE, aside)
        described = _ensure_described(path, found) or described
        found = audit([path], progress=progress)
        if found.clean:
            break
    lost = sorted(labels - {row["dx"] for row in fixed.rows})
    sides = Counter(row["split"] for row in fixed.rows)
    parts = ", ".join(f"{sides[side]} {side}" for side in SPLITS if sides[side])
    return (
        f"{path}: {len(fixed.rows)} images ({parts}); the split {fixed.split}; audited again, "
        f"{'nothing conflicts or leaks' if found.clean else 'something still conflicts or leaks'}. "
        f"{aside_path.name}: {len(aside)} images set aside."
        + (f" Nothing is left of the class {', '.join(lost)}." if lost else "")
        + described
    )


def _fixed(found: Audit, path: Path, seed: int, *, keep_split: bool) -> Fixed:
    aside = _shown_elsewhere(found) if keep_split else {}
    aside = _set_aside(found, aside)
    keeps_split = _splits_hold(found, aside)
    if not keeps_split:
        aside |= _too_few(found, aside)
    kept = [
        index for index, item in enumerate(found.items)
        if index not in aside and item.source.use != "held out"
    ]  # fmt: skip
    if not kept:
        raise ClassError("All images would be set aside, so there is nothing to write.")
    records = _records(found, kept)
    sides = [found.items[index].side if keeps_split else None for index in kept]
    records = [replace(one, split=side) for one, side in zip(records, sides, strict=True)]
    data = Dataset(path, Description(path.stem, ()), (), tuple(records))
    records = list(split(data, [found.items[i].digest for i in kept], seed=seed).records)
    rows = [
        {**_row(found.items[index], record, path), **_more(record)}
        for index, record in zip(kept, records, strict=True)
    ]
    left_out = [
        {**_row(found.items[i], found.items[i].record, path), "reason": aside[i]}
        for i in sorted(aside)
        if found.items[i].source.use != "held out"
    ]
    return Fixed(rows, left_out, "that the data brings is kept" if keeps_split else "is new")


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


def _check_splits(sources: tuple[Source, ...]) -> None:
    for source in sources:
        if not source.has_split:
            raise UsageError(
                f"{source.name} brings no split that could be kept; say what it is for with "
                "--train-only or --held-out, or leave --keep-split out."
            )


def _shown_elsewhere(found: Audit) -> dict[int, str]:
    """Images whose group stands nearer to the end of the split, or in earlier data, by index."""
    order = {source.name: place for place, source in enumerate(found.sources)}
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(found.items)):
        groups[int(found.findings.group_of[index])].append(index)
    aside = {}
    for members in groups.values():
        last = max(members, key=lambda member: SPLITS.index(found.items[member].side))
        earliest = min(members, key=lambda member: order[found.items[member].source.name])
        side, source = found.items[last].side, found.items[earliest].source
        for member in members:
            item = found.items[member]
            if item.side != side:
                aside[member] = f"the same picture or lesion as {found.shown(last)}, in {side}"
            elif item.source.use == "train only" and item.source.name != source.name:
                aside[member] = f"the same picture or lesion as {found.shown(earliest)}"
    return aside


def _set_aside(found: Audit, before: Mapping[int, str]) -> dict[int, str]:
    """Why images are left out, by index, those ``before`` included."""
    aside = {i: f"cannot be read: {found.facts[i].problem}" for i in found.unreadable}
    aside |= before
    for group in found.findings.conflicts:
        left = [member for member in group.members if member not in aside]
        labels = sorted({found.items[member].record.label for member in left})
        if len(labels) > 1:
            reason = f"one picture under the labels {', '.join(labels)}"
            aside |= dict.fromkeys(left, reason)
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
        return group_name(number)
    return lesion if len(found.sources) == 1 else f"{lesion}/{number:06d}"


def _splits_hold(found: Audit, aside: Collection[int]) -> bool:
    """Whether every data set brings a split, and no kept group stands on several sides."""
    sides: dict[int, set[str]] = defaultdict(set)
    for index, item in enumerate(found.items):
        if index not in aside and item.source.use != "held out":
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


def _row(item: Item, record: Record, path: Path) -> dict[str, str]:
    """The columns that dermedge knows, and where the image is from."""
    return {
        "image_id": record.image_id,
        "dx": record.label,
        "lesion_id": record.lesion_id or "",
        "split": record.split or "",
        "file": _relative(record.file, path.resolve().parent),
        "data_set": record.extra.get("data_set") or item.source.name,
    }


def _more(record: Record) -> dict[str, str]:
    """The other columns of the table that the image is from."""
    return {key: value for key, value in record.extra.items() if key not in _COLUMNS}


def _write_csv(path: Path, columns: Sequence[str], rows: list[dict[str, str]]) -> None:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, "", "ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def _relative(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file.resolve(), folder)).as_posix()


def _ensure_described(path: Path, found: Audit) -> str:
    """Write a description beside the table where it would be read as other data than it is from.

    One that lies there is left as it is.

    Raises:
        ClassError: that does not say what is malignant, or no data set has a description.
    """
    file = path.resolve().parent / DESCRIPTION_FILE
    known = [source.description for source in found.sources if source.description is not None]
    try:
        read = read_data(path)
    except ClassError:
        if not known or file.exists():
            raise
        codes, own = {item.record.label for item in found.items}, None
    else:
        codes, own = set(read.codes), read.description
    wanted = _joined(path.stem, known, codes)
    if own is not None and (not known or file.exists() or _alike(own, wanted, codes)):
        return ""
    lines = [f"{name} = {_toml(value)}" for name, value in to_json(wanted).items() if value]
    write_text(file, "\n".join(lines) + "\n")
    read_data(path)
    return f" {file.name} beside it says which classes are malignant, and the licence."


def _toml(value: object) -> str:
    """A text, a list of them or a table, as TOML writes them in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _joined(name: str, known: Sequence[Description], codes: Collection[str]) -> Description:
    """What several data sets say of themselves, as far as it is about the classes ``codes``."""
    names = {one.name for one in known}
    melanoma = {one.melanoma for one in known} & set(codes)
    return Description(
        name=names.pop() if len(names) == 1 else name,
        malignant=tuple(sorted({code for one in known for code in one.malignant} & set(codes))),
        melanoma=melanoma.pop() if len(melanoma) == 1 else "",
        description=" ".join(dict.fromkeys(one.description for one in known if one.description)),
        licence=" AND ".join(dict.fromkeys(one.licence for one in known)),
        citation=" ".join(dict.fromkeys(one.citation for one in known if one.citation)),
        names={
            code: words
            for one in known
            for code, words in (one.names or {}).items()
            if code in codes
        },
    )


def _alike(own: Description, wanted: Description, codes: Collection[str]) -> bool:
    return (
        set(own.malignant) & set(codes) == set(wanted.malignant)
        and (own.melanoma if own.melanoma in codes else "") == wanted.melanoma
        and (own.names or {}).items() >= (wanted.names or {}).items()
        and (own.licence, own.citation, own.generated)
        == (wanted.licence, wanted.citation, wanted.generated)
    )
