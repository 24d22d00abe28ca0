"""What a check asks beside the gate, answered by the gate's rule.

Which share of what is looked for does one side find, or answer, and the other does not? That is the
gate's loss of sensitivity for given decisions: paired, each lesion counting once, with Tango's
one-sided bound against the margin of sensitivity. A loss that cannot be excluded is not passed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convert.gate.judge import GRAVEST_FIRST, Margins, Measured, lesions_for_sensitivity
from convert.gate.statistics import discordance
from edge_runtime.manifest import Variant, Verdict
from train.metrics import Predictions


@dataclass(frozen=True)
class Finding:
    """One more answer about a variant.

    Attributes:
        verdict: what it alone would give.
        sentence: why.
    """

    verdict: Verdict
    sentence: str


def finding(
    name: str, said: str, truth: Predictions, before: NDArray[np.bool_], after: NDArray[np.bool_],
    margins: Margins,
) -> Finding | None:  # fmt: skip
    """Judge how many of those that show the first target are lost.

    Args:
        name: of the loss.
        said: what was counted, in words; the loss follows it.
        truth: of n images.
        before, after: which of them the reference, and what is judged, decide rightly, shape (n,).
        margins: that of sensitivity is used.

    Returns:
        None for fewer than two lesions, about which the gate has said that they decide nothing.
    """
    target = truth.targets[0]
    positive = truth.positive(target)
    groups = truth.groups[positive]
    lesions = len(np.unique(groups))
    if lesions < 2:
        return None
    kept, left = (given[positive].astype(np.float64) for given in (before, after))
    found = discordance(kept, left, groups)
    measured = Measured(name, found.loss(), margins.sensitivity)
    sentence = f"{said}: {measured.sentence}"
    if measured.state == "cannot judge":
        needed = lesions_for_sensitivity(found, lesions, margins)
        sentence += f"; about {needed} {target} lesions would decide it, here are {lesions}"
    return Finding(measured.state, sentence)


def with_finding(entry: Variant, found: Finding | None) -> Variant:
    """The entry with the graver of the two verdicts, and the reasons of those that gave it."""
    if found is None or found.verdict == "pass":
        return entry
    if found.verdict == entry.verdict:
        return replace(entry, reason=f"{entry.reason}; {found.sentence}")
    if GRAVEST_FIRST.index(found.verdict) > GRAVEST_FIRST.index(entry.verdict):
        return entry
    return replace(entry, verdict=found.verdict, reason=found.sentence)
