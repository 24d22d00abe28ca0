"""One fold as an independent piece of work."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import UsageError
from train.config import TrainConfig
from train.pieces.folder import PLAN_FILE
from train.pieces.place import Placed


@dataclass(frozen=True)
class FoldPiece:
    """A fold to train.

    Attributes:
        number: from 1.
        images: the data set, its test part being this fold's.
        config: how to train.
        out: the folder of the cross-validation, absolute.
    """

    number: int
    images: Placed
    config: TrainConfig
    out: Path

    @property
    def name(self) -> str:
        """For people."""
        return f"fold {self.number}"

    @property
    def folder(self) -> Path:
        """The fold's run folder."""
        return fold_folder(self.out, self.number)


def fold_folder(out: Path, number: int) -> Path:
    """Where the run of a fold is kept."""
    return out / f"fold-{number}"


def train_fold(piece: FoldPiece) -> str:
    """Train a fold, going on where an earlier try was broken off; the name of the machine.

    Raises:
        UsageError: this machine does not have the folder of the cross-validation.
        DermedgeError: as `train.training.train`.
    """
    from train.training import train

    if not (piece.out / PLAN_FILE).is_file():
        raise UsageError(
            f"{socket.gethostname()} has no {piece.out}; with --ray, --out has to be a folder that "
            "all nodes share."
        )
    train(piece.images.here(), piece.config, piece.folder, resume=True)
    return socket.gethostname()
