"""The audit as a table for people."""

from __future__ import annotations

from collections import Counter

from train.audit import settings
from train.audit.auditing import Audit, classes_by_side, sizes
from train.audit.findings import Group, Overlap, SharedIds
from train.audit.pictures import ODDITIES
from train.audit.sources import Source
from train.data.table import SPLITS

_SHOWN = 5
_SIZES = 4


def text(found: Audit) -> str:
    """What `dermedge audit` prints."""
    parts = [_summary(found)]
    findings = found.findings
    for title, groups in (
        ("One picture under labels that contradict each other", findings.conflicts),
        ("On several sides of a split", findings.leaks),
        ("One lesion under several labels", findings.lesion_conflicts),
    ):
        if groups:
            parts.append(_groups(found, title, groups))
    if findings.overlaps:
        lines = [
            f"  {line}" for overlap in findings.overlaps for line in overlap_lines(found, overlap)
        ]
        parts.append("\n".join(["Shared between data sets", *lines]))
    if findings.shared_ids:
        lines = [f"  {shared_ids_line(shared)}" for shared in findings.shared_ids]
        parts.append("\n".join(["Lesion ids in two data sets", *lines]))
    parts += [_files(found), _classes(found), _shortcuts(found)]
    return "\n\n".join(part for part in parts if part)


def counts(found: Audit) -> list[tuple[str, int | None, str]]:
    """What to say first: what, how many (None where nobody can tell), and a few words."""
    findings = found.findings
    kinds = Counter(group.kind for group in findings.duplicates)
    extra = len(found.items) - found.distinct
    weaker = sum(
        group.kind == "near" and group.detail < settings.SAME_DETAIL_IN_LESION
        for group in findings.duplicates
    )
    perhaps = f" ({weaker} of them perhaps second photographs of one lesion)" if weaker else ""
    known = any(item.record.lesion_id for item in found.items)
    lesions = "keep each on one side of a split" if known else "no lesion ids are given"
    return [
        ("images", len(found.items), f"{found.distinct} different files"),
        ("unreadable", len(found.unreadable), "cannot be decoded"),
        ("label conflicts", len(findings.conflicts), "groups of one picture, labels contradict"),
        ("split leaks", len(findings.leaks) if found.has_split else None, _leaks(found)),
        ("duplicates", len(findings.duplicates),
         f"groups: {kinds['exact']} exact, {kinds['near']} near{perhaps}; {extra} superfluous "
         "exact copies"),
        ("lesions with several photographs", findings.lesions, lesions),
    ]  # fmt: skip


def nothing_found(found: Audit) -> str:
    """What to say of data without a conflict and without a leak."""
    if found.has_split:
        return "No labels conflict and no split leaks."
    kept = "; --fix makes one that keeps duplicates together" if found.findings.duplicates else ""
    return f"No labels conflict. No split is given, so none can leak{kept}."


def remarks(found: Audit, source: Source) -> tuple[str, ...]:
    """What has to be known of a data set, a sentence each."""
    if source.has_split or not found.has_split:
        return source.remarks
    return (
        *source.remarks,
        "It brings no split: beside the others it counts as test, and leaks within it cannot be "
        "judged.",
    )


def _leaks(found: Audit) -> str:
    if not found.has_split:
        torn, groups = found.torn_by_chance
        if not groups:
            return "no split is given"
        return (
            "no split is given; one made by chance, image by image, would part about "
            f"{torn:.0f} of {groups} groups"
        )
    leaking = Counter(group.kind for group in found.findings.leaks)
    return (
        f"groups on several sides: {leaking['exact'] + leaking['near']} of one picture, "
        f"{leaking['lesion']} of one lesion"
    )


def telling_first(found: Audit, group: Group) -> list[int]:
    """Members of a group, one of every data set, label and side before any second one."""
    seen: Counter[tuple[str, str, str]] = Counter()
    rank = {}
    for member in group.members:
        item = found.items[member]
        kind = (item.source.name, item.record.label, item.side)
        rank[member] = seen[kind]
        seen[kind] += 1
    return sorted(group.members, key=lambda member: (rank[member], member))


def overlap_lines(found: Audit, overlap: Overlap) -> list[str]:
    """How much two data sets share, in words."""
    split = {source.name: source.has_split for source in found.sources}
    lines = [f"{overlap.names[0]} and {overlap.names[1]}: {overlap.pictures} pictures"]
    for name, images, by_side in zip(overlap.names, overlap.images, overlap.sides, strict=True):
        sides = ", ".join(f"{count} in {side}" for side, count in by_side.items())
        where = sides if split[name] else "no split"
        lines.append(f"  {images} different files of {name} ({where})")
    return lines


