from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from edge_runtime.errors import (
    ImageDamagedError,
    ImageError,
    ImageFormatError,
    ImageNotFoundError,
    ImageTooLargeError,
)
from edge_runtime.formats import FORMATS, sniff
from edge_runtime.image import MAX_BYTES, MAX_PIXELS, Decoded, decode, decode_image, read
from tests.edge_runtime.making import assert_one_sentence, encode, header_only, noise

RGB = noise()


def load(path: Path) -> Decoded:
    """A file as the classifier takes it."""
    return decode(read(path), name=path.name)


# ---------------------------------------------------------------- content of another kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"image_id,dx\nISIC_1,mel\n", "a text file"),
        ("Größe\n".encode(), "a text file"),
        (("x" * 511 + "ä").encode(), "a text file"),  # the character is cut by the 512 bytes read
        (b"BM,melanoma\n" + b"1,2\n" * 20, "a text file"),
        (encode(noise(channels=1), "GIF"), "a GIF"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04" + bytes(30), "a ZIP archive"),
        (b"\x1f\x8b\x08" + bytes(30), "a gzip archive"),
        (b"<svg xmlns=''/>", "an SVG drawing"),
        (b"\0\0\0\x18ftypisom" + bytes(30), "a video file"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1" + bytes(30), "an AVIF image"),
        (bytes(128) + b"DICM" + bytes(30), "a DICOM file"),
        (bytes(range(256)), "not an image that is known here"),
        (bytes(1000), "not an image that is known here"),
        (b"\xff\xd8", "not an image that is known here"),
        (b"RIFF\0\0\0\0WAVE", "not an image that is known here"),
    ],
)
def test_other_content_named_jpg_is_refused_and_called_what_it_is(
    content: bytes, kind: str, tmp_path: Path
):
    file = tmp_path / "lesion.jpg"
    file.write_bytes(content)
    with pytest.raises(ImageFormatError) as caught:
        load(file)
    assert_one_sentence(caught.value, f"lesion.jpg is {kind}", "JPEG, PNG, BMP, TIFF, WebP or HEIC")


# ---------------------------------------------------------------- files that cannot be read


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raise TimeoutError when the block blocks."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"still busy after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_missing_file_is_refused_by_its_path(tmp_path: Path):
    with pytest.raises(ImageNotFoundError) as caught:
        load(tmp_path / "none.jpg")
    assert_one_sentence(caught.value, "There is no file", str(tmp_path / "none.jpg"))


def test_folder_is_refused(tmp_path: Path):
    folder = tmp_path / "folder.jpg"
    folder.mkdir()
    with pytest.raises(ImageNotFoundError) as caught:
        load(folder)
    assert_one_sentence(caught.value, "folder.jpg is a folder")


