"""TIFFs that Pillow would open with other values than were meant are refused, others are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from edge_runtime.errors import ImageDamagedError, ImageFormatError
from edge_runtime.image import decode
from tests.edge_runtime.making import assert_one_sentence

SIDE = 40
SUBFILE, OLD_SUBFILE, DEPTH, COMPRESSION, PHOTOMETRIC, FORMAT = 254, 255, 258, 259, 262, 339
DNG_VERSION = 50706
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
WHITE_IS_ZERO, BLACK_IS_ZERO, FILTER_ARRAY = 0, 1, 32803


def written(samples: bytes, tags: dict[int, object]) -> bytes:
    """A TIFF of SIDE x SIDE pixels in one strip, with these tags in place of the usual ones."""
    directory = ImageFileDirectory_v2()
    usual = {
        256: SIDE, 257: SIDE, DEPTH: (8,), COMPRESSION: 1, PHOTOMETRIC: BLACK_IS_ZERO,
        273: 0, 277: 1, 278: SIDE, 279: len(samples),
    }  # fmt: skip
    directory.tagtype.update({tag: 2 for tag, value in tags.items() if isinstance(value, str)})
    for tag, value in sorted({**usual, **tags}.items()):
        directory[tag] = value
    file = io.BytesIO()
    directory.save(file)
    return file.getvalue() + samples


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


def test_broken_tags_are_damage():
    with pytest.raises(ImageDamagedError):
        decode(written(grey(200, "u1"), {SUBFILE: "no number"}))
