"""Trials without training, for tests of what happens around them."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

from edge_runtime.errors import DataError, TrainingError
from train.tuning.piece import Trained, TrialPiece

FOLDER = "DERMEDGE_TEST_FOLDER"
"""Variable that names a folder: trials leave a file there; one named "hold" makes the next wait."""


def quick_trial(piece: TrialPiece) -> Trained:
    """The nearer the learning rate is to 2e-3, the better; what the folder holds can go wrong."""
    folder = Path(os.environ[FOLDER])
    (folder / f"begin-{piece.number}").touch()
    if (folder / "hold").exists():
        (folder / "held").write_text(str(os.getpid()))
        time.sleep(60)
    if (folder / f"diverge-{piece.number}").exists():
        raise TrainingError("The loss is nan in epoch 1; lower --learning-rate.")
    if (folder / f"vanish-{piece.number}").exists():
        raise DataError("An image has vanished.")
    value = 1 - abs(math.log10(piece.config.learning_rate / 2e-3)) / 4
    if (folder / "alike").exists():
        value = 1.0
    return Trained(value, 1, False, {5: value - 0.1, 10: value}, 0.1)