def test_path_through_a_file_is_refused(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(encode(RGB, "JPEG"))
    with pytest.raises(ImageNotFoundError) as caught:
        load(tmp_path / "a.jpg" / "b.jpg")
    assert_one_sentence(caught.value, "b.jpg")


def test_symbolic_link_to_nothing_is_refused(tmp_path: Path):
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(ImageNotFoundError) as caught:
        load(tmp_path / "link.jpg")
    assert_one_sentence(caught.value, "link.jpg")


@pytest.mark.parametrize("path", ["a\0b.jpg", "x" * 5000 + ".jpg"])
def test_impossible_path_is_refused(path: str):
    with pytest.raises(ImageNotFoundError):
        read(path)


def test_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with within(5), pytest.raises(ImageNotFoundError) as caught:
        load(tmp_path / "pipe.jpg")
    assert_one_sentence(caught.value, "pipe.jpg is not a regular file")


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_device_is_refused_unread(device: str):
    with within(5), pytest.raises(ImageNotFoundError, match="not a regular file") as caught:
        load(Path(device))
    assert_one_sentence(caught.value, Path(device).name)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
def test_file_whose_bytes_cannot_be_read_is_refused():
    with pytest.raises(ImageNotFoundError, match="cannot be read") as caught:
        load(Path("/proc/self/mem"))  # a regular file whose first bytes are not mapped
    assert_one_sentence(caught.value, "mem")


def test_empty_file_is_refused(tmp_path: Path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageDamagedError) as caught:
        load(tmp_path / "empty.jpg")
    assert_one_sentence(caught.value, "empty.jpg is empty")


def test_file_over_the_byte_limit_is_refused_unread(tmp_path: Path):
    file = tmp_path / "vast.bmp"
    with file.open("wb") as sparse:
        sparse.truncate(MAX_BYTES + 1)
    started = time.perf_counter()
    with pytest.raises(ImageTooLargeError) as caught:
        load(file)
    assert time.perf_counter() - started < 0.1
    assert_one_sentence(caught.value, "vast.bmp has 268 MB")


# ---------------------------------------------------------------- damaged content

WHOLE = {
    "JPEG": encode(RGB, "JPEG", quality=90),
    "JPEG progressive": encode(RGB, "JPEG", quality=90, progressive=True),
    "PNG": encode(RGB, "PNG"),
    "PNG palette": encode(Image.fromarray(RGB).quantize(16), "PNG"),
    "BMP": encode(RGB, "BMP"),
    "TIFF": encode(RGB, "TIFF"),
    "TIFF LZW": encode(RGB, "TIFF", compression="tiff_lzw"),
    "TIFF JPEG": encode(RGB, "TIFF", compression="jpeg"),
    "TIFF 16-bit": encode(noise(channels=1).astype(np.uint16) * 257, "TIFF"),
    "WebP": encode(RGB, "WebP"),
    "WebP lossless": encode(RGB, "WebP", lossless=True),
    "WebP animated": encode(
        RGB, "WebP", save_all=True, append_images=[Image.fromarray(noise(channels=4))]
    ),
}


@pytest.mark.parametrize("kept", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])
@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_truncated_image_is_refused(kind: str, kept: float, tmp_path: Path):
    content = WHOLE[kind]
    decode(content)
    file = tmp_path / "cut.img"
    file.write_bytes(content[: max(12, int(len(content) * kept))])
    with pytest.raises(ImageDamagedError) as caught:
        load(file)
    assert_one_sentence(caught.value, "cut.img", str(sniff(content)), "copy it again")


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_damage_is_survived_or_refused_in_one_sentence(kind: str):
    chance = random.Random(kind)
    refused = 0
    for _ in range(150):
        content = bytearray(WHOLE[kind])
        for _ in range(chance.choice([1, 4, 16])):
            content[chance.randrange(min(400, len(content)))] = chance.choice([0, 255, 77])
        try:
            decode(bytes(content), name="damaged.img", smallest_draft=16)
        except ImageError as error:
            refused += 1
            assert_one_sentence(error, "damaged.img")
    assert refused > 15  # the damage did reach what matters


# ---------------------------------------------------------------- too many scans


