"""What intervals cannot tell, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edge_runtime.manifest import Metric
from train.metrics import Predictions

_KINDS = (("sensitivity", True), ("specificity", False))


def certainty_notes(
    metrics: Mapping[str, Metric], answered: Sequence[Predictions], of: str = ""
) -> list[str]:
    """Where all answers were right (or wrong), no resample differs, and the interval is a point.

    The rule of three (Hanley & Lippman-Hand, JAMA 249, 1983, 1743-1745) says what is possible.

    Args:
        metrics: figures by name.
        answered: what they were measured on, the parts of a cross-validation one by one.
        of: words after a figure's name, where these are some of the images.
    """
    notes = []
    for target in dict.fromkeys(target for one in answered for target in one.targets):
        for kind, side in _KINDS:
            name = f"{target}_{kind}"
            if name not in metrics or 0 < metrics[name].value < 1:
                continue
            lesions = sum(
                len(np.unique(one.groups[one.positive(target) == side])) for one in answered
            )
            reach = min(1.0, 3 / lesions)
            limit = f"as low as {1 - reach:.2f}" if metrics[name].value else f"up to {reach:.2f}"
            notes.append(
                f"{name}{of} is {metrics[name].value:.0f} on {lesions} lesions, "
                f"where no resample can differ; the true value may well be {limit} (rule of three)"
            )
    return notes


def resampling_notes(known: int, total: int) -> list[str]:
    """What is said of intervals by lesion where not every lesion is known.

    Args:
        known: images of which the lesion is known.
        total: all images.
    """
    if not known:
        return ["the data names no lesions, so intervals resample images (copies "
                "together) and may be too narrow"]  # fmt: skip
    if known < total:
        return [f"the lesion is known for {known} of {total} images; each of the others counts as "
                "a lesion of its own"]  # fmt: skip
    return []
