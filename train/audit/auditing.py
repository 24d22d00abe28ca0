"""The whole audit: data sets in, one record of what is wrong with them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import UnreadableImagesError
from train.audit.copies import compare
from train.audit.findings import Findings, Group, Item, find, same_pictures
from train.audit.pictures import ODDITIES, Facts, read_pictures
from train.audit.shortcuts import Shortcut, Shortcuts, find_shortcuts
from train.audit.sources import Source, read_sources
from train.config import TrainConfig

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        sources: the data sets.
        items, facts: all images, and one record of each file.
        findings: duplicates, conflicts, leaks and overlaps, by index into ``items``.
        shortcuts: what can be guessed without looking.
    """

    sources: tuple[Source, ...]
    items: tuple[Item, ...]
    facts: tuple[Facts, ...]
    findings: Findings
    shortcuts: Shortcuts

    @property
    def clean(self) -> bool:
        """Whether no labels conflict and no split leaks."""
        return not self.findings.conflicts and not self.findings.leaks

    @property
    def has_split(self) -> bool:
        """Whether there is any split that could leak."""
        return any(source.has_split for source in self.sources)

    @property
    def torn_by_chance(self) -> tuple[float, int]:
        """Groups of one picture or lesion that a split image by image would tear, and all of them.

        The first is the mean over splits by chance, with the usual shares of `TrainConfig`.
        """
        val, test = TrainConfig.val_fraction, TrainConfig.test_fraction
        counts = np.bincount(self.findings.group_of)
        sizes = counts[counts > 1]
        whole = sum((share**sizes for share in (1 - val - test, val, test)), np.zeros(len(sizes)))
        return float((1 - whole).sum()), len(sizes)

    @property
    def unreadable(self) -> tuple[int, ...]:
        """Indices of images that cannot be used."""
        return tuple(i for i, fact in enumerate(self.facts) if not fact.usable)

    @property
    def odd(self) -> dict[str, tuple[int, ...]]:
        """Indices of images by what is unusual about them."""
        found = {
            name: tuple(i for i, fact in enumerate(self.facts) if name in fact.oddities)
            for name in ODDITIES
        }
        return {name: indices for name, indices in found.items() if indices}

    @property
    def distinct(self) -> int:
        """Number of different files, by content."""
        return len({item.digest for item in self.items})

    def shown(self, index: int) -> str:
        """How reports call an image: its file, with the data set in front where there are two."""
        item = self.items[index]
        name = item.source.shown(item.record)
        return name if len(self.sources) == 1 else f"{item.source.name}: {name}"


