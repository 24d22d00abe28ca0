from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_runtime.errors import (
    ImageDamagedError,
    ImageFormatError,
)
from edge_runtime.formats import FORMATS, SUFFIXES, sniff, wrong_suffix
from edge_runtime.image import decode, decode_array, decode_image
from tests.edge_runtime.making import (
    assert_one_sentence,
    blocks,
    encode,
    exif,
    noise,
    png,
)

RGB = noise()
GREY = noise(channels=1)
RGBA = noise(channels=4)
GREY_ALPHA = noise(channels=2)
ONE_BIT = (GREY > 127).astype(np.uint8) * 255
SIXTEEN_BIT = np.concatenate(
    [
        np.array([0, 1, 128, 129, 255, 256, 257, 300, 32767, 32768, 65406, 65407, 65534, 65535]),
        np.random.default_rng(1).integers(0, 65536, 42 * 4 - 14),
    ]
).reshape(12, 14)
EIGHT_OF_SIXTEEN = np.rint(SIXTEEN_BIT / 257).astype(np.uint8)


def pixels(content: bytes) -> NDArray[np.uint8]:
    """What `decode` makes of a file, whatever it is: uint8 RGB of the size that it tells."""
    decoded = decode(content)
    assert decoded.pixels.mode == "RGB"
    assert decoded.pixels.size == (decoded.width, decoded.height)
    return np.asarray(decoded.pixels)


def three(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey picture in three equal channels."""
    return np.stack([grey] * 3, axis=-1)


def over_black(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Colours laid over black: c * a / 255."""
    return colours.astype(float) * alpha[..., None] / 255


# ---------------------------------------------------------------- values, format by format

LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "BMP": {},
    "TIFF": {},
    "TIFF-LZW": {"compression": "tiff_lzw"},
    "TIFF-deflate": {"compression": "tiff_adobe_deflate"},
    "WebP": {"lossless": True},
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_rgb_keeps_every_value(kind: str):
    content = encode(RGB, kind.partition("-")[0], **LOSSLESS[kind])
    assert (pixels(content) == RGB).all()


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_grey_value_goes_into_all_three_channels(file_format: str):
    assert (pixels(encode(GREY, file_format)) == three(GREY)).all()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "TIFF-group4"])
def test_black_and_white_becomes_0_and_255(kind: str):
    file_format, _, compression = kind.partition("-")
    options = {"compression": compression} if compression else {}
    content = encode(Image.fromarray(ONE_BIT).convert("1"), file_format, **options)
    assert (pixels(content) == three(ONE_BIT)).all()


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_rgb_keeps_its_colours(progressive: bool):
    picture = blocks()
    content = encode(picture, "JPEG", quality=95, subsampling=0, progressive=progressive)
    assert np.abs(pixels(content).astype(int) - picture).max() <= 3


def test_grey_jpeg_has_three_equal_channels():
    picture = blocks()[..., 0]
    found = pixels(encode(picture, "JPEG", quality=95))
    assert (found == found[..., :1]).all()
    assert np.abs(found[..., 0].astype(int) - picture).max() <= 2


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_becomes_the_light_that_its_inks_leave(file_format: str):
    cmyk = np.tile(np.array([51, 102, 0, 51], np.uint8), (32, 48, 1))
    image = Image.frombytes("CMYK", (48, 32), cmyk.tobytes())
    options = {"quality": 95} if file_format == "JPEG" else {}
    found = pixels(encode(image, file_format, **options)).astype(int)
    expected = [204 * (255 - ink) / 255 for ink in (51, 102, 0)]  # 255 - black = 204
    assert found.shape == (32, 48, 3)
    assert np.abs(found - expected).max() <= (2 if file_format == "JPEG" else 1)


