"""The table of variants that people read, and the objects that machines read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edge_runtime._strict import to_json
from edge_runtime.manifest import Variant
from train.evaluation.table import shown


def variant_table(
    entries: Sequence[Variant], split: str, target: str, speeds: Mapping[str, float] | None = None
) -> str:
    """One row a variant: bytes, AUC, loss against the reference, agreement, speed, verdict.

    Args:
        entries: judged variants.
        split: whose figures are shown.
        target: "melanoma" or "malignant".
        speeds: median milliseconds by variant, where they were measured.
    """
    from tabulate import tabulate

    heads = ["variant", "bytes", f"{target} AUC", "AUC loss", "sensitivity loss", "agreement"]
    rows = []
    for entry in entries:
        figures, difference = entry.metrics[split], entry.difference[split]
        row = [
            entry.name,
            f"{entry.bytes:,}",
            shown(figures.get(f"{target}_auc"), 3),
            shown(difference.get(f"{target}_auc"), 4),
            shown(difference.get(f"{target}_sensitivity"), 3),
            f"{difference['agreement'].value:.1%}" if "agreement" in difference else "-",
        ]
        if speeds is not None:
            milliseconds = speeds[entry.name]
            row.append("-" if math.isnan(milliseconds) else f"{milliseconds:.2f}")
        rows.append([*row, entry.verdict])
    if speeds is not None:
        heads.append("median ms")
    aligned = ["left", *["right"] * (len(heads) - 1), "left"]
    heads.append("verdict")
    return str(tabulate(rows, heads, "simple", colalign=aligned, disable_numparse=True))


def variant_json(entry: Variant, split: str) -> dict[str, Any]:
    """The object that `convert --json` and `check --json` print for a variant."""
    return {
        "name": entry.name,
        "file": entry.file,
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "split": split,
        "metrics": to_json(entry.metrics[split]),
        "difference": to_json(entry.difference[split]),
        "verdict": entry.verdict,
        "reason": entry.reason,
    }