def shared_ids_line(shared: SharedIds) -> str:
    """What to think of lesion ids that two data sets have, in words."""
    first, second = shared.names
    return (
        f"{first} and {second}: {len(shared.ids)} (first: {shared.ids[0]}), and no shared picture "
        "tells whether they are the same lesions; if they are, join the two into one table"
    )


def _summary(found: Audit) -> str:
    from tabulate import tabulate

    table = tabulate(
        counts(found), tablefmt="plain", colalign=("left", "right", "left"), missingval="-"
    )
    names = ", ".join(source.name for source in found.sources)
    verdict = (
        nothing_found(found)
        if found.clean
        else "Do not train or quote figures on this before it is put right (see --fix)."
    )
    lines = [f"{one.name}: {remark}" for one in found.sources for remark in remarks(found, one)]
    return "\n".join([f"Audit of {names}", table, verdict, *lines])


def _groups(found: Audit, title: str, groups: tuple[Group, ...]) -> str:
    lines = [f"{title} ({len(groups)})"]
    for group in groups[:_SHOWN]:
        lines.append(f"  {group.kind}")
        for member in telling_first(found, group)[:_SHOWN]:
            item = found.items[member]
            side = item.source.side_word(item.side)
            lines.append(f"    {found.shown(member)}  [{item.record.label}, {side}]")
        if len(group.members) > _SHOWN:
            lines.append(f"    ... and {len(group.members) - _SHOWN} more")
    if len(groups) > _SHOWN:
        lines.append(f"  ... and {len(groups) - _SHOWN} more groups: see --html or --json")
    return "\n".join(lines)


def _files(found: Audit) -> str:
    lines = []
    for index in found.unreadable[:_SHOWN]:
        lines.append(f"  unreadable: {found.shown(index)}: {found.facts[index].problem}")
    if len(found.unreadable) > _SHOWN:
        lines.append(f"  ... and {len(found.unreadable) - _SHOWN} more that cannot be read")
    for name, indices in found.odd.items():
        lines.append(
            f"  {name}: {len(indices)} ({ODDITIES[name]}), first: {found.shown(indices[0])}"
        )
    for source in found.sources:
        if source.missing:
            lines.append(f"  {source.name}: {len(source.missing)} ids without a file")
        if source.strays:
            lines.append(
                f"  {source.name}: {len(source.strays)} files beside the images that are not used, "
                f"first: {source.strays[0]}"
            )
    return "\n".join(["Files", *lines]) if lines else ""


def _classes(found: Audit) -> str:
    from tabulate import tabulate

    blocks = []
    for source in found.sources:
        classes = classes_by_side(found, source)
        sides = sorted({side for by_side in classes.values() for side in by_side}, key=side_order)
        rows = [
            [label, *(by_side.get(side, 0) for side in sides), sum(by_side.values())]
            for label, by_side in classes.items()
        ]
        heads = [source.side_word(side) for side in sides]
        table = tabulate(rows, ["class", *heads, "all"], tablefmt="simple")
        counted = sizes(found, source)
        shown = [f"{count} of {size}" for size, count in list(counted.items())[:_SIZES]]
        rest = len(counted) - len(shown)
        line = "sizes: " + ", ".join(shown) + (f" and {rest} other sizes" if rest > 0 else "")
        blocks.append(f"{source.name}: {len(source.records)} images\n{table}\n{line}")
    return "\n\n".join(blocks)


def side_order(side: str) -> int:
    """Training first, test last."""
    return SPLITS.index(side)


def _shortcuts(found: Audit) -> str:
    from tabulate import tabulate

    shortcuts = found.shortcuts
    if shortcuts.together is None:
        return f"Shortcuts are not judged: {shortcuts.reason}."
    rows = [
        (
            "all together" if one is shortcuts.together else one.features[0],
            f"{one.auc:.3f}", f"{one.low:.3f} to {one.high:.3f}", "tells" if one.tells else "",
        )
        for one in (shortcuts.together, *shortcuts.alone)
    ]  # fmt: skip
    title = (
        f"Shortcuts: AUC for {shortcuts.target} without looking at the lesion "
        f"({shortcuts.positives} of {shortcuts.images} images; 0.5 is chance)"
    )
    table = tabulate(rows, ["feature", "AUC", "95% interval", ""], disable_numparse=True)
    return f"{title}\n{table}"
