"""What a bundle's report and model card say in sentences."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from convert.report.disagreements import (
    ALARM,
    CLEARED,
    FOUND,
    LOST,
    LOST_OTHER,
    OTHER_CLASS,
)
from convert.report.rows import Row
from edge_runtime.manifest import Gate, Label
from train.data.description import UNKNOWN_LICENCE
from train.report.style import SPLIT_WORDS

NON_COMMERCIAL = "NC"


def kinds(target: str) -> dict[int, str]:
    """Kinds of disagreement in words; where ``target`` is every malignant class, one less."""
    named = {
        LOST: f"{target} no longer referred",
        LOST_OTHER: "another malignant lesion no longer referred",
        FOUND: "malignant, referred by the variant alone",
        ALARM: "benign, referred by the variant alone",
        CLEARED: "benign, no longer referred",
        OTHER_CLASS: "same decision, another most probable class",
    }
    if target == "malignant":
        named[LOST] = "malignant lesion no longer referred"
        del named[LOST_OTHER]
    return named


def what_passed(rows: Sequence[Row], gate: Gate) -> str:
    """One sentence on the variants that passed, with what that means."""
    passed = [_with_repair(row) for row in rows if row.state == "pass"]
    if not passed:
        return "No variant has passed the gate."
    if len(passed) == len(rows):
        count = f"All {len(rows)} variants pass" if len(rows) > 1 else "The one variant passes"
    else:
        count = f"{len(passed)} of {len(rows)} variants pass{'es' if len(passed) == 1 else ''}"
    return (
        f"{count} ({', '.join(passed)}): with {gate.confidence:.0%} confidence each "
        f"loses less than {gate.auc_margin:g} of AUC and less than {gate.sensitivity_margin:g} of "
        "sensitivity against the Keras model."
    )


def _with_repair(row: Row) -> str:
    layers = len(row.float_layers)
    if not layers:
        return row.name
    return f"{row.name} with {layers} layer{'s' if layers > 1 else ''} in float"


def what_did_not(rows: Sequence[Row]) -> list[str]:
    """One sentence for each variant that did not pass."""
    said = []
    for row in rows:
        if row.state == "pass":
            continue
        if row.state == "not made":
            said.append(f"{row.name} was not made: {row.reason}")
            continue
        state = "fails" if row.state == "fail" else "cannot be judged"
        where = "in the bundle all the same" if row.kept else "left out"
        said.append(f"{row.name} {state} and is {where}: {row.reason}")
    return [sentence if sentence.endswith(".") else f"{sentence}." for sentence in said]


def about_licence(licence: str) -> str:
    """What a licence, an SPDX identifier, means for whoever passes the model on."""
    if licence == UNKNOWN_LICENCE:
        return (
            "It is not said under which licence the model may be used; find out before you pass it "
            "on."
        )
    if NON_COMMERCIAL in licence.upper().split("-"):
        return f"{licence}: for research and other non-commercial use, naming the sources below."
    return f"{licence}."


def machine() -> str:
    """The kind of machine that converts, for the reader of its milliseconds."""
    return f"{platform.machine()}, {platform.system()}"


def split_word(split: str) -> str:
    """A split's name for people."""
    return SPLIT_WORDS.get(split, split)


def class_name(label: Label) -> str:
    """A class for people, with its code and whether it is malignant."""
    code = "" if label.code == label.name else f" ({label.code})"
    return f"{label.name}{code}{', malignant' if label.malignant else ''}"
