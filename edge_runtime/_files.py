"""Reading and writing files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def sha256(content: bytes) -> str:
    """SHA-256 of ``content`` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, flush it to the disk, then rename it into place.

    A link stays, and what it points to is written; so does a device or a pipe.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        path.write_bytes(content)
        return
    path = Path(os.path.realpath(path))
    beside = _beside(path)
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for text, as UTF-8."""
    write_bytes(path, text.encode("utf-8"))


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder beside ``path`` and put it in place of ``path`` when the block succeeds.

    When the block fails or is interrupted, the folder is removed and an earlier ``path`` is left as
    it was. A link stays, and the folder that it points to is replaced.
    """
    import shutil

    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    beside, replaced = _beside(path), _beside(path)
    beside.mkdir()
    try:
        yield beside
        if path.exists():
            os.replace(path, replaced)
        os.replace(beside, path)
    finally:
        if replaced.exists() and not path.exists():
            os.replace(replaced, path)
        for left in (replaced, beside):
            shutil.rmtree(left, ignore_errors=True)


def _beside(path: Path) -> Path:
    import secrets  # devices only read: starting there does not wait for it

    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
