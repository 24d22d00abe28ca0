"""How long the variants take on the machine that converts, all timed in turns at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convert.outcome import Outcome
from train.evaluation.execution import median_ms


def timed(outcomes: Sequence[Outcome], tensor: NDArray[np.uint8]) -> tuple[Outcome, ...]:
    """The outcomes and their rungs with their `median_ms`, where they were executed.

    Args:
        outcomes: of every variant.
        tensor: an input, uint8 of shape (size, size, 3).
    """
    models = {
        rung.model: outcome.kind.format for outcome in outcomes for rung in outcome.rungs
    }  # the file that was taken is one of them
    taken = dict(zip(models, median_ms(list(models.items()), tensor), strict=True))
    return tuple(
        replace(
            outcome,
            rungs=tuple(replace(rung, median_ms=taken[rung.model]) for rung in outcome.rungs),
            median_ms=taken.get(outcome.model, outcome.median_ms),
        )
        for outcome in outcomes
    )
