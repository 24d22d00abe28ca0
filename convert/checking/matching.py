"""Which labelled image a file on a device is.

A device calls its files as they lay there: `/home/pi/test/ISIC_0024306.jpg`. The same image is
`images/ISIC_0024306.jpg` here, with the id `ISIC_0024306`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from edge_runtime.formats import SUFFIXES
from train.data.table import Record


class ByName:
    """Labelled images, found by what a file is called elsewhere.

    A file is the image with exactly this path in the data, or this id. Otherwise it is the image
    with the same file name, or else with the id that the file name is without its ending; among
    several of these, the one whose path agrees with the file's for the most folders.
    """

    def __init__(self, records: Sequence[Record], root: Path) -> None:
        """Index all images of a data set, so that an ambiguity between its splits is noticed.

        Args:
            records: n images.
            root: the folder or the CSV they were read from.
        """
        folder = (root if root.is_dir() else root.parent).absolute()
        self._paths = [_parts(record.file.absolute().as_posix()) for record in records]
        self._exact: dict[str, int] = {}
        self._named: dict[str, set[int]] = defaultdict(set)
        self._of_id: dict[str, set[int]] = defaultdict(set)
        for index, record in enumerate(records):
            path = record.file.absolute()
            if path.is_relative_to(folder):
                self._exact[path.relative_to(folder).as_posix()] = index
            self._named[path.name].add(index)
            self._of_id[_stem(record.image_id)].add(index)
        for index, record in enumerate(records):
            self._exact.setdefault(record.image_id, index)

    def find(self, file: str) -> list[int]:
        """The images that a file may be: none, one, or several that cannot be told apart.

        Args:
            file: as the device called it, with slashes of either kind.
        """
        parts = _parts(file.replace("\\", "/"))
        exact = self._exact.get("/".join(parts))
        if exact is not None:
            return [exact]
        name = parts[-1] if parts else ""
        found = self._named.get(name) or self._of_id.get(_stem(name)) or set()
        if len(found) < 2:
            return sorted(found)
        agreeing = {index: _common_tail(parts, self._paths[index]) for index in found}
        most = max(agreeing.values())
        return sorted(index for index, length in agreeing.items() if length == most)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _stem(name: str) -> str:
    """The last part of a path without the ending of an image file; an id may hold dots."""
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def _common_tail(a: Sequence[str], b: Sequence[str]) -> int:
    """How many last parts two paths share."""
    count = 0
    for one, other in zip(reversed(a), reversed(b), strict=False):
        if one != other:
            break
        count += 1
    return count
