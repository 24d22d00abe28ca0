"""The audit as one HTML file that opens without a network and shows the pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime._files import write_text
from edge_runtime.errors import ImageError, MissingExtraError
from edge_runtime.image import decode, read
from train.audit import settings
from train.audit.auditing import Audit, classes_by_side, sizes
from train.audit.findings import Group
from train.audit.pictures import ODDITIES
from train.audit.text import (
    counts,
    nothing_found,
    overlap_lines,
    remarks,
    shared_ids_line,
    side_order,
    telling_first,
)

GROUPS, MEMBERS = 40, 8
"""Groups shown of each kind, and images of each group; the JSON has all of them."""

SIDE = 240
"""Longer side of a picture in the sheet, in pixels."""

_FILES = 100


@dataclass(frozen=True)
class Shown:
    """One image of a group: `source` is a data URI, empty where pictures are left out."""

    name: str
    data_set: str
    label: str
    side: str
    size: str
    source: str


@dataclass(frozen=True)
class Card:
    """One group: what it is, its images, and how many more it has."""

    title: str
    note: str
    images: tuple[Shown, ...]
    more: int


@dataclass(frozen=True)
class Section:
    """Groups of one kind, worst first; ``more`` are not shown."""

    anchor: str
    title: str
    text: str
    cards: tuple[Card, ...]
    total: int

    @property
    def more(self) -> int:
        """How many groups are not shown."""
        return self.total - len(self.cards)


def write_sheet(found: Audit, path: Path, *, pictures: bool = True) -> None:
    """Write the sheet, whole or not at all.

    Args:
        found: the audit.
        path: the HTML file.
        pictures: whether to put pictures of lesions into it; without, it has names only.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    try:
        import jinja2
    except ModuleNotFoundError:
        raise MissingExtraError(
            'The sheet needs the package jinja2; run `pip install "dermedge[train]"`.'
        ) from None
    from train.report.style import PALETTE

    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([here, here.parent / "report"]),  # the report's style
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda count: f"{count:,}"
    page = environment.get_template("sheet.html").render(
        palette=PALETTE, **_context(found, pictures)
    )
    write_text(path, page)


def _context(found: Audit, pictures: bool) -> dict[str, Any]:
    sources = [
        {
            "name": source.name,
            "images": len(source.records),
            "classes": classes_by_side(found, source),
            "sides": sorted({source.side(record) for record in source.records}, key=side_order),
            "side_word": source.side_word,
            "sizes": list(sizes(found, source).items()),
            "missing": source.missing[:_FILES],
            "strays": source.strays[:_FILES],
            "missing_count": len(source.missing),
            "strays_count": len(source.strays),
            "remarks": remarks(found, source),
        }
        for source in found.sources
    ]
    return {
        "title": ", ".join(source.name for source in found.sources),
        "clean": found.clean,
        "nothing_found": nothing_found(found),
        "counts": counts(found),
        "pictures": pictures,
        "sections": _sections(found, pictures),
        "overlaps": [
            *(overlap_lines(found, overlap) for overlap in found.findings.overlaps),
            *([f"Lesion ids, {shared_ids_line(ids)}"] for ids in found.findings.shared_ids),
        ],
        "unreadable": [(found.shown(i), found.facts[i].problem) for i in found.unreadable[:_FILES]],
        "unreadable_count": len(found.unreadable),
        "odd": [
            (name, ODDITIES[name], len(indices), [found.shown(i) for i in indices[:_FILES]])
            for name, indices in found.odd.items()
        ],
        "shortcuts": found.shortcuts,
        "threshold": settings.SHORTCUT_AUC,
        "data_sets": sources,
    }


def _sections(found: Audit, pictures: bool) -> list[Section]:
    findings = found.findings
    bad = {group.members for group in (*findings.conflicts, *findings.leaks)}
    across = [g for g in findings.duplicates if _data_sets(found, g) > 1 and g.members not in bad]
    rest = [g for g in findings.duplicates if _data_sets(found, g) == 1 and g.members not in bad]
    kinds: list[tuple[str, str, str, Sequence[Group]]] = [
        ("conflicts", "Labels that contradict each other",
         "One picture, two labels. At most one of them is right, and a model is punished for "
         "either.", findings.conflicts),
        ("leaks", "On both sides of a split",
         "The same picture, or photographs of the same lesion, to learn from and to be tested on. "
         "Figures measured so are too good.", findings.leaks),
        ("lesion-conflicts", "One lesion under several labels",
         "Different photographs of one lesion, according to its id.", findings.lesion_conflicts),
        ("across", "In several data sets",
         "Fine while one data set is used at a time; a leak as soon as one is trained on and "
         "another tested on.", across),
        ("near", "Near duplicates",
         "The same picture resized, cropped, turned, reflected, brightened or saved again. Where "
         "the likeness is below "
         f"{settings.SAME_DETAIL_IN_LESION:.2f}, it can also be a second photograph of one lesion "
         "from the same position.", [g for g in rest if g.kind == "near"]),
        ("exact", "Exact duplicates", "The same file, byte by byte.",
         [g for g in rest if g.kind == "exact"]),
    ]  # fmt: skip
    return [
        Section(
            anchor, title, text, tuple(_card(found, g, pictures) for g in groups[:GROUPS]),
            len(groups),
        )
        for anchor, title, text, groups in kinds
        if groups
    ]  # fmt: skip


def _data_sets(found: Audit, group: Group) -> int:
    return len({found.items[member].source.name for member in group.members})


def _card(found: Audit, group: Group, pictures: bool) -> Card:
    sure = group.detail >= settings.SAME_DETAIL_IN_LESION
    near = "same picture" if sure else "same picture, or a second photograph of the lesion"
    titles = {"exact": "same file", "near": near, "lesion": "same lesion"}
    note = f"likeness of detail {group.detail:.2f}" if group.kind == "near" else ""
    images = tuple(
        _shown(found, member, pictures) for member in telling_first(found, group)[:MEMBERS]
    )
    return Card(titles[group.kind], note, images, len(group.members) - len(images))


def _shown(found: Audit, index: int, pictures: bool) -> Shown:
    item, fact = found.items[index], found.facts[index]
    return Shown(
        item.source.shown(item.record),
        item.source.name if len(found.sources) > 1 else "",
        item.record.label,
        item.source.side_word(item.side),
        f"{fact.width} \N{MULTIPLICATION SIGN} {fact.height}" if fact.usable else "",
        _data_uri(item.record.file) if pictures and fact.usable else "",
    )


def _data_uri(file: Path) -> str:
    """The whole frame, small, as the content of an ``src`` attribute; empty if it has gone."""
    from train.report.pictures import data_uri

    try:
        picture = decode(read(file), name=file.name, smallest_draft=SIDE).pixels
    except ImageError:
        return ""
    picture.thumbnail((SIDE, SIDE))
    return data_uri(np.asarray(picture))
