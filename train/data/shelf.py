"""The folder that holds a user's data sets, so that a name alone is enough."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.errors import DataNotFoundError

DATA_VARIABLE = "DERMEDGE_DATA"


def shelf() -> Path | None:
    """The folder that DERMEDGE_DATA names, or None."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else None


def find(named: str) -> Path:
    """The path that a user named, or the folder or file of that name on the shelf."""
    path, folder = Path(named), shelf()
    if folder and not os.path.exists(path) and os.path.exists(folder / path):
        return folder / path
    return path


@contextlib.contextmanager
def looked_for(*named: str) -> Iterator[None]:
    """Where the block finds no data by a name alone, say what the shelf has to do with it.

    Args:
        named: what the user named, as `find` takes it.

    Raises:
        DataNotFoundError: the block's, with more words.
    """
    try:
        yield
    except DataNotFoundError as error:
        if not any(Path(one).name == one and not os.path.exists(find(one)) for one in named):
            raise
        folder = shelf()
        words = (
            f", here or in {folder}, which {DATA_VARIABLE} names."
            if folder
            else f", or set {DATA_VARIABLE} to the folder that holds it."
        )
        raise DataNotFoundError(str(error).removesuffix(".") + words) from None
