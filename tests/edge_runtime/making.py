"""Image files made for the tests: known pixels in every format, and headers without pixels."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_runtime.errors import DermedgeError

ORIENTATION = 0x0112


def noise(height: int = 40, width: int = 56, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Random bytes of shape (height, width, channels), or (height, width) for one channel."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def blocks(rows: int = 3, columns: int = 5, side: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    """Squares of one colour each, which a JPEG keeps to within a grey level or two."""
    colours = noise(rows, columns, seed=seed)
    return colours.repeat(side, axis=0).repeat(side, axis=1)


def encode(image: Image.Image | NDArray[Any], file_format: str, **options: Any) -> bytes:
    """The bytes of an image file that Pillow writes."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        file, file_format, **options
    )
    return file.getvalue()


def exif(orientation: object) -> bytes:
    """EXIF that says nothing but the orientation."""
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


def png(
    samples: bytes, width: int, height: int, *, depth: int, colour: int, transparent: bytes = b""
) -> bytes:
    """A PNG of any bit depth and colour type (Pillow writes only some), from unfiltered rows."""
    stride = len(samples) // height
    rows = b"".join(b"\0" + samples[row * stride : (row + 1) * stride] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress(rows))]
    return (
        b"\x89PNG\r\n\x1a\n"
        + b"".join(_png_chunk(kind, data) for kind, data in chunks if data)
        + _png_chunk(b"IEND", b"")
    )


def header_only(file_format: str, width: int, height: int) -> bytes:
    """A file that announces its size and holds no pixels."""
    return {
        "PNG": _png_header, "BMP": _bmp_header, "JPEG": _jpeg_header, "TIFF": _tiff_header,
        "WebP": _webp_header,
    }[file_format](width, height)  # fmt: skip


def assert_one_sentence(error: DermedgeError, *words: str) -> None:
    """The message is one line that ends like a sentence and has ``words`` in it."""
    message = str(error)
    assert "\n" not in message
    assert message.endswith(".")
    assert not message.endswith("..")
    assert len(message) < 400, message
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def _png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", b"")


def _bmp_header(width: int, height: int) -> bytes:
    size = 14 + 40
    return b"BM" + struct.pack(
        "<IHHIIiiHHIIiiII", size, 0, 0, size, 40, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0
    )


def _jpeg_header(width: int, height: int) -> bytes:
    components = bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    frame = struct.pack(">BHHB", 8, height, width, 3) + components
    scan = bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])
    return b"\xff\xd8" + b"".join(
        marker + struct.pack(">H", len(data) + 2) + data
        for marker, data in ((b"\xff\xc0", frame), (b"\xff\xda", scan))
    )


def _tiff_header(width: int, height: int) -> bytes:
    long = 4
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 200, 278: height, 279: 100}
    entries = b"".join(struct.pack("<HHII", tag, long, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)


def _webp_header(width: int, height: int) -> bytes:
    lossless = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(101)
    chunk = b"VP8L" + struct.pack("<I", len(lossless)) + lossless
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