def audit(
    paths: Sequence[str | Path],
    mapping: Mapping[str, str] | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Audit:
    """Audit one or several data sets.

    Args:
        paths: folders or CSVs, in any of the three forms of `train.data.table`.
        mapping: class codes to rename, from old to new.
        progress: called with (what, done, total).

    Raises:
        UsageError: the call was wrong.
        DataError: nothing there that could be audited.
    """
    return audit_sources(read_sources(paths, mapping), progress)


def audit_sources(
    sources: tuple[Source, ...], progress: Progress = lambda what, done, total: None
) -> Audit:
    """`audit` for data sets that have been read.

    Raises:
        UnreadableImagesError: not one image can be read.
    """
    records = [(source, record) for source in sources for record in source.records]
    pictures = read_pictures(
        [record.file for _, record in records],
        lambda done, total: progress("reading images", done, total),
    )
    items = tuple(
        Item(source, record, facts.sha256 or f"unread {index}")
        for index, ((source, record), facts) in enumerate(zip(records, pictures.facts, strict=True))
    )
    if not any(facts.usable for facts in pictures.facts):
        raise UnreadableImagesError(
            f"None of the {len(items)} images can be read (first: {pictures.facts[0].problem})"
        )
    compared = compare(pictures, _distinct(items, pictures.facts), progress)
    findings = find(items, same_pictures(items, compared))
    progress("judging shortcuts", 0, 1)
    shortcuts = find_shortcuts(items, pictures.facts, findings.group_of)
    progress("judging shortcuts", 1, 1)
    return Audit(sources, items, pictures.facts, findings, shortcuts)


def _distinct(items: Sequence[Item], facts: Sequence[Facts]) -> NDArray[np.int64]:
    """One index for every different file that has something to compare."""
    first: dict[str, int] = {}
    for index, (item, fact) in enumerate(zip(items, facts, strict=True)):
        if fact.usable and not fact.flat:
            first.setdefault(item.digest, index)
    return np.array(list(first.values()), np.int64)


def to_json(found: Audit) -> dict[str, Any]:
    """What ``dermedge audit --json`` prints; keys are stable, more may be added."""
    findings = found.findings

    def group(one: Group) -> dict[str, Any]:
        members = [found.items[m] for m in one.members]
        return {
            "files": [found.shown(m) for m in one.members],
            "kind": one.kind,
            "labels": [item.record.label for item in members],
            "splits": [item.side for item in members],
            "data_sets": [item.source.name for item in members],
            "detail_correlation": round(one.detail, 3),
        }

    return {
        "images": len(found.items),
        "distinct_files": found.distinct,
        "unreadable": [
            {"file": found.shown(i), "problem": found.facts[i].problem} for i in found.unreadable
        ],
        "odd": {name: [found.shown(i) for i in odd] for name, odd in found.odd.items()},
        "label_conflicts": len(findings.conflicts),
        "split_leaks": len(findings.leaks) if found.has_split else None,
        "torn_by_chance": None if found.has_split else round(found.torn_by_chance[0], 1),
        "lesion_label_conflicts": len(findings.lesion_conflicts),
        "lesions_with_several_photographs": findings.lesions,
        "duplicates": [group(one) for one in findings.duplicates],
        "conflicting_groups": [group(one) for one in findings.conflicts],
        "leaking_groups": [group(one) for one in findings.leaks],
        "cross_set": [
            {
                "data_sets": list(overlap.names),
                "pictures": overlap.pictures,
                "lesions": overlap.lesions,
                "images": list(overlap.images),
                "splits": list(overlap.sides),
            }
            for overlap in findings.overlaps
        ],
        "shared_lesion_ids": [
            {"data_sets": list(shared.names), "ids": list(shared.ids)}
            for shared in findings.shared_ids
        ],
        "data_sets": [_source_json(found, source) for source in found.sources],
        "shortcuts": _shortcuts_json(found.shortcuts),
    }


def classes_by_side(found: Audit, source: Source) -> dict[str, dict[str, int]]:
    """Number of images by class and side of the split."""
    counts: dict[str, Counter[str]] = {}
    for record in source.records:
        counts.setdefault(record.label, Counter())[source.side(record)] += 1
    return {label: dict(sorted(counts[label].items())) for label in sorted(counts)}


def sizes(found: Audit, source: Source) -> dict[str, int]:
    """Number of images by size, "width x height", the most frequent first."""
    counted = Counter(
        f"{fact.width} x {fact.height}"
        for item, fact in zip(found.items, found.facts, strict=True)
        if item.source is source and fact.usable
    )
    return dict(counted.most_common())


def _source_json(found: Audit, source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "images": len(source.records),
        "has_split": source.has_split,
        "classes": classes_by_side(found, source),
        "sizes": sizes(found, source),
        "missing": list(source.missing),
        "stray_files": list(source.strays),
        "remarks": list(source.remarks),
    }


def _shortcuts_json(shortcuts: Shortcuts) -> dict[str, Any]:
    def one(shortcut: Shortcut) -> dict[str, Any]:
        return {
            "features": list(shortcut.features),
            "auc": round(shortcut.auc, 4),
            "low": round(shortcut.low, 4),
            "high": round(shortcut.high, 4),
            "tells": shortcut.tells,
        }

    return {
        "target": shortcuts.target,
        "positives": shortcuts.positives,
        "images": shortcuts.images,
        "together": one(shortcuts.together) if shortcuts.together else None,
        "alone": [one(shortcut) for shortcut in shortcuts.alone],
        "reason": shortcuts.reason,
    }
