"""What a trial is judged by: a column of the validation part's history."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Direction = Literal["maximize", "minimize"]

OBJECTIVES: Mapping[str, Direction] = MappingProxyType(
    {"val_auc": "maximize", "val_accuracy": "maximize", "val_loss": "minimize"}
)
"""Columns, and which way is better; `val_auc` is of melanoma, else of the malignant classes."""

STEPS = 10
"""Trials are compared at tenths of their epochs, since a schedule of 5 epochs is at its end where
one of 20 has hardly begun."""

STARTUP_TRIALS = 5
"""No trial is stopped early before so many have ended."""

WARMUP_STEPS = 2
"""No trial is stopped before so many tenths of its epochs are done."""


def step_of(epoch: int, epochs: int) -> int:
    """How many whole tenths of the epochs are done after ``epoch`` (counted from 1)."""
    return STEPS * epoch // epochs
