"""A fit's state after an epoch, in one file, so that a killed run goes on where it was.

The file is written beside its place and renamed, so a kill at any moment leaves the state of the
last whole epoch, or none.
"""

from __future__ import annotations

import errno
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime._files import write_bytes
from edge_runtime.errors import RunError, TrainingError

CHECKPOINT_FILE = "checkpoint.npz"
_FACTS = "facts"
Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Checkpoint:
    """What a fit knows after an epoch.

    Attributes:
        history: one row for every epoch so far.
        state: the variables of network and optimizer, by name.
        best: the network's weights of the best epoch, by position.
    """

    history: tuple[Mapping[str, float], ...]
    state: Arrays
    best: Sequence[NDArray[np.generic]]


class CheckpointFile:
    """The checkpoint of one run.

    Args:
        folder: the run's own; it has to exist when an epoch is saved.
        fingerprint: of what has to be the same to go on: the data, the teacher.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._path, self._fingerprint = folder / CHECKPOINT_FILE, fingerprint

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace what is there.

        Raises:
            TrainingError: the disk is full; the earlier checkpoint is still there.
        """
        facts = {"fingerprint": self._fingerprint, "history": [*map(dict, checkpoint.history)]}
        arrays = {f"state/{name}": value for name, value in checkpoint.state.items()}
        arrays |= {f"best/{index:05d}": value for index, value in enumerate(checkpoint.best)}
        buffer = io.BytesIO()
        np.savez(buffer, **{_FACTS: np.array(json.dumps(facts)), **arrays})  # type: ignore[arg-type]
        try:
            write_bytes(self._path, buffer.getvalue())
        except OSError as error:
            kept = "the epoch before is kept" if self._path.exists() else "no epoch is saved yet"
            raise TrainingError(f"{full_disk(error, self._path.parent)} ({kept}).") from None

    def load(self) -> Checkpoint | None:
        """What was saved, or None.

        Raises:
            RunError: the file is damaged, or belongs to other data or another teacher.
        """
        if not self._path.is_file():
            return None
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                facts = json.loads(str(stored[_FACTS]))
                fingerprint, history = facts["fingerprint"], tuple(facts["history"])
                arrays = {name: stored[name] for name in stored.files if name != _FACTS}
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{self._path} is damaged ({error}); remove {self._path.parent} and train anew."
            ) from None
        if fingerprint != self._fingerprint:
            raise RunError(
                f"The images, their labels, their split or the teacher are no longer what "
                f"{self._path.parent} was begun with; bring them back as they were, or remove that "
                "folder and train anew."
            )
        return Checkpoint(
            history=history,
            state={n.removeprefix("state/"): a for n, a in arrays.items() if n[:6] == "state/"},
            best=[arrays[name] for name in sorted(arrays) if name.startswith("best/")],
        )


def full_disk(error: OSError, folder: Path) -> str:
    """The beginning of a sentence for a file that could not be written into ``folder``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk that holds {folder} is full; free some space and train with --resume"
    return f"{folder} cannot be written ({error.strerror}); mend that and train with --resume"
