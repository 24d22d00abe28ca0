"""Image files that nobody took: small, valid, and of every kind that is read.

All are generated; a picture's content does not matter here, its file does.
"""

from __future__ import annotations

import functools
import io
import random
import struct
from typing import Any

from PIL import Image, ImageCms

from tests.edge_runtime.icc import PRIMARIES, cmyk_profile, grey_profile, rgb_profile
from tests.edge_runtime.making import ORIENTATION, encode, png

_MODES = {
    "JPEG": ("RGB", "RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "BMP": ("RGB", "L", "P", "1", "RGBA"),
    "TIFF": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "I", "F", "CMYK", "YCbCr", "LAB"),
    "WebP": ("RGB", "RGBA"),
}
_TIFF_COMPRESSIONS = (
    None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group3", "group4", "zstd",
)  # fmt: skip
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG, by colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def image_file(chance: random.Random, file_format: str | None = None) -> bytes:
    """A whole image file of a random kind, of ``file_format`` or of any that Pillow writes."""
    wanted = file_format if file_format in _MODES else chance.choice(list(_MODES))
    if wanted == "PNG" and chance.random() < 0.4:
        return _odd_png(chance)
    if wanted == "BMP" and chance.random() < 0.15:
        return _run_length_bmp(chance)
    for _ in range(8):  # some formats cannot hold some modes
        picture = _picture(chance, chance.choice(_MODES[wanted]))
        try:
            return encode(picture, wanted, **_options(chance, wanted, picture))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            continue
    return encode(_picture(chance, "RGB"), wanted)


def heic_file(chance: random.Random) -> bytes:
    """A HEIC file. Slow to make, so these come from the corpus and are not made while fuzzing."""
    import pillow_heif

    file = io.BytesIO()
    picture = _picture(chance, chance.choice(("RGB", "RGBA", "L")))
    options: dict[str, Any] = {"quality": chance.choice((-1, 50)), "exif": exif(chance)}
    if chance.random() < 0.5:
        options["icc_profile"] = icc(chance)
    pillow_heif.from_pillow(picture).save(file, **options)
    return file.getvalue()


def exif(chance: random.Random) -> bytes:
    """EXIF with an orientation, sensible or not, and sometimes more."""
    tags = Image.Exif()
    tags[ORIENTATION] = chance.choice((1, 2, 3, 4, 5, 6, 7, 8, 6, 8, 0, 9, 65535))
    if chance.random() < 0.4:
        tags[0x010F] = chance.choice(("camera", "", "x" * 300))
    if chance.random() < 0.3:
        tags.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0comment"
    return tags.tobytes()


def icc(chance: random.Random) -> bytes:
    """A colour profile: of a display, of grey, of a printer, or of a space of no pixels."""
    return chance.choice(_profiles())


@functools.cache
def _profiles() -> tuple[bytes, ...]:
    built_in = (ImageCms.ImageCmsProfile(ImageCms.createProfile(n)) for n in ("sRGB", "LAB", "XYZ"))
    return (
        *map(rgb_profile, PRIMARIES), grey_profile(2.2), grey_profile(1.0), cmyk_profile(),
        *(profile.tobytes() for profile in built_in),
    )  # fmt: skip


def _picture(chance: random.Random, mode: str) -> Image.Image:
    size = _size(chance)
    small = Image.frombytes("RGB", (4, 4), chance.randbytes(48))
    picture = small.resize(size, chance.choice((Image.Resampling.NEAREST, Image.Resampling.BOX)))
    if mode in ("RGBA", "LA", "P", "1", "L", "CMYK", "YCbCr"):
        return picture.convert(mode)
    if mode == "LAB":
        return Image.merge("LAB", picture.split())
    if mode in ("I;16", "I", "F"):
        grey = picture.convert("L").convert("I").point(lambda value: value * 257)
        return grey.convert(mode)
    return picture


def _size(chance: random.Random) -> tuple[int, int]:
    kind = chance.random()
    if kind < 0.03:  # long and thin, or large
        return chance.choice(((1, 2000), (2000, 1), (600, 500), (1, 1)))
    return chance.randint(1, 72), chance.randint(1, 72)


def _options(chance: random.Random, file_format: str, picture: Image.Image) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if chance.random() < 0.4 and file_format != "BMP":
        options["exif"] = exif(chance)
    if chance.random() < 0.4 and file_format != "BMP":
        options["icc_profile"] = icc(chance)
    if file_format == "JPEG":
        options |= {
            "quality": chance.choice((5, 50, 95)), "progressive": chance.random() < 0.3,
            "subsampling": chance.choice((0, 1, 2)) if picture.mode == "RGB" else -1,
            "restart_marker_blocks": chance.choice((0, 0, 1)),
        }  # fmt: skip
    elif file_format == "PNG":
        options["compress_level"] = chance.choice((0, 1, 6))
        if chance.random() < 0.3:
            options["transparency"] = chance.choice((0, 1, 255, b"\0\x80\xff", (0, 1, 2)))
    elif file_format == "TIFF":
        options["compression"] = chance.choice(_TIFF_COMPRESSIONS)
        options["big_tiff"] = chance.random() < 0.05
        if chance.random() < 0.3:
            options["strip_size"] = chance.choice((1, 64, 4096))
    elif file_format == "WebP":
        options |= {"lossless": chance.random() < 0.5, "method": 0, "quality": chance.randrange(99)}
        if chance.random() < 0.2:
            options |= {"save_all": True, "append_images": [_picture(chance, "RGBA")]}
    return options


def _run_length_bmp(chance: random.Random) -> bytes:
    """A BMP in run-length coding of 8 or 4 bits, which Pillow reads and does not write."""
    width, height, depth = chance.randint(1, 72), chance.randint(1, 40), chance.choice((8, 4))
    codes = (b"\0\0", b"\0\1", b"\0\2\1\1", b"\0\4abcd", bytes([width, 1]), b"\5\0", b"\xff\1")
    rows = b"".join(bytes([width, row % 2]) + b"\0\0" for row in range(height))
    if chance.random() < 0.6:
        rows = b"".join(chance.choices(codes, k=3 * height))
    start = 14 + 40 + 8
    header = struct.pack(
        "<IHHIIiiHHIIiiII", start + len(rows), 0, 0, start, 40, width, height, 1, depth,
        1 if depth == 8 else 2, len(rows), 2835, 2835, 2, 0,
    )  # fmt: skip
    return b"BM" + header + bytes(4) + b"\xff" * 4 + rows


def _odd_png(chance: random.Random) -> bytes:
    """A PNG of any bit depth and colour type; Pillow writes only some."""
    colour = chance.choice(list(_CHANNELS))
    depth = chance.choice(_DEPTHS[colour])
    width, height = chance.randint(1, 40), chance.randint(1, 40)
    stride = (width * _CHANNELS[colour] * depth + 7) // 8
    transparent = b""
    if chance.random() < 0.5:
        transparent = chance.randbytes(chance.choice((2, 6, 6, 1, 256)))
    samples = chance.choice((bytes(stride), b"\xff" * stride, chance.randbytes(stride))) * height
    return png(samples, width, height, depth=depth, colour=colour, transparent=transparent)
