"""From pairs of equal pictures to what is wrong: groups, conflicts, leaks, overlap."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from train.audit import settings
from train.audit.copies import Comparison
from train.audit.sources import Source
from train.data.table import Record


@dataclass(frozen=True)
class Item:
    """One image of one data set.

    Attributes:
        source, record: where it comes from.
        digest: SHA-256 of its file, or a name of its own where the file could not be read.
    """

    source: Source
    record: Record
    digest: str

    @property
    def side(self) -> str:
        """Side of the split."""
        return self.source.side(self.record)

    @property
    def lesion(self) -> str | None:
        """Its lesion, unique over data sets; None where it is unknown."""
        known = self.record.lesion_id
        return None if known is None else f"{self.source.name}/{known}"


@dataclass(frozen=True)
class Group:
    """Images that belong together.

    Attributes:
        members: indices of items, ascending.
        kind: "exact" where the files are equal byte by byte, "near" where pictures are equal,
            "lesion" where only their lesion is the same.
        detail: the weakest correlation of detail that ties a near group; 1 for others.
    """

    members: tuple[int, ...]
    kind: Literal["exact", "near", "lesion"]
    detail: float = 1.0


@dataclass(frozen=True)
class Overlap:
    """What two data sets share.

    Attributes:
        names: of the two data sets.
        pictures: groups of one picture that both have.
        lesions: groups of one lesion (or picture) that both have.
        images: distinct files of each that the other has too.
        sides: the same by side of the split, one mapping for each data set.
    """

    names: tuple[str, str]
    pictures: int
    lesions: int
    images: tuple[int, int]
    sides: tuple[dict[str, int], dict[str, int]]


@dataclass(frozen=True)
class SharedIds:
    """Lesion ids that two data sets have, without a picture that shows that they mean the same.

    Attributes:
        names: of the two data sets.
        ids: in order.
    """

    names: tuple[str, str]
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """What the pairs mean.

    Attributes:
        duplicates: groups of one picture, the largest first.
        conflicts: those of them with labels that contradict each other.
        leaks: groups of one picture or lesion with members on several sides of a split.
        lesion_conflicts: lesions under several labels, beyond ``conflicts``.
        lesions: lesions with several photographs that are not the same picture.
        overlaps: of every two data sets that share a picture.
        shared_ids: of every two data sets that share lesion ids of which nobody can tell whether
            they are one numbering. Where a shared picture bears the same id in both, they are.
        group_of: for every item, the number of the picture-or-lesion group it belongs to.
    """

    duplicates: tuple[Group, ...]
    conflicts: tuple[Group, ...]
    leaks: tuple[Group, ...]
    lesion_conflicts: tuple[Group, ...]
    lesions: int
    overlaps: tuple[Overlap, ...]
    shared_ids: tuple[SharedIds, ...]
    group_of: NDArray[np.int64]


def same_pictures(items: Sequence[Item], compared: Comparison) -> list[tuple[int, int, float]]:
    """The pairs that are the same picture: two indices and the correlation of detail.

    Two photographs of one known lesion have to be more alike (`settings.SAME_DETAIL_IN_LESION`).
    """
    pairs = []
    for first, second, correlation, detail in zip(
        compared.first.tolist(), compared.second.tolist(), compared.correlation, compared.detail,
        strict=True,
    ):  # fmt: skip
        lesion = items[first].lesion
        one_lesion = lesion is not None and lesion == items[second].lesion
        needed = settings.SAME_DETAIL_IN_LESION if one_lesion else settings.SAME_DETAIL
        if correlation >= settings.SAME_CORRELATION and detail >= needed:
            pairs.append((first, second, float(detail)))
    return pairs


def find(items: Sequence[Item], near: Sequence[tuple[int, int, float]]) -> Findings:
    """Group the items and say what contradicts what.

    Args:
        items: all images.
        near: pairs of one picture among distinct files, from `same_pictures`.
    """
    exact = _chains(item.digest for item in items)
    edges = [(first, second) for first, second, _ in near]
    pictures = _components(len(items), [*exact, *edges])
    numbering = _numberings(items, pictures)
    lesions = _chains(
        known and f"{numbering[item.source.name]}/{known}"
        for item in items
        for known in (item.record.lesion_id,)
    )
    together = _components(len(items), [*exact, *edges, *lesions])
    weakest: dict[int, float] = defaultdict(lambda: 1.0)
    for first, _, detail in near:
        weakest[int(pictures[first])] = min(weakest[int(pictures[first])], detail)

    duplicates = []
    for number, members in _members(pictures):
        kind: Literal["exact", "near"] = "near" if _digests(items, members) > 1 else "exact"
        duplicates.append(Group(members, kind, weakest[number]))
    duplicates.sort(key=lambda group: (-len(group.members), group.members))
    picture_of = {member: group for group in duplicates for member in group.members}

    conflicts = tuple(g for g in duplicates if contradict([items[m] for m in g.members]))
    in_conflict = {member for group in conflicts for member in group.members}
    leaks, lesion_conflicts, several = [], [], 0
    for _, members in _members(together):
        one = picture_of.get(members[0])
        group = one if one and one.members == members else Group(members, "lesion")
        if len({items[m].side for m in members}) > 1:
            leaks.append(group)
        if group.kind == "lesion":
            several += 1
            if contradict([items[m] for m in members]) and not in_conflict.intersection(members):
                lesion_conflicts.append(group)
    return Findings(
        tuple(duplicates), conflicts, tuple(leaks), tuple(lesion_conflicts), several,
        _overlaps(items, pictures, together), _shared_ids(items, numbering), together,
    )  # fmt: skip


def contradict(items: Iterable[Item]) -> bool:
    """Whether one picture bears two labels that cannot both be right.

    Within a data set, or where both data sets use both class names, any difference counts. Names
    that only one of them uses are compared by what they mean: malignant or not.
    """
    distinct = {(item.source.name, item.record.label): item for item in items}
    for a, b in combinations(distinct.values(), 2):
        first, second = a.record.label, b.record.label
        if first == second:
            continue
        if {first, second} <= a.source.codes & b.source.codes:
            return True
        meanings = {a.source.malignant(first), b.source.malignant(second)}
        if meanings == {True, False}:
            return True
    return False


def _numberings(items: Sequence[Item], pictures: NDArray[np.int64]) -> dict[str, str]:
    """For every data set the first that names lesions as it does.

    Two do where more of the pictures that they share bear one lesion id in both than do not.
    """
    named: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for item, picture in zip(items, pictures.tolist(), strict=True):
        if item.record.lesion_id is not None:
            named[picture][item.source.name].add(item.record.lesion_id)
    votes: Counter[tuple[str, str]] = Counter()
    for by_source in named.values():
        for (first, a), (second, b) in combinations(by_source.items(), 2):
            votes[first, second] += 1 if a & b else -1
    names = list(dict.fromkeys(item.source.name for item in items))
    same = [(names.index(a), names.index(b)) for (a, b), vote in votes.items() if vote > 0]
    numbers = _components(len(names), same).tolist()
    return {name: names[numbers.index(number)] for name, number in zip(names, numbers, strict=True)}


def _shared_ids(items: Sequence[Item], numbering: Mapping[str, str]) -> tuple[SharedIds, ...]:
    ids: dict[str, set[str]] = {name: set() for name in numbering}
    for item in items:
        if item.record.lesion_id is not None:
            ids[item.source.name].add(item.record.lesion_id)
    pairs = (pair for pair in combinations(ids, 2) if numbering[pair[0]] != numbering[pair[1]])
    return tuple(
        SharedIds((a, b), tuple(sorted(ids[a] & ids[b]))) for a, b in pairs if ids[a] & ids[b]
    )


def _overlaps(
    items: Sequence[Item], pictures: NDArray[np.int64], together: NDArray[np.int64]
) -> tuple[Overlap, ...]:
    names = list(dict.fromkeys(item.source.name for item in items))
    held: dict[str, dict[int, list[Item]]] = {name: defaultdict(list) for name in names}
    lesions: dict[str, set[int]] = {name: set() for name in names}
    for item, picture, group in zip(items, pictures.tolist(), together.tolist(), strict=True):
        held[item.source.name][picture].append(item)
        lesions[item.source.name].add(group)
    overlaps = []
    for first, second in combinations(names, 2):
        shared = held[first].keys() & held[second].keys()
        if not shared:
            continue
        images, sides = [], []
        for name in (first, second):
            distinct = {item.digest: item.side for number in shared for item in held[name][number]}
            images.append(len(distinct))
            sides.append(dict(sorted(Counter(distinct.values()).items())))
        overlaps.append(
            Overlap(
                (first, second), len(shared), len(lesions[first] & lesions[second]),
                (images[0], images[1]), (sides[0], sides[1]),
            )
        )  # fmt: skip
    return tuple(overlaps)


def _chains(keys: Iterable[str | None]) -> list[tuple[int, int]]:
    """Edges that tie every index to the first one with the same key."""
    first: dict[str, int] = {}
    edges = []
    for index, key in enumerate(keys):
        if key is not None and first.setdefault(key, index) != index:
            edges.append((first[key], index))
    return edges


def _components(count: int, edges: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Number of the connected component of every node, (count,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(edges, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.int8), ends.T), shape=(count, count))
    numbers: NDArray[np.int64] = connected_components(graph, directed=False)[1]
    return numbers


def _members(numbers: NDArray[np.int64]) -> list[tuple[int, tuple[int, ...]]]:
    """Components of two and more, by number."""
    found: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(numbers.tolist()):
        found[number].append(index)
    return [(number, tuple(members)) for number, members in found.items() if len(members) > 1]


def _digests(items: Sequence[Item], members: tuple[int, ...]) -> int:
    return len({items[member].digest for member in members})
