"""ZIP archives that depend on nothing but the files in them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping


def unzipped(content: bytes) -> dict[str, bytes]:
    """The files of a ZIP, by name; what stands before it is passed over."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A ZIP of these files: in order of their names, uncompressed, without times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name])
    return buffer.getvalue()
