"""Refusing a batch that memory cannot hold, before the kernel kills the process for it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from edge_runtime.errors import TrainingError
from train.config import TrainConfig

_PASSES = 2.0
"""Copies of every layer's output that a training step holds: the output and its gradient."""


def step_bytes(model: Any, batch_size: int) -> int:
    """About how many bytes one training step needs for the outputs of all layers, as float32."""
    numbers = sum(math.prod(layer.output.shape[1:]) for layer in model.layers)
    return int(numbers * 4 * batch_size * _PASSES)


def available_bytes() -> int | None:
    """Memory that could be had without swapping, or None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    available = fields.get("MemAvailable")
    return int(available.split()[0]) * 1024 if available else None


def check_fits(model: Any, config: TrainConfig) -> None:
    """Refuse a configuration whose training step memory cannot hold.

    Raises:
        TrainingError: says how much is needed, how much there is, and which batch would fit.
    """
    needed, available = step_bytes(model, config.batch_size), available_bytes()
    if available is None or needed <= available:
        return
    fitting = config.batch_size * available // needed
    raise TrainingError(
        f"A step of {config.batch_size} images of {config.input_size} px needs about "
        f"{needed / 2**30:.1f} GiB, and {available / 2**30:.1f} GiB of memory are free; lower "
        + (f"--batch-size to {fitting}." if fitting >= 1 else "--input-size.")
    )
