"""TIFFs that Pillow would open with other values than were meant are refused, others are not."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from edge_runtime.errors import ImageDamagedError, ImageFormatError
from edge_runtime.image import decode, decode_image
from tests.edge_runtime.making import assert_one_sentence

SIDE = 40
SUBFILE, OLD_SUBFILE, DEPTH, COMPRESSION, PHOTOMETRIC, FORMAT = 254, 255, 258, 259, 262, 339
DNG_VERSION = 50706
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
WHITE_IS_ZERO, BLACK_IS_ZERO, IS_RGB, FILTER_ARRAY = 0, 1, 2, 32803
CHANNELS, ROWS_PER_STRIP, PLANES, APART = 277, 278, 284, 2
DEFLATE = 8


def written(samples: bytes, tags: dict[int, object], *further: bytes) -> bytes:
    """A TIFF of SIDE x SIDE pixels in one strip or, with ``further`` ones, several, all as long.

    ``tags`` are in place of those of uncompressed grey.
    """
    strips = 1 + len(further)
    directory = ImageFileDirectory_v2()
    usual = {
        256: SIDE, 257: SIDE, DEPTH: (8,), COMPRESSION: 1, PHOTOMETRIC: BLACK_IS_ZERO,
        273: tuple(len(samples) * strip for strip in range(strips)), CHANNELS: 1,
        ROWS_PER_STRIP: SIDE, 279: (len(samples),) * strips,
    }  # fmt: skip
    directory.tagtype.update({tag: 2 for tag, value in tags.items() if isinstance(value, str)})
    for tag, value in sorted({**usual, **tags}.items()):
        directory[tag] = value
    file = io.BytesIO()
    directory.save(file)
    return file.getvalue() + b"".join((samples, *further))


def grey(value: float, dtype: str) -> bytes:
    pixels: NDArray[np.generic] = np.full((SIDE, SIDE), value, dtype)
    return pixels.tobytes()


REFUSED = [
    ("a raw photograph (DNG)", "u1", 200, {DNG_VERSION: b"\1\4\0\0"}),
    ("begins with a reduced copy", "u1", 200, {SUBFILE: 1}),
    ("begins with a reduced copy", "u1", 200, {OLD_SUBFILE: 2}),
    ("16-bit TIFF that counts from white", "<u2", 60000,
     {DEPTH: (16,), PHOTOMETRIC: WHITE_IS_ZERO}),
    ("signed numbers", "i1", 100, {FORMAT: (SIGNED,)}),
    ("signed numbers", "<i2", 30000, {DEPTH: (16,), FORMAT: (SIGNED,)}),
    ("unknown pixel mode", "<f2", 1, {DEPTH: (16,), FORMAT: (FLOAT,)}),
    ("unknown pixel mode", "<f8", 1, {DEPTH: (64,), FORMAT: (FLOAT,)}),
    ("floating-point", "<f4", 1, {DEPTH: (32,), FORMAT: (FLOAT,)}),
    ("unknown pixel mode", "u1", 200, {PHOTOMETRIC: FILTER_ARRAY}),
    ("coding 34712", "u1", 200, {COMPRESSION: 34712}),
    ("stored apart", "u1", 200, {PHOTOMETRIC: WHITE_IS_ZERO, PLANES: APART}),
    ("stored apart", "<u2", 60000, {DEPTH: (16,), PLANES: APART}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "dtype", "value", "tags"), REFUSED)
def test_tiff_of_another_kind_is_refused_and_not_called_damaged(
    words: str, dtype: str, value: float, tags: dict[int, object]
):
    with pytest.raises(ImageFormatError) as caught:
        decode(written(grey(value, dtype), tags), name="lesion.tif")
    assert_one_sentence(caught.value, "lesion.tif", words, "save it as")


def test_tiff_of_12_bits_is_refused_as_it_would_come_out_black():
    samples = b"\x80" * (SIDE * SIDE * 12 // 8)
    with pytest.raises(ImageFormatError, match="12 bits a channel"):
        decode(written(samples, {DEPTH: (12,)}))


@pytest.mark.parametrize(
    ("dtype", "value", "tags", "expected"),
    [
        ("u1", 200, {}, 200),
        ("u1", 200, {SUBFILE: 0}, 200),
        ("u1", 200, {SUBFILE: 2}, 200),  # a page of several
        ("u1", 200, {PHOTOMETRIC: WHITE_IS_ZERO}, 55),
        ("<u2", 200 * 257, {DEPTH: (16,)}, 200),
        ("<u2", 200 * 257, {DEPTH: (16,), FORMAT: (UNSIGNED,)}, 200),
    ],
)  # fmt: skip
def test_tiff_of_a_known_kind_is_taken_for_what_it_is(
    dtype: str, value: float, tags: dict[int, object], expected: int
):
    pixels = np.asarray(decode(written(grey(value, dtype), tags)).pixels)
    assert (pixels == expected).all()


@pytest.mark.parametrize("dtype", ["u1", "<u2"])
@pytest.mark.parametrize("compressed", [False, True])
def test_channels_that_are_stored_apart_are_put_together_or_refused(dtype: str, compressed: bool):
    """Pillow takes half of each 16-bit number for a pixel where they are not compressed."""
    depth = np.dtype(dtype).itemsize * 8
    full = 255 if depth == 8 else 65535
    channels = [grey(full * share // 255, dtype) for share in (200, 100, 50)]
    if compressed:
        level = max(map(len, map(zlib.compress, channels)))
        channels = [zlib.compress(channel).ljust(level, b"\0") for channel in channels]
    content = written(
        channels[0], {DEPTH: (depth,) * 3, PHOTOMETRIC: IS_RGB, CHANNELS: 3, PLANES: APART,
                      COMPRESSION: DEFLATE if compressed else 1}, *channels[1:],
    )  # fmt: skip
    if depth == 16 and not compressed:
        with pytest.raises(ImageFormatError, match="stored apart"):
            decode(content)
    else:
        pixels = np.asarray(decode(content).pixels)
        assert np.abs(pixels - np.array([200, 100, 50])).max() <= 1


def test_opened_tiff_is_under_the_same_rules():
    for _, dtype, value, tags in REFUSED:
        try:
            opened = Image.open(io.BytesIO(written(grey(value, dtype), tags)))
        except (OSError, KeyError):  # Pillow itself refuses it
            continue
        with pytest.raises(ImageFormatError):
            decode_image(opened)


@pytest.mark.parametrize("tag", [SUBFILE, ROWS_PER_STRIP])
def test_broken_tags_are_damage(tag: int):
    with pytest.raises(ImageDamagedError):
        decode(written(grey(200, "u1"), {tag: "no number"}))
