"""Which image formats are read, and what the first bytes of a file say it is."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """One supported file format.

    Attributes:
        suffixes: endings of file names that announce it.
        module, reader: the module and its Pillow class that read it.
        extra: the extra of dermedge-runtime that brings the module, where Pillow does not.
    """

    suffixes: tuple[str, ...]
    module: str
    reader: str
    extra: str | None = None


FORMATS = {
    "JPEG": Format(
        (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "PIL.JpegImagePlugin", "JpegImageFile"
    ),
    "PNG": Format((".png", ".apng"), "PIL.PngImagePlugin", "PngImageFile"),
    "BMP": Format((".bmp", ".dib"), "PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": Format((".tif", ".tiff"), "PIL.TiffImagePlugin", "TiffImageFile"),
    "WebP": Format((".webp",), "PIL.WebPImagePlugin", "WebPImageFile"),
    "HEIC": Format((".heic", ".heif", ".hif"), "pillow_heif", "HeifImageFile", extra="heic"),
}
"""The formats that are read."""

SUFFIXES = frozenset(suffix for known in FORMATS.values() for suffix in known.suffixes)
"""The endings by which a folder is searched for images."""

_OTHER_SUFFIXES = frozenset((
    ".arw", ".avif", ".cr2", ".csv", ".dcm", ".dng", ".gif", ".jp2", ".mov", ".mp4", ".nef", ".pdf",
    ".psd", ".svg", ".txt", ".zip",
))  # fmt: skip
"""Endings of other kinds of files; any further one, as in `photo.2026.11`, announces nothing."""


_BMP_HEADER_SIZES = {12, 40, 52, 56, 64, 108, 124}
_HEVC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_HEIF_BRANDS = {b"mif1", b"mif2", b"msf1"}  # of any coding, so the others decide
_AVIF_BRANDS = {b"avif", b"avis"}


def sniff(content: bytes) -> str | None:
    """The image format that the first bytes announce (a key of `FORMATS`), or None."""
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if _is_bmp(content):
        return "BMP"
    if content.startswith((b"II*\0", b"MM\0*")):
        return "TIFF"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WebP"
    brands = _brands(content)
    if brands & _HEVC_BRANDS or (brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS):
        return "HEIC"
    return None


def _is_bmp(content: bytes) -> bool:
    """Two letters are too few to tell a table whose first column begins with BM from an image."""
    cut = len(content) < 18
    return content.startswith(b"BM") and (
        cut or int.from_bytes(content[14:18], "little") in _BMP_HEADER_SIZES
    )


def _brands(content: bytes) -> set[bytes]:
    """What the ``ftyp`` box at the start of a file declares (ISO/IEC 14496-12, section 4.3)."""
    if content[4:8] != b"ftyp":
        return set()
    box = content[: min(int.from_bytes(content[:4], "big"), 256)]
    return {box[8:12], *(box[start : start + 4] for start in range(16, len(box) - 3, 4))}


def wrong_suffix(name: str, file_format: str) -> bool:
    """Whether the ending of ``name`` announces something else than the format found."""
    suffix = os.path.splitext(name)[1].lower()
    if not suffix or file_format not in FORMATS or suffix in FORMATS[file_format].suffixes:
        return False
    return suffix in SUFFIXES or suffix in _OTHER_SUFFIXES


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
        return "an AVIF image" if _brands(content) & _AVIF_BRANDS else "a video file"
    if content[128:132] == b"DICM":
        return "a DICOM file"
    try:
        content[:512].decode("utf-8")
    except UnicodeDecodeError as error:
        if len(content) <= 512 or error.start < 508:  # not merely a character cut at the end
            return "not an image that is known here"
    return "not an image that is known here" if b"\0" in content[:512] else "a text file"
