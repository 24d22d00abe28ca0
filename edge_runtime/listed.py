"""A file that a manifest lists: its path within the bundle, and the digest of its content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from edge_runtime._strict import RecordError, shown


@dataclass(frozen=True)
class BundleFile:
    """A file of the bundle: path relative to the bundle, with forward slashes, and its SHA-256."""

    file: str
    sha256: str

    def __post_init__(self) -> None:
        check_path(self.file)
        check_digest(self.sha256)


def check_path(path: str) -> None:
    """Refuse a path that may lead out of the bundle.

    Raises:
        RecordError: it is absolute, climbs, or is written for one system only.
    """
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    if (
        not path or posix.is_absolute() or windows.drive or windows.root
        or ".." in windows.parts or "\\" in path or "\0" in path
    ):  # fmt: skip
        raise RecordError(f"file is {shown(path)}, expected a path inside the bundle")


def check_digest(digest: str) -> None:
    """Refuse what is no SHA-256 in lower-case hexadecimal digits.

    Raises:
        RecordError: anything else.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise RecordError(f"sha256 is {shown(digest)}, expected 64 lower-case hexadecimal digits")
