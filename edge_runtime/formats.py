"""Which image formats are read, and what the first bytes of a file say it is."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """One supported file format.

    Attributes:
        suffixes: endings of file names that announce it.
        plugin, reader: Pillow's module and class for it.
    """

    suffixes: tuple[str, ...]
    plugin: str
    reader: str


FORMATS = {
    "JPEG": Format((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JpegImagePlugin", "JpegImageFile"),
    "PNG": Format((".png", ".apng"), "PngImagePlugin", "PngImageFile"),
    "BMP": Format((".bmp", ".dib"), "BmpImagePlugin", "BmpImageFile"),
    "TIFF": Format((".tif", ".tiff"), "TiffImagePlugin", "TiffImageFile"),
    "WebP": Format((".webp",), "WebPImagePlugin", "WebPImageFile"),
}
"""The formats that are read."""

SUFFIXES = frozenset(suffix for known in FORMATS.values() for suffix in known.suffixes)
"""The endings by which a folder is searched for images."""


def sniff(content: bytes) -> str | None:
    """The image format that the first bytes announce (a key of `FORMATS`), or None."""
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content.startswith(b"BM"):
        return "BMP"
    if content.startswith((b"II*\0", b"MM\0*")):
        return "TIFF"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WebP"
    return None


def wrong_suffix(name: str, file_format: str) -> bool:
    """Whether the ending of ``name`` announces another format than the one found."""
    suffix = os.path.splitext(name)[1].lower()
    return bool(suffix) and file_format in FORMATS and suffix not in FORMATS[file_format].suffixes


def content_kind(content: bytes) -> str:
    """What a file without an image signature seems to be, for the error message."""
    signatures = {
        b"GIF8": "a GIF", b"%PDF": "a PDF document", b"PK\x03\x04": "a ZIP archive",
        b"\x1f\x8b": "a gzip archive", b"<svg": "an SVG drawing",
    }  # fmt: skip
    for signature, kind in signatures.items():
        if content.startswith(signature):
            return kind
    if content[4:8] == b"ftyp":
        return "an HEIF or video file"
    if content[128:132] == b"DICM":
        return "a DICOM file"
    try:
        content[:512].decode("utf-8")
    except UnicodeDecodeError as error:
        if len(content) <= 512 or error.start < 508:  # not merely a character cut at the end
            return "not an image that is known here"
    return "not an image that is known here" if b"\0" in content[:512] else "a text file"
