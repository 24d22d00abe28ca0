from __future__ import annotations

import io
import random
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from edge_runtime import Classifier, Failure, Result
from edge_runtime.errors import (
    ImageDamagedError,
    ImageError,
    ImageReaderError,
    ImageTooLargeError,
)
from edge_runtime.formats import sniff, wrong_suffix
from edge_runtime.image import decode, decode_image
from tests.edge_runtime.icc import rgb_profile, to_srgb_by_hand
from tests.edge_runtime.making import assert_one_sentence, blocks, exif, noise
from tests.edge_runtime.test_image import over_black, stored


def heic(picture, **options) -> bytes:
    """A lossless HEIC file."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=-1, chroma=444, **options)
    return file.getvalue()


def without_rotation(content: bytes) -> bytes:
    """The file with its box of rotation made unknown, as of a writer who trusts EXIF alone."""
    assert content.count(b"irot") == 1
    return content.replace(b"irot", b"free")


HEIC = heic(blocks())


def test_heic_keeps_its_colours_and_is_told_by_its_first_bytes():
    decoded = decode(HEIC)
    assert sniff(HEIC) == decoded.format == "HEIC"
    assert (decoded.width, decoded.height) == (80, 48)
    assert np.abs(np.asarray(decoded.pixels).astype(int) - blocks()).max() <= 3
    assert decoded.notes == ()
    assert not wrong_suffix("a.HEIC", "HEIC")
    assert wrong_suffix("a.jpg", "HEIC")


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"heic\0\0\0\0mif1heic", "HEIC"), (b"mif1\0\0\0\0heicmif1", "HEIC"),
        (b"mif1\0\0\0\0mif1miaf", "HEIC"), (b"msf1\0\0\0\0hevcmsf1", "HEIC"),
        (b"avif\0\0\0\0mif1avif", None), (b"mif1\0\0\0\0avifmif1", None),
        (b"isom\0\0\0\0isomavc1", None), (b"qt  \0\0\0\0qt  qt  ", None),
    ],
)  # fmt: skip
def test_brands_decide_what_a_file_of_the_family_is(brands: bytes, kind: str | None):
    content = (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands + bytes(40) + b"heic"
    assert sniff(content) == kind


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(orientation: int):
    turned = np.ascontiguousarray(stored(blocks(), orientation))
    content = heic(turned, exif=exif(orientation))
    decoded = decode(content)
    assert (decoded.width, decoded.height) == (80, 48)
    assert np.abs(np.asarray(decoded.pixels).astype(int) - blocks()).max() <= 3


def test_rotation_of_the_file_counts_and_not_its_exif():
    """ISO/IEC 23008-12 has the reader obey the boxes; what EXIF says is for information."""
    turned = np.ascontiguousarray(stored(blocks(), 6))
    decoded = decode(without_rotation(heic(turned, exif=exif(6))))
    assert (decoded.width, decoded.height) == (48, 80)


def test_pillow_image_of_a_heic_file_is_turned_once():
    content = heic(np.ascontiguousarray(stored(blocks(), 8)), exif=exif(8))
    decoded = decode_image(pillow_heif.HeifImageFile(io.BytesIO(content)))
    assert (decoded.width, decoded.height) == (80, 48)


def test_colours_of_a_phone_become_srgb():
    image = Image.fromarray(blocks())
    image.info["icc_profile"] = rgb_profile("Display P3")
    decoded = decode(heic(image))
    expected = to_srgb_by_hand(blocks(), "Display P3")
    assert np.abs(np.asarray(decoded.pixels).astype(int) - expected).max() <= 6
    assert decoded.notes == ("its colours were converted from Display P3 to sRGB",)


def test_wide_colours_without_a_profile_are_told():
    image = pillow_heif.from_pillow(Image.fromarray(blocks()))
    image.info["nclx_profile"] = {
        "color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6,
        "full_range_flag": 1,
    }  # fmt: skip
    file = io.BytesIO()
    image.save(file, quality=-1, chroma=444, color_primaries=12)
    assert decode(file.getvalue()).notes == (
        "its colours are Display P3 without a profile, taken as sRGB",
    )


def test_alpha_is_laid_over_black():
    picture = np.concatenate([blocks(), np.full((48, 80, 1), 255, np.uint8)], axis=2)
    picture[:, :32, 3] = 0
    found = np.asarray(decode(heic(picture)).pixels).astype(int)
    assert np.abs(found - over_black(picture[..., :3], picture[..., 3])).max() <= 3


@pytest.mark.parametrize("kept", [0.05, 0.3, 0.6, 0.95])
def test_truncated_heic_is_refused(kept: float):
    with pytest.raises(ImageDamagedError) as caught:
        decode(HEIC[: int(len(HEIC) * kept)], name="cut.heic")
    assert_one_sentence(caught.value, "cut.heic", "HEIC", "copy it again")


def test_random_damage_is_survived_or_refused_in_one_sentence():
    chance = random.Random(0)
    refused = 0
    for _ in range(80):
        content = bytearray(HEIC)
        for _ in range(chance.choice([1, 4, 16])):
            content[chance.randrange(12, min(600, len(content)))] = chance.choice([0, 255, 77])
        try:
            decode(bytes(content), name="damaged.heic")
        except ImageError as error:
            refused += 1
            assert_one_sentence(error, "damaged.heic")
    assert refused > 15


def test_too_many_pixels_are_refused_from_the_header(monkeypatch: pytest.MonkeyPatch):
    def load(self: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(pillow_heif.HeifImageFile, "load", load)
    with pytest.raises(ImageTooLargeError, match="80 x 48 pixels") as caught:
        decode(HEIC, name="a.heic", max_pixels=80 * 48 - 1)
    assert_one_sentence(caught.value, "a.heic", "limit of 0.003839")


def test_missing_reader_is_named_and_other_files_go_on(
    small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "phone.heic").write_bytes(HEIC)
    Image.fromarray(noise()).save(tmp_path / "other.png")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    classifier = Classifier.open(small_bundle)
    with pytest.raises(ImageReaderError) as caught:
        classifier.classify(tmp_path / "phone.heic")
    assert_one_sentence(
        caught.value, "phone.heic is a HEIC image", '`pip install "dermedge-runtime[heic]"`'
    )
    failed, answered = classifier.classify_many([tmp_path / "phone.heic", tmp_path / "other.png"])
    assert isinstance(failed, Failure)
    assert failed.to_dict()["error"]["type"] == "ImageReaderError"
    assert isinstance(answered, Result)
