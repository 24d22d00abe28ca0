"""Image files as the chunks they are made of, so that one can be changed and the rest stay valid.

JPEG, PNG and WebP are sequences of named chunks: `split` takes them apart and `join` computes
lengths and checksums anew. BMP, TIFF and HEIC refer to places by offset: their `fields` are
changed where they stand.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from edge_runtime.formats import sniff

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START_OF_SCAN = b"\xda"
_WITHOUT_LENGTH = {bytes([marker]) for marker in (0x01, *range(0xD0, 0xD9))}
_HEIC_BOXES_OF_BOXES = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"iinf": 6, b"dinf": 0}
_MOST_FIELDS = 400


@dataclass(frozen=True)
class Parts:
    """A file taken apart.

    Attributes:
        format: JPEG, PNG or WebP.
        chunks: name and content of each, without lengths and checksums.
        tail: what follows the last chunk; the coded pixels of a JPEG.
    """

    format: str
    chunks: tuple[tuple[bytes, bytes], ...]
    tail: bytes


def split(content: bytes) -> Parts | None:
    """The chunks of a file, or None where its format has none; damage ends up in the tail."""
    file_format = sniff(content)
    if file_format == "JPEG":
        return _split_jpeg(content)
    if file_format == "PNG":
        return _split_png(content)
    return _split_webp(content) if file_format == "WebP" else None


def join(parts: Parts) -> bytes:
    """The file that `split` took apart."""
    if parts.format == "JPEG":
        return b"\xff\xd8" + b"".join(map(_segment, parts.chunks)) + parts.tail
    if parts.format == "PNG":
        return _PNG_SIGNATURE + b"".join(map(_png_chunk, parts.chunks)) + parts.tail
    body = b"WEBP" + b"".join(map(_riff_chunk, parts.chunks)) + parts.tail
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fields(content: bytes) -> list[tuple[int, int]]:
    """Offset and width in bytes of the numbers in the header of a BMP, TIFF or HEIC file."""
    file_format = sniff(content)
    if file_format == "BMP":
        return [(start, 4) for start in (2, 10, 14, 18, 22, 30, 34, 46)] + [(26, 2), (28, 2)]
    if file_format == "TIFF":
        return _tiff_fields(content)
    return _heic_fields(content, 0, len(content)) if file_format == "HEIC" else []


def _split_jpeg(content: bytes) -> Parts:
    chunks, position = [], 2
    while content[position : position + 1] == b"\xff" and position + 4 <= len(content):
        marker = content[position + 1 : position + 2]
        if marker in _WITHOUT_LENGTH or marker == b"\xff":
            break
        end = position + 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        if end > len(content) or end < position + 4:
            break
        chunks.append((marker, content[position + 4 : end]))
        position = end
        if marker == _START_OF_SCAN:
            break
    return Parts("JPEG", tuple(chunks), content[position:])


def _segment(chunk: tuple[bytes, bytes]) -> bytes:
    marker, content = chunk
    content = content[:65533]
    return b"\xff" + marker + struct.pack(">H", len(content) + 2) + content


def _split_png(content: bytes) -> Parts:
    chunks, position = [], len(_PNG_SIGNATURE)
    while position + 12 <= len(content):
        end = position + 8 + int.from_bytes(content[position : position + 4], "big")
        if end + 4 > len(content):
            break
        chunks.append((content[position + 4 : position + 8], content[position + 8 : end]))
        position = end + 4
    return Parts("PNG", tuple(chunks), content[position:])


def _png_chunk(chunk: tuple[bytes, bytes]) -> bytes:
    kind, content = chunk
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _split_webp(content: bytes) -> Parts:
    chunks, position = [], 12
    while position + 8 <= len(content):
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        end = position + 8 + length
        if end > len(content):
            break
        chunks.append((content[position : position + 4], content[position + 8 : end]))
        position = end + length % 2
    return Parts("WebP", tuple(chunks), content[position:])


def _riff_chunk(chunk: tuple[bytes, bytes]) -> bytes:
    kind, content = chunk
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _tiff_fields(content: bytes) -> list[tuple[int, int]]:
    order = ">" if content.startswith(b"MM") else "<"
    found = [(4, 4)]
    try:
        (start,) = struct.unpack_from(order + "I", content, 4)
        (count,) = struct.unpack_from(order + "H", content, start)
    except struct.error:
        return found
    found.append((start, 2))
    for entry in range(start + 2, start + 2 + 12 * min(count, 60), 12):
        found += [(entry, 2), (entry + 2, 2), (entry + 4, 4), (entry + 8, 4), (entry + 8, 2)]
    return [(offset, width) for offset, width in found if offset + width <= len(content)]


def _heic_fields(content: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """Sizes of boxes, and the 16-bit words in those that hold no boxes (ISO/IEC 14496-12)."""
    found: list[tuple[int, int]] = []
    while start + 8 <= end and len(found) < _MOST_FIELDS:
        size = int.from_bytes(content[start : start + 4], "big")
        kind = content[start + 4 : start + 8]
        stop = min(end, start + size) if size >= 8 else end
        found.append((start, 4))
        if kind in _HEIC_BOXES_OF_BOXES:
            found += _heic_fields(content, start + 8 + _HEIC_BOXES_OF_BOXES[kind], stop)
        elif kind != b"mdat":
            found += [(place, 2) for place in range(start + 8, min(stop, start + 80) - 1, 2)]
        start = stop
    return found
