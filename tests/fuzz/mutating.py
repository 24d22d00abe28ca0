"""Changes to bytes and to image files, drawn from a random generator: the same seed, the same file.

Blind changes seldom get past a header or a checksum. Most of these know the container, so that
what is changed is one number, one chunk, one piece of metadata or the coded pixels.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

from edge_runtime.formats import sniff
from tests.fuzz.containers import Parts, fields, join, split
from tests.fuzz.generating import exif, icc, image_file

_BYTES = (0, 1, 2, 3, 4, 7, 8, 16, 32, 64, 127, 128, 200, 254, 255)
_NUMBERS = (
    0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 24, 32, 64, 255, 256, 1000, 1024, 0x7FFF, 0x8000, 0xFFFF,
    0x10000, 0xFFFFFF, 0x1000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF,
)  # fmt: skip
_PIXELS = {"WebP": (b"VP8 ", b"VP8L", b"ALPH", b"ANMF")}
_PNG_EXTRAS = (
    b"tRNS", b"PLTE", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tEXt", b"iTXt", b"acTL", b"fcTL",
    b"fdAT", b"bKGD", b"IDAT", b"IEND", b"sBIT", b"CgBI",
)  # fmt: skip
_JPEG_EXTRAS = (b"\xe0", b"\xe1", b"\xe2", b"\xed", b"\xee", b"\xfe", b"\xdd", b"\xdb", b"\xc4")


def mutate_image(content: bytes, chance: random.Random) -> bytes:
    """A file like ``content``, or a new one: a third is made afresh, a fifth keeps its header."""
    change = chance.choices(_CHANGES, _WEIGHTS)[0]
    mutated = change(content, chance)
    if chance.random() < 0.15:
        mutated = chance.choices(_CHANGES[1:], _WEIGHTS[1:])[0](mutated, chance)
    return mutated


def damage(content: bytes, chance: random.Random, start: int = 0) -> bytes:
    """A few bytes after ``start`` set, flipped, removed, doubled or inserted."""
    if len(content) <= start:
        return content + chance.randbytes(4)
    own = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 12))):
        place = chance.randrange(start, len(own)) if len(own) > start else start
        kind = chance.random()
        if kind < 0.4 and place < len(own):
            own[place] = chance.choice(_BYTES)
        elif kind < 0.7 and place < len(own):
            own[place] ^= 1 << chance.randrange(8)
        elif kind < 0.8:
            del own[place : place + chance.choice((1, 2, 16, 200))]
        elif kind < 0.9:
            own[place:place] = own[place : place + chance.choice((1, 4, 64))]
        else:
            own[place:place] = chance.randbytes(chance.choice((1, 2, 8)))
    return bytes(own)


def _afresh(content: bytes, chance: random.Random) -> bytes:
    return image_file(chance, sniff(content) if chance.random() < 0.5 else None)


def _damage_header(content: bytes, chance: random.Random) -> bytes:
    return damage(content[:600], chance) + content[600:]


def _cut(content: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        return content + chance.randbytes(20)
    return content[: chance.randint(min(12, len(content)), len(content))]


def _change_number(content: bytes, chance: random.Random) -> bytes:
    places = fields(content)
    if not places:
        return _change_chunk(content, chance)
    own = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        offset, width = chance.choice(places)
        if offset + width > len(own):
            continue
        order = "little" if sniff(content) == "BMP" or content.startswith(b"II") else "big"
        before = int.from_bytes(own[offset : offset + width], order)
        number = before + chance.choice((-1, 1)) if chance.random() < 0.3 else _number(chance)
        own[offset : offset + width] = (number % 256**width).to_bytes(width, order)
    return bytes(own)


def _change_chunk(content: bytes, chance: random.Random) -> bytes:
    """Drop, double, move, cut or damage a chunk, or take one of another file of the format."""
    parts = split(content)
    if parts is None:
        return _change_number(content, chance) if fields(content) else damage(content, chance)
    if not parts.chunks:
        return _afresh(content, chance)
    chunks = list(parts.chunks)
    place = chance.randrange(len(chunks))
    name, body = chunks[place]
    kind = chance.random()
    if kind < 0.08:
        del chunks[place]
    elif kind < 0.16:
        chunks.insert(chance.randrange(len(chunks) + 1), chunks[place])
    elif kind < 0.24:
        chunks.insert(chance.randrange(len(chunks)), chunks.pop(place))
    elif kind < 0.34:
        chunks[place] = (name, body[: chance.randint(0, len(body))])
    elif kind < 0.5:
        other = split(image_file(chance, parts.format))
        if other and other.chunks:
            chunks.insert(place, chance.choice(other.chunks))
    elif kind < 0.75 and len(body) >= 4:
        width = chance.choice((1, 2, 4))
        offset = chance.randrange(min(len(body) - width + 1, 40))
        number = _number(chance) % 256**width
        body = body[:offset] + number.to_bytes(width, "big") + body[offset + width :]
        chunks[place] = (name, body)
    else:
        chunks[place] = (name, damage(body, chance))
    return join(replace(parts, chunks=tuple(chunks)))


def _change_metadata(content: bytes, chance: random.Random) -> bytes:
    """Put EXIF, a profile, text or a chunk of another kind into a file, whole or damaged."""
    parts = split(content)
    if parts is None:
        return _change_number(content, chance)
    name, body = _metadata(parts.format, chance)
    chunks = [chunk for chunk in parts.chunks if chunk[0] != name or chance.random() < 0.3]
    if parts.format == "WebP":
        chunks = _extended(parts, chunks, name)
        place = 1 if name == b"ICCP" else len(chunks)
    else:
        place = min(1, len(chunks)) if chance.random() < 0.8 else chance.randint(0, len(chunks))
    chunks.insert(min(place, len(chunks)), (name, body))
    return join(replace(parts, chunks=tuple(chunks)))


def _metadata(file_format: str, chance: random.Random) -> tuple[bytes, bytes]:
    kind = chance.choice(("exif", "icc", "other"))
    body = exif(chance) if kind == "exif" else icc(chance)
    if chance.random() < 0.7:
        body = damage(body, chance)
    if file_format == "JPEG":
        if kind == "other":
            return chance.choice(_JPEG_EXTRAS), chance.randbytes(chance.choice((0, 1, 5, 14, 40)))
        if kind == "exif":
            return b"\xe1", body if body.startswith(b"Exif") else b"Exif\0\0" + body
        count = bytes([chance.choice((1, 1, 1, 0, 2)), chance.choice((1, 1, 1, 0, 2))])
        return b"\xe2", b"ICC_PROFILE\0" + count + body
    if file_format == "PNG":
        if kind == "other":
            extra = chance.choice(_PNG_EXTRAS)
            return extra, chance.randbytes(chance.choice((0, 1, 2, 3, 4, 6, 8, 26, 32, 256, 768)))
        return (b"eXIf", body) if kind == "exif" else (b"iCCP", b"p\0\0" + zlib.compress(body))
    return (b"EXIF", body) if kind == "exif" else (b"ICCP", body)


def _extended(
    parts: Parts, chunks: list[tuple[bytes, bytes]], name: bytes
) -> list[tuple[bytes, bytes]]:
    """The chunks of a WebP behind a header that announces the metadata ``name``."""
    flag = 0x08 if name == b"EXIF" else 0x20
    if chunks and chunks[0][0] == b"VP8X" and chunks[0][1]:
        header = chunks[0][1]
        return [(b"VP8X", bytes([header[0] | flag]) + header[1:]), *chunks[1:]]
    kind, body = chunks[0] if chunks else (b"", b"")
    if kind == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        width, height, flag = bits & 0x3FFF, bits >> 14 & 0x3FFF, flag | 0x10
    elif kind == b"VP8 " and len(body) >= 10:
        width, height = (int.from_bytes(body[i : i + 2], "little") - 1 & 0x3FFF for i in (6, 8))
    else:
        return chunks
    size = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return [(b"VP8X", bytes([flag, 0, 0, 0]) + size), *chunks]


def _change_pixels(content: bytes, chance: random.Random) -> bytes:
    """Damage the coded pixels and nothing else; a PNG's are inflated for it and deflated again."""
    parts = split(content)
    if parts is None:
        return damage(content, chance, start=len(content) // 3)
    if parts.format == "JPEG":
        if chance.random() < 0.05:
            scan = content[content.rfind(b"\xff\xda") : -2]
            return content[:-2] + scan * chance.choice((1, 2, 40, 95, 200)) + content[-2:]
        return join(replace(parts, tail=damage(parts.tail, chance)))
    places = [
        place for place, (name, _) in enumerate(parts.chunks)
        if name in _PIXELS.get(parts.format, (b"IDAT", b"fdAT"))
    ]  # fmt: skip
    if not places:
        return damage(content, chance)
    chunks, place = list(parts.chunks), chance.choice(places)
    name, body = chunks[place]
    if name != b"IDAT":
        chunks[place] = (name, damage(body, chance, start=min(len(body), chance.choice((0, 12)))))
    else:
        inflater = zlib.decompressobj()
        try:
            rows = inflater.decompress(body, 1 << 20)
        except zlib.error:
            rows = body
        chunks[place] = (name, zlib.compress(damage(rows, chance), 1))
    return join(replace(parts, chunks=tuple(chunks)))


def _resize(content: bytes, chance: random.Random) -> bytes:
    """Let the header announce another size than the pixels have."""
    size = [chance.choice((0, 1, 2, 33, 70, 500, 3000, 16383, 65535, 100_000)) for _ in range(2)]
    parts = split(content)
    if sniff(content) == "BMP" and len(content) > 26:
        return content[:18] + struct.pack("<II", *size) + content[26:]
    if parts is None or not parts.chunks:
        return _change_number(content, chance)
    chunks = list(parts.chunks)
    for place, (name, body) in enumerate(chunks):
        if name == b"IHDR":
            chunks[place] = (name, struct.pack(">II", *size) + body[8:])
        elif parts.format == "JPEG" and name[0] & 0xF0 == 0xC0 and name[0] not in (0xC4, 0xCC):
            sides = struct.pack(">HH", *(side & 0xFFFF for side in size))
            chunks[place] = (name, body[:1] + sides + body[5:])
        elif name == b"VP8X":
            sides = b"".join((max(1, side) - 1).to_bytes(3, "little") for side in size)
            chunks[place] = (name, body[:4] + sides + body[10:])
    return join(replace(parts, chunks=tuple(chunks)))


def _number(chance: random.Random) -> int:
    return chance.choice(_NUMBERS) if chance.random() < 0.8 else chance.getrandbits(32)


Mutation = Callable[[bytes, random.Random], bytes]

_TABLE: tuple[tuple[Mutation, int], ...] = (
    (_afresh, 34), (_change_pixels, 20), (_change_metadata, 18), (_change_chunk, 12),
    (_change_number, 10), (_damage_header, 5), (damage, 4), (_resize, 3), (_cut, 2),
)  # fmt: skip
_CHANGES = [change for change, _ in _TABLE]
_WEIGHTS = [weight for _, weight in _TABLE]