def test_lab_tiff_becomes_the_colours_that_it_describes():
    lab = np.tile(np.array([[138, 209, 198], [255, 128, 128], [0, 128, 128]], np.uint8), (4, 1, 1))
    signed = (lab ^ np.array([0, 128, 128], np.uint8)).tobytes()  # Pillow keeps a and b signed
    image = Image.frombytes("LAB", (3, 4), signed)
    found = pixels(encode(image, "TIFF")).astype(int)
    assert np.abs(found[0] - [[255, 0, 0], [255, 255, 255], [0, 0, 0]]).max() <= 5


def test_palette_becomes_its_colours():
    colours = noise(1, 16)[0]
    indices = np.random.default_rng(3).integers(0, 16, GREY.shape, np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    for file_format in ("PNG", "BMP", "TIFF"):
        assert (pixels(encode(image, file_format)) == colours[indices]).all(), file_format


def test_transparent_palette_entry_becomes_black_and_a_translucent_one_darker():
    colours = noise(1, 4)[0]
    alphas = np.array([0, 255, 128, 255], np.uint8)
    indices = np.random.default_rng(3).integers(0, 4, GREY.shape, np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    found = pixels(encode(image, "PNG", transparency=alphas.tobytes())).astype(int)
    assert (found[indices == 0] == 0).all()
    assert (found[indices == 1] == colours[1]).all()
    assert np.abs(found - over_black(colours[indices], alphas[indices])).max() <= 1


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WebP"])
def test_alpha_is_laid_over_black(file_format: str):
    options = {"lossless": True, "exact": True} if file_format == "WebP" else {}
    found = pixels(encode(RGBA, file_format, **options)).astype(int)
    assert np.abs(found - over_black(RGBA[..., :3], RGBA[..., 3])).max() <= 1
    assert (found[RGBA[..., 3] == 0] == 0).all()


def test_lossy_webp_with_alpha_is_laid_over_black():
    picture = np.concatenate([blocks(), np.full((48, 80, 1), 255, np.uint8)], axis=2)
    picture[:, :32, 3] = 0
    found = pixels(encode(picture, "WebP", quality=95)).astype(int)
    assert (found[:, :30] == 0).all()
    assert np.abs(found[:, 34:] - picture[:, 34:, :3].astype(int)).mean() < 8


def test_grey_with_alpha_is_laid_over_black():
    image = Image.frombytes("LA", GREY.shape[::-1], GREY_ALPHA.tobytes())
    found = pixels(encode(image, "PNG")).astype(int)
    grey, alpha = GREY_ALPHA[..., 0], GREY_ALPHA[..., 1]
    assert np.abs(found - over_black(three(grey), alpha)).max() <= 1


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_grey_is_divided_by_257_and_rounded_to_nearest(file_format: str):
    content = encode(SIXTEEN_BIT.astype(np.uint16), file_format)
    assert (pixels(content) == three(EIGHT_OF_SIXTEEN)).all()


def test_big_endian_16_bit_tiff_is_read_alike():
    image = Image.frombytes("I;16B", (14, 12), SIXTEEN_BIT.astype(">u2").tobytes())
    assert (pixels(encode(image, "TIFF")) == three(EIGHT_OF_SIXTEEN)).all()


def test_16_bit_rgb_keeps_the_high_byte():
    samples = np.random.default_rng(2).integers(0, 65536, (5, 7, 3))
    content = png(samples.astype(">u2").tobytes(), 7, 5, depth=16, colour=2)
    assert (pixels(content) == samples >> 8).all()


def test_32_bit_whole_numbers_in_the_range_of_16_bit_are_16_bit_grey():
    content = encode(SIXTEEN_BIT.astype(np.int32), "TIFF")
    assert (pixels(content) == three(EIGHT_OF_SIXTEEN)).all()


@pytest.mark.parametrize("most", [255, 65536, 2**31 - 1])
def test_32_bit_pixels_of_another_range_are_refused(most: int):
    picture = np.arange(12, dtype=np.int32).reshape(3, 4)
    picture[0, 0] = most
    with pytest.raises(ImageFormatError, match=f"32-bit pixels from .* to {most}") as caught:
        decode(encode(picture, "TIFF"), name="deep.tif")
    assert_one_sentence(caught.value, "deep.tif")


def test_negative_32_bit_pixels_are_refused():
    picture = np.array([[-1, 60000]], np.int32)
    with pytest.raises(ImageFormatError, match="from -1 to 60000"):
        decode(encode(picture, "TIFF"))


def test_float_pixels_are_refused():
    with pytest.raises(ImageFormatError, match="floating-point") as caught:
        decode(encode(noise(channels=1).astype(np.float32), "TIFF"), name="float.tif")
    assert_one_sentence(caught.value, "float.tif")


@pytest.mark.parametrize("file_format", ["TIFF", "PNG", "WebP"])
def test_first_of_several_frames_is_used(file_format: str):
    pages = [Image.fromarray(noise(seed=seed)) for seed in (0, 1, 2)]
    options = {"lossless": True} if file_format == "WebP" else {}
    content = encode(pages[0], file_format, save_all=True, append_images=pages[1:], **options)
    assert (pixels(content) == RGB).all()


def test_first_picture_of_a_multi_picture_jpeg_is_used():
    first, second = (Image.fromarray(blocks(seed=seed)) for seed in (0, 1))
    content = encode(first, "MPO", save_all=True, append_images=[second], quality=95, subsampling=0)
    decoded = decode(content)
    assert decoded.format == "JPEG"
    assert np.abs(np.asarray(decoded.pixels).astype(int) - blocks()).max() <= 3


# ---------------------------------------------------------------- orientation


def stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """How a camera held so would store the picture.

    Exif 2.32 says of every orientation (tag 274) what the first row and the first column show.
    """
    return {
        1: upright,  # top, left
        2: upright[:, ::-1],  # top, right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: upright.swapaxes(0, 1),  # left, top
        6: upright.swapaxes(0, 1)[::-1],  # right, top
        7: upright.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
        8: upright.swapaxes(0, 1)[:, ::-1],  # left, bottom
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WebP"])
def test_every_orientation_gives_the_same_upright_picture(file_format: str, orientation: int):
    picture = blocks()  # 80 x 48
    options = {
        "JPEG": {"quality": 95, "subsampling": 0}, "WebP": {"lossless": True},
    }.get(file_format, {})  # fmt: skip
    turned = np.ascontiguousarray(stored(picture, orientation))
    decoded = decode(encode(turned, file_format, exif=exif(orientation), **options))
    assert (decoded.width, decoded.height) == (80, 48)
    difference = np.abs(np.asarray(decoded.pixels).astype(int) - picture)
    assert difference.max() <= (3 if file_format == "JPEG" else 0)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_reduced_decoding_of_a_turned_jpeg_tells_its_full_upright_size(orientation: int):
    picture = blocks(rows=30, columns=50)  # 800 x 480
    turned = np.ascontiguousarray(stored(picture, orientation))
    content = encode(turned, "JPEG", quality=95, exif=exif(orientation))
    decoded = decode(content, smallest_draft=100)
    assert (decoded.width, decoded.height) == (800, 480)
    assert decoded.pixels.size == (200, 120)
    centres = np.asarray(decoded.pixels).astype(int)[2::4, 2::4]
    assert np.abs(centres - picture[8::16, 8::16]).max() <= 12


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientation_is_ignored(orientation: int):
    assert (pixels(encode(RGB, "PNG", exif=exif(orientation))) == RGB).all()


@pytest.mark.parametrize(
    "damaged",
    [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b""],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_is_ignored(damaged: bytes):
    clean = pixels(encode(RGB, "JPEG"))
    assert (pixels(encode(RGB, "JPEG", exif=damaged)) == clean).all()
    assert (pixels(encode(RGB, "PNG", exif=damaged)) == RGB).all()


def test_exif_that_is_cut_off_is_ignored():
    whole = encode(blocks(), "JPEG", exif=exif(6), quality=95)
    start = whole.index(b"Exif\0\0") + 6
    length = int.from_bytes(whole[start - 8 : start - 6], "big") - 8
    wiped = whole[: start + 10] + b"\xff" * (length - 10) + whole[start + length :]
    decoded = decode(wiped)
    assert (decoded.width, decoded.height) == (80, 48)  # not turned


# ---------------------------------------------------------------- what the bytes are


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP", "TIFF", "WebP"])
def test_format_is_told_from_the_first_bytes(file_format: str):
    content = encode(RGB, file_format)
    assert sniff(content) == file_format
    assert decode(content).format == file_format


def test_format_of_a_big_endian_tiff_is_told():
    assert sniff(b"MM\0*" + bytes(8)) == "TIFF"


@pytest.mark.parametrize(
    ("name", "file_format", "wrong"),
    [
        ("a.jpg", "JPEG", False), ("a.JPG", "JPEG", False), ("a.jpeg", "JPEG", False),
        ("a.jpg", "PNG", True), ("a.png", "JPEG", True), ("a.tiff", "TIFF", False),
        ("a.txt", "JPEG", True), ("noending", "JPEG", False), ("a.webp", "WebP", False),
        ("a.png", "array", False), ("photo.2026.11.23", "JPEG", False),
        ("scan.left", "TIFF", False), ("a.pdf", "JPEG", True),
        ("a.DNG", "JPEG", True),
    ],
)  # fmt: skip
def test_ending_of_the_name_is_compared_with_the_format(name: str, file_format: str, wrong: bool):
    assert wrong_suffix(name, file_format) is wrong


def test_every_format_has_endings_by_which_folders_are_searched():
    assert {"JPEG", "PNG", "BMP", "TIFF", "WebP", "HEIC"} == set(FORMATS)
    assert {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".heic"} <= SUFFIXES
    assert len(SUFFIXES) == sum(len(known.suffixes) for known in FORMATS.values())


# ---------------------------------------------------------------- input that comes decoded


def test_array_is_taken_as_it_is():
    decoded = decode_array(RGB)
    assert (np.asarray(decoded.pixels) == RGB).all()
    assert (decoded.width, decoded.height, decoded.format) == (56, 40, "array")


def test_array_in_any_memory_order_is_the_same_picture():
    mirrored = RGB[:, ::-1]
    assert not mirrored.flags["C_CONTIGUOUS"]
    assert (np.asarray(decode_array(mirrored).pixels) == mirrored).all()


@pytest.mark.parametrize(
    "array",
    [
        RGB.astype(np.float32), RGB.astype(np.int64), RGB > 5, GREY, RGBA, GREY[..., None],
        RGB[None], np.zeros((0, 5, 3), np.uint8), RGB.transpose(2, 0, 1), np.array(5),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)  # fmt: skip
def test_array_of_another_dtype_or_shape_is_refused(array: NDArray[np.generic]):
    with pytest.raises(ImageFormatError) as caught:
        decode_array(array)
    assert_one_sentence(caught.value, str(array.dtype), str(array.shape), "uint8")


def test_pillow_image_follows_the_same_rule_as_its_file():
    for image in (Image.fromarray(RGB), Image.fromarray(RGBA), Image.fromarray(GREY)):
        expected = pixels(encode(image, "PNG"))
        assert (np.asarray(decode_image(image).pixels) == expected).all()
    turned = Image.fromarray(RGB)
    turned.getexif()[0x0112] = 6
    decoded = decode_image(turned)
    assert (decoded.width, decoded.height, decoded.format) == (40, 56, "image")
    assert (np.asarray(decoded.pixels) == stored(RGB, 8)).all()


def test_pillow_image_of_a_truncated_file_is_refused(tmp_path: Path):
    file = tmp_path / "cut.png"
    file.write_bytes(encode(RGB, "PNG")[:2000])
    with Image.open(file) as image, pytest.raises(ImageDamagedError) as caught:
        decode_image(image, name="cut.png")
    assert_one_sentence(caught.value, "cut.png is a truncated PNG")


def test_pillow_image_of_float_pixels_is_refused():
    with pytest.raises(ImageFormatError, match="floating-point"):
        decode_image(Image.fromarray(GREY.astype(np.float32)))