def with_scans(count: int, side: int = 64, ending: bytes = b"") -> bytes:
    """A progressive JPEG whose last scan stands there ``count`` times more."""
    content = encode(np.full((side, side), 128, np.uint8), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * count + b"\xff\xd9" + ending


def test_jpeg_of_many_scans_is_refused_before_they_are_decoded(tmp_path: Path):
    file = tmp_path / "slow.jpg"
    file.write_bytes(with_scans(500, side=3000))
    started = time.process_time()
    with pytest.raises(ImageDamagedError) as caught:
        load(file)
    assert time.process_time() - started < 1  # it took four
    assert_one_sentence(caught.value, "slow.jpg", "more than 100 scans")


def test_scans_are_counted_in_the_image_alone():
    own = with_scans(0).count(b"\xff\xda")
    assert decode(with_scans(100 - own)).width == 64
    with pytest.raises(ImageDamagedError):
        decode(with_scans(101 - own))
    with pytest.raises(ImageDamagedError):  # fill bytes before a marker are allowed
        decode(with_scans(101 - own).replace(b"\xff\xda", b"\xff\xff\xda"))
    many = b"\xff\xda\0\0" * 300
    assert decode(with_scans(0, ending=many)).width == 64  # a film after the photograph
    thumbnail = b"\xff\xe2" + (2 + len(many)).to_bytes(2, "big") + many
    whole = with_scans(0)
    assert decode(whole[:2] + thumbnail + whole[2:]).width == 64


# ---------------------------------------------------------------- too many pixels


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "JPEG", "TIFF", "WebP"])
def test_too_many_pixels_are_refused_from_the_header(file_format: str, tmp_path: Path):
    side = 16_383 if file_format == "WebP" else 60_000  # the most that a WebP can have
    file = tmp_path / "huge.img"
    file.write_bytes(header_only(file_format, side, side))
    assert sniff(file.read_bytes()) == file_format
    started = time.perf_counter()
    with pytest.raises(ImageTooLargeError) as caught:
        load(file)
    assert time.perf_counter() - started < 0.5
    assert_one_sentence(caught.value, "huge.img", "pixels")


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "JPEG", "TIFF", "WebP"])
def test_limit_is_on_pixels_and_inclusive(file_format: str):
    content = encode(RGB, file_format)  # 56 x 40
    assert decode(content, max_pixels=56 * 40).width == 56
    with pytest.raises(ImageTooLargeError, match="56 x 40 pixels") as caught:
        decode(content, name="a.img", max_pixels=56 * 40 - 1)
    assert_one_sentence(caught.value, "a.img", "limit of 0.002239")


def run_length_coded(width: int, height: int) -> bytes:
    """A BMP of rows that hold one pixel each, and black after it."""
    rows = b"\x01\x01\0\0" * height
    start = 14 + 40 + 8
    return b"BM" + struct.pack(
        "<IHHIIiiHHIIiiII8s", start + len(rows), 0, 0, start, 40, width, height, 1, 8, 1, len(rows),
        2835, 2835, 2, 0, bytes(4) + b"\xff" * 4,
    ) + rows  # fmt: skip


def test_large_run_length_coded_bmp_is_refused_as_it_would_take_long():
    small = decode(run_length_coded(300, 20))
    assert np.asarray(small.pixels)[:, 0].tolist() == [[255] * 3] * 20
    started = time.process_time()
    with pytest.raises(ImageTooLargeError) as caught:
        decode(run_length_coded(65_536, 77), name="runs.bmp")
    assert time.process_time() - started < 0.5  # a second, and 11 where the limit is that of others
    assert_one_sentence(caught.value, "runs.bmp", "run-length", "65536 x 77 pixels", "PNG")


def test_header_without_pixels_is_damaged_when_its_size_is_allowed():
    for file_format in set(FORMATS) - {"HEIC"}:
        with pytest.raises(ImageDamagedError):
            decode(header_only(file_format, 300, 200))


def test_image_that_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch):
    def load(image: PngImageFile) -> None:
        raise MemoryError

    monkeypatch.setattr(PngImageFile, "load", load)
    with pytest.raises(ImageTooLargeError, match="56 x 40 pixels, more than there is memory"):
        decode(encode(RGB, "PNG"), name="large.png")
    opened = Image.open(io.BytesIO(encode(RGB, "PNG")))
    with pytest.raises(ImageTooLargeError) as caught:
        decode_image(opened, name="large.png")
    assert_one_sentence(caught.value, "large.png", "reduce it")


def test_jpeg_of_12_bits_is_refused_and_not_called_damaged():
    content = bytearray(encode(RGB, "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 1], content[frame + 4] = 0xC1, 12  # extended sequential, ITU-T T.81, B.2.2
    with pytest.raises(ImageFormatError) as caught:
        decode(bytes(content), name="deep.jpg")
    assert_one_sentence(caught.value, "deep.jpg", "12-bit", "save it as an 8-bit")


def test_limit_lets_a_48_megapixel_phone_photograph_pass():
    assert 8064 * 6048 <= MAX_PIXELS < 9000 * 6000
