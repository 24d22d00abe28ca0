"""What `dermedge check` prints: tables and sentences for people, objects for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from convert.checking.device import Answered
from convert.checking.execution import title_of
from convert.checking.release import Release
from convert.table import variant_json
from edge_runtime._strict import to_json
from edge_runtime.bundle import Bundle
from edge_runtime.manifest import Metric, Variant
from train.evaluation.table import shown

FOOTNOTE = """\
At most: the one-sided 95% bound, which decides. Same: share of images with the same most probable
class. ECE: by how much the expected calibration error of the {target} probability grows."""
OWN_THRESHOLDS = """\
What is referred when every bundle uses its own operating points. Lost, won: images that only the
old bundle, only the new one decides rightly."""
OWN_CHECKS = """\
Answered: the bundle's own checks say neither `retake` nor `uncertain`."""


def check_text(entries: Sequence[Variant], split: str, target: str) -> str:
    """The table of the variants, and every verdict with its reason.

    Args:
        entries: judged variants.
        split: whose figures are shown.
        target: "melanoma" or "malignant".
    """
    heads = [
        "variant", f"{target} AUC", "AUC loss\n(at most)", "sensitivity\nloss\n(at most)", "same",
        "ECE", "verdict",
    ]  # fmt: skip
    rows = []
    for entry in entries:
        figures, difference = entry.metrics[split], entry.difference[split]
        agreement = difference.get("agreement")
        rows.append(
            [
                entry.name,
                shown(figures.get(f"{target}_auc"), 3),
                _with_bound(difference.get(f"{target}_auc"), 4),
                _with_bound(difference.get(f"{target}_sensitivity"), 3),
                "-" if agreement is None else f"{agreement.value:.1%}",
                _value(difference.get("ece"), 3),
                entry.verdict,
            ]
        )
    aligned = ("left", *["right"] * 5, "left")
    table = tabulate(rows, heads, "simple", colalign=aligned, disable_numparse=True)
    verdicts = [f"{entry.name}: {entry.verdict}; {entry.reason}" for entry in entries]
    return "\n".join([str(table), "", FOOTNOTE.format(target=target), "", *verdicts])


def predictions_text(found: Sequence[Answered], split: str, target: str) -> str:
    """The table of the variants, every verdict with its reason, and how many got no decision.

    Args:
        found: what a device answered, judged.
        split: whose figures are shown.
        target: "melanoma" or "malignant".
    """
    counted = [f"{one.entry.name}: {one.undecided.sentence}" for one in found]
    return "\n".join([check_text([one.entry for one in found], split, target), "", *counted])


def release_text(release: Release, new: Bundle, old: Bundle, split: str) -> str:
    """The table of the variants, and what the release changes at its own thresholds.

    Args:
        release: the comparison.
        new, old: what was compared.
        split: whose figures are shown.
    """
    heads = ["variant", "decisions", "n", "old", "new", "new - old", "lost", "won"]
    rows = [
        [
            "" if place else one.entry.name,
            name.replace("_", " "),
            f"{change.images:,}",
            f"{change.before:.3f}",
            f"{change.after:.3f}",
            shown(change.difference, 3),
            f"{change.newly_wrong:,}",
            f"{change.newly_right:,}",
        ]
        for one in release.compared
        for place, (name, change) in enumerate(one.decisions.items())
    ]
    entries = [one.entry for one in release.compared]
    parts = [
        f"new: {title_of(new)}, old: {title_of(old)}",
        check_text(entries, split, new.manifest.targets[0]),
    ]
    if rows:
        aligned = ("left", "left", *["right"] * 6)
        table = tabulate(rows, heads, "simple", colalign=aligned, disable_numparse=True)
        checked = any("answered" in one.decisions for one in release.compared)
        note = f"{OWN_THRESHOLDS}\n{OWN_CHECKS}" if checked else OWN_THRESHOLDS
        parts += [str(table), note]
    for which, names in (("new", release.only_new), ("old", release.only_old)):
        if names:
            parts.append(f"only in the {which} bundle, not compared: {', '.join(names)}")
    return "\n\n".join(parts)


def check_json(entries: Sequence[Variant], split: str) -> dict[str, Any]:
    """The object that ``check --json`` prints."""
    return {"variants": [variant_json(entry, split) for entry in entries]}


def predictions_json(found: Sequence[Answered], split: str) -> dict[str, Any]:
    """The object that ``check --predictions --json`` prints."""
    return {
        "variants": [
            {
                **variant_json(one.entry, split),
                "unanswered": to_json(one.unanswered),
                "undecided": to_json(one.undecided),
            }
            for one in found
        ]
    }


def release_json(release: Release, new: Bundle, old: Bundle, split: str) -> dict[str, Any]:
    """The object that ``check --against --json`` prints."""
    return {
        "new": _bundle_json(new),
        "old": _bundle_json(old),
        "variants": [
            {
                **variant_json(one.entry, split),
                "decisions": to_json(one.decisions),
                "newly_missed": list(one.newly_missed),
                "newly_refused": list(one.newly_refused),
            }
            for one in release.compared
        ],
        "only_new": list(release.only_new),
        "only_old": list(release.only_old),
    }


def _bundle_json(bundle: Bundle) -> dict[str, str]:
    manifest = bundle.manifest
    return {"name": manifest.name, "version": manifest.version, "sha256": bundle.sha256}


def _with_bound(loss: Metric | None, digits: int) -> str:
    if loss is None or loss.high is None:
        return _value(loss, digits)
    return f"{_value(loss, digits)} ({_value(Metric(loss.high), digits)})"


def _value(metric: Metric | None, digits: int) -> str:
    return "-" if metric is None else shown(Metric(metric.value), digits)
