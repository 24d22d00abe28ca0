"""Labelled images that are found again on the machine where a piece runs.

Images do not travel. A worker looks for them at the path where the caller has them, or, if the
caller has them below the folder that ``DERMEDGE_DATA`` names, below the folder that it names to the
worker.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from pathlib import Path

from edge_runtime.errors import DataNotFoundError
from train.data.shelf import DATA_VARIABLE, shelf
from train.data.table import Dataset


@dataclass(frozen=True)
class Placed:
    """A data set with absolute paths.

    Attributes:
        data: the images.
        shelf: the folder of ``DERMEDGE_DATA``, where the images are below it.
    """

    data: Dataset
    shelf: Path | None

    def here(self) -> Dataset:
        """The same images on this machine.

        Raises:
            DataNotFoundError: they are not here.
        """
        root = self._moved(self.data.root)
        if not root.exists():
            raise DataNotFoundError(
                f"{socket.gethostname()} has no {root}; put the images there, or name the folder "
                f"that holds {root.name} with {DATA_VARIABLE} on both machines."
            )
        if root == self.data.root:
            return self.data
        records = [replace(r, file=self._moved(r.file)) for r in self.data.records]
        return replace(self.data, root=root, records=tuple(records))

    def _moved(self, path: Path) -> Path:
        here = shelf()
        if self.shelf is None or here is None or not path.is_relative_to(self.shelf):
            return path
        return here.absolute() / path.relative_to(self.shelf)


def place(data: Dataset) -> Placed:
    """``data`` with absolute paths, and the shelf that it lies on."""
    root = data.root.absolute()
    records = [replace(record, file=record.file.absolute()) for record in data.records]
    folder = shelf()
    below = folder.absolute() if folder else None
    return Placed(
        replace(data, root=root, records=tuple(records)),
        below if below is not None and root.is_relative_to(below) else None,
    )
