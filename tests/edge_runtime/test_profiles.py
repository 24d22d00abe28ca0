from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from edge_runtime import Classifier
from edge_runtime.image import Decoded, decode, decode_image
from edge_runtime.preprocess import InputRule, to_input
from edge_runtime.profiles import _conversion
from tests.edge_runtime.icc import (
    cmyk_profile,
    dim_profile,
    grey_profile,
    linear_to_srgb,
    profile,
    rgb_profile,
    to_srgb_by_hand,
)
from tests.edge_runtime.making import blocks, encode, exif, noise
from train.synthetic import render

RGB = noise(64, 64)
P3, ADOBE = rgb_profile("Display P3"), rgb_profile("Adobe RGB")
SRGB = [
    rgb_profile("sRGB by another name"),
    ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
]


def pixels(decoded: Decoded) -> NDArray[np.float64]:
    assert decoded.pixels.mode == "RGB"
    return np.asarray(decoded.pixels).astype(float)


# ---------------------------------------------------------------- what is converted


@pytest.mark.parametrize("name", ["Display P3", "Adobe RGB"])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WebP"])
def test_wide_colours_become_srgb(name: str, file_format: str):
    options = {"lossless": True} if file_format == "WebP" else {}
    decoded = decode(encode(RGB, file_format, icc_profile=rgb_profile(name), **options))
    assert np.abs(pixels(decoded) - to_srgb_by_hand(RGB, name)).max() <= 1
    assert np.abs(pixels(decoded) - RGB).max() > 50
    assert decoded.notes == (f"its colours were converted from {name} to sRGB",)


def test_colours_of_a_jpeg_become_srgb():
    picture = blocks()
    decoded = decode(encode(picture, "JPEG", quality=95, subsampling=0, icc_profile=P3))
    assert np.abs(pixels(decoded) - to_srgb_by_hand(picture, "Display P3")).max() <= 6
    assert np.abs(pixels(decoded) - picture).max() > 20


def test_transparent_pixels_stay_black_and_the_others_are_converted():
    opaque = np.concatenate([RGB, np.full((64, 64, 1), 255, np.uint8)], axis=2)
    opaque[:8, :, 3] = 0
    found = pixels(decode(encode(opaque, "PNG", icc_profile=P3)))
    assert (found[:8] == 0).all()
    assert np.abs(found[8:] - to_srgb_by_hand(RGB[8:], "Display P3")).max() <= 1


@pytest.mark.parametrize("profile", SRGB, ids=["by matrices", "of LittleCMS"])
def test_srgb_under_any_name_changes_no_byte(profile: bytes):
    decoded = decode(encode(RGB, "PNG", icc_profile=profile))
    assert (pixels(decoded) == RGB).all()
    assert decoded.notes == ()


def test_grey_profile_changes_the_tone_of_grey_pixels():
    grey = noise(64, 64, 1)
    decoded = decode(encode(grey, "PNG", icc_profile=grey_profile(1.8, "Old Mac")))
    found = pixels(decoded)
    assert (found == found[..., :1]).all()
    assert np.abs(found[..., 0] - 255 * linear_to_srgb((grey / 255) ** 1.8)).max() <= 3
    assert np.abs(found[..., 0] - grey).max() > 10
    assert decoded.notes == ("its colours were converted from Old Mac to sRGB",)


def test_grey_pixels_with_an_rgb_profile_follow_its_tone():
    grey = noise(64, 64, 1)
    found = pixels(decode(encode(grey, "PNG", icc_profile=ADOBE)))
    expected = to_srgb_by_hand(np.stack([grey] * 3, axis=-1), "Adobe RGB")
    assert np.abs(found - expected).max() <= 2


def test_the_darkest_colour_of_a_profile_becomes_black():
    """Black point compensation; without it the darkest colour would be a grey of 39 here."""
    black = encode(np.zeros((16, 16, 3), np.uint8), "PNG", icc_profile=dim_profile(40))
    decoded = decode(black)
    assert decoded.notes == ("its colours were converted from Dim to sRGB",)
    assert pixels(decoded).max() <= 1


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_inks_become_the_colours_that_their_profile_gives_them(file_format: str):
    cyan = Image.frombytes("CMYK", (16, 16), bytes([255, 0, 0, 0]) * 256)
    options = {"quality": 95} if file_format == "JPEG" else {}
    decoded = decode(encode(cyan, file_format, icc_profile=cmyk_profile(), **options))
    red, _, blue = pixels(decoded)[0, 0]
    assert red < 150 < blue  # a light blue, by the profile
    assert red > 50  # and not the pure cyan (0, 255, 255) of a plain conversion
    assert decoded.notes == ("its colours were converted from Ink to sRGB",)


def test_pillow_image_follows_the_same_rule_and_is_left_as_it_was():
    with Image.open(io.BytesIO(encode(RGB, "PNG", icc_profile=P3))) as image:
        decoded = decode_image(image)
        assert (pixels(decoded) == pixels(decode(encode(RGB, "PNG", icc_profile=P3)))).all()
        assert (np.asarray(image) == RGB).all()
    assert decoded.notes


