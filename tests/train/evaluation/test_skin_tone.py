from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from train.evaluation.skin_tone import category, skin_tone, srgb_to_lab


def srgb(lightness: float, a: float, b: float) -> tuple[int, int, int]:
    """sRGB bytes of a CIELAB colour: the inverse of what is tested."""
    fy = (lightness + 16) / 116
    f = np.array([fy + a / 500, fy, fy - b / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.95047, 1, 1.08883)
    matrix = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415],
                       [0.0557, -0.2040, 1.0570]])  # fmt: skip
    linear = np.clip(matrix @ xyz, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (round(255 * value) for value in encoded)
    return red, green, blue


def patch(lightness: float, b: float) -> Image.Image:
    return Image.new("RGB", (300, 225), srgb(lightness, 10, b))


@pytest.mark.parametrize(
    ("lightness", "b", "expected", "named"),
    [(75, 14, 60.8, "very light"), (68, 17, 46.6, "light"), (62, 18, 33.7, "intermediate"),
     (56, 19, 17.5, "tan"), (45, 17, -16.4, "brown"), (32, 14, -52.1, "dark")],
)  # fmt: skip
def test_angle_of_a_plain_patch_is_that_of_its_colour(
    lightness: float, b: float, expected: float, named: str
):
    tone = skin_tone(patch(lightness, b))
    assert tone is not None
    assert tone.ita == pytest.approx(expected, abs=1.5)
    assert tone.category == named
    assert tone.uncertainty == pytest.approx(0, abs=0.1)


def test_lab_of_white_grey_and_red_are_as_published():
    pixels = np.array([[[255, 255, 255], [119, 119, 119], [255, 0, 0]]], np.uint8)
    white, grey, red = srgb_to_lab(pixels)[0]
    assert white == pytest.approx([100, 0, 0], abs=0.02)
    assert grey == pytest.approx([50.0, 0, 0], abs=0.1)
    assert red == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


def test_lesion_hairs_and_dark_corners_are_not_taken_for_skin():
    image = patch(68, 17)
    plain = skin_tone(image)
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 50, 260, 190), fill=srgb(35, 15, 12))  # reaches far out of the middle
    for x in range(10, 300, 40):
        draw.line((x, 0, x - 30, 225), fill=(40, 25, 20), width=2)
    surround = Image.new("L", image.size, 255)
    ImageDraw.Draw(surround).ellipse((2, -35, 298, 260), fill=0)
    image.paste((3, 3, 3), mask=surround)
    tone = skin_tone(image)
    assert plain is not None
    assert tone is not None
    assert tone.ita == pytest.approx(plain.ita, abs=1.5)


def test_uneven_light_shows_as_uncertainty():
    even = np.asarray(patch(68, 17)).astype(float)
    shade = np.linspace(0.8, 1.0, even.shape[1])[None, :, None]
    tone = skin_tone(Image.fromarray((even * shade).astype(np.uint8)))
    assert tone is not None
    assert tone.uncertainty > 5
    assert tone.ambiguous


def test_a_picture_without_skin_has_no_tone():
    assert skin_tone(Image.new("RGB", (300, 225), (0, 0, 0))) is None


def test_categories_begin_above_their_published_limits():
    limits = [(55.1, "very light"), (55, "light"), (41, "intermediate"), (28, "tan"),
              (10, "brown"), (-30, "dark"), (-180, "dark")]  # fmt: skip
    assert [(angle, category(angle)) for angle, _ in limits] == limits