def test_turned_image_is_turned_and_converted():
    content = encode(blocks(), "PNG", icc_profile=P3, exif=exif(6))
    decoded = decode(content)
    assert (decoded.width, decoded.height) == (48, 80)
    expected = to_srgb_by_hand(np.rot90(blocks(), -1), "Display P3")
    assert np.abs(pixels(decoded) - expected).max() <= 1


# ---------------------------------------------------------------- what is ignored, and said


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"not a profile" * 20, "is damaged and was ignored"),
        (P3[:200], "is damaged and was ignored"),
        (P3[:128] + b"\xff" * (len(P3) - 128), "is damaged and was ignored"),
        (cmyk_profile(), "is for CMYK pixels and was ignored"),
        (grey_profile(2.2), "is for GRAY pixels and was ignored"),
        (profile(b"Lab ", b"XYZ ", b"abst", {}), "is for Lab pixels and was ignored"),
    ],
    ids=["text", "cut", "wiped", "inks", "grey", "abstract"],
)
def test_profile_that_cannot_be_used_is_ignored_with_the_reason(content: bytes, note: str):
    decoded = decode(encode(RGB, "PNG", icc_profile=content))
    assert (pixels(decoded) == RGB).all()
    assert decoded.notes == (f"its colour profile {note}",)


def test_pillow_without_littlecms_says_so(monkeypatch: pytest.MonkeyPatch):
    class Missing:
        def __getattr__(self, name: str) -> None:
            raise ImportError("The _imagingcms C module is not installed")

    monkeypatch.setattr(ImageCms, "core", Missing())
    _conversion.cache_clear()
    try:
        decoded = decode(encode(RGB, "PNG", icc_profile=P3))
    finally:
        _conversion.cache_clear()
    assert (pixels(decoded) == RGB).all()
    assert decoded.notes == (
        "its colour profile was ignored, as this Pillow comes without LittleCMS",
    )


def test_name_of_a_profile_cannot_write_to_the_terminal():
    tags = P3.replace(b"Display P3", b"\x1b[2J\x07 me  ")
    (note,) = decode(encode(RGB, "PNG", icc_profile=tags)).notes
    assert note == "its colours were converted from [2J me to sRGB"
    assert note.isprintable()


def test_image_without_a_profile_loads_no_colour_management(tmp_path: Path):
    (tmp_path / "plain.png").write_bytes(encode(RGB, "PNG"))
    code = (
        "import sys; from edge_runtime.image import decode;"
        "decode(open(sys.argv[1], 'rb').read()); print('PIL.ImageCms' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "plain.png"], capture_output=True, check=True
    )
    assert done.stdout.strip() == b"False"


# ---------------------------------------------------------------- size and cost


@pytest.fixture(scope="module")
def photograph() -> NDArray[np.uint8]:
    """A generated photograph of 1600 x 1200 pixels."""
    return render("mel", 3, width=1600, height=1200)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_large_image_is_reduced_before_it_is_converted(
    file_format: str, photograph: NDArray[np.uint8]
):
    options = {"quality": 92} if file_format == "JPEG" else {"compress_level": 1}
    content = encode(photograph, file_format, icc_profile=P3, **options)
    rule = InputRule(64)
    reduced = decode(content, smallest_draft=rule.smallest_draft)
    assert reduced.pixels.size == (200, 150)  # an eighth, still twice the input
    assert (reduced.width, reduced.height) == (1600, 1200)
    whole = decode(content)
    assert whole.pixels.size == (1600, 1200)
    difference = np.abs(to_input(reduced.pixels, rule).astype(int) - to_input(whole.pixels, rule))
    assert 0 < difference.mean() < 0.7
    unconverted = decode(encode(photograph, file_format, **options), smallest_draft=128)
    assert np.abs(to_input(unconverted.pixels, rule).astype(int)
                  - to_input(whole.pixels, rule)).mean() > 1  # fmt: skip


def test_threads_share_a_conversion():
    contents = [
        encode(noise(200, 300, seed=seed), "PNG", icc_profile=profile, compress_level=1)
        for seed in range(8) for profile in (P3, ADOBE)
    ]  # fmt: skip
    alone = [pixels(decode(content)).tobytes() for content in contents]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda content: pixels(decode(content)).tobytes(), contents * 3))
    assert together == alone * 3


def test_result_says_what_became_of_the_colours(small_bundle: Path, tmp_path: Path):
    (tmp_path / "phone.png").write_bytes(encode(RGB, "PNG", icc_profile=P3))
    (tmp_path / "phone.jpg").write_bytes(encode(RGB, "PNG", icc_profile=P3))
    classifier = Classifier.open(small_bundle)
    note = "its colours were converted from Display P3 to sRGB"
    assert classifier.classify(tmp_path / "phone.png").notes == (note,)
    assert classifier.classify(tmp_path / "phone.jpg").notes == (
        "its content is PNG, though its name says otherwise", note,
    )  # fmt: skip
