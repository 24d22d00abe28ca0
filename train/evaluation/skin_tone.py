"""Skin tone around a lesion, estimated from the picture: the individual typology angle (ITA).

    ITA = arctan((L* - 50) / b*) in degrees, larger is lighter

with the categories of Chardon, Cretois, Hourseau (Int. J. Cosmet. Sci. 13, 1991, 191-208) as Del
Bino and Bernerd (Br. J. Dermatol. 169 Suppl. 3, 2013, 33-40) use them. There the angle comes from a
colorimeter. Here it comes from a photograph whose lighting, white balance and contact pressure are
unknown, and which shift it by more than a category: it is an estimate of the picture, not of the
person. It serves to ask whether a model does worse on pictures that show darker skin, and nothing
else.

The skin is what lies outside a central disc, less the dark surround of a dermatoscope, hairs, and
(by Otsu's threshold, where there are two clearly different shades) the lesion.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_runtime.image import decode, read

CATEGORIES = {
    "very light": 55.0, "light": 41.0, "intermediate": 28.0, "tan": 10.0, "brown": -30.0,
    "dark": -180.0,
}  # fmt: skip
"""The angle in degrees above which a category begins."""

SIDE = 128  # pixels of the longer side; a median needs no more
DISC = 0.35  # radius of the disc that is taken for the lesion, in shorter sides
SURROUND = 20.0  # L* below which a pixel is the black surround; very dark skin has 25 and more
HAIR = 8.0  # L* by which a hair is darker than what it crosses
HAIR_WIDTH = 5  # pixels at SIDE
LESION_CONTRAST = 10.0  # L* between lesion and skin that Otsu's threshold has to separate
LEAST_SKIN = 0.02  # share of the picture, below which there is no estimate

_WHITE = (0.95047, 1.0, 1.08883)  # CIE D65, two degrees, the white of sRGB
_SRGB_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))


@dataclass(frozen=True)
class SkinTone:
    """The estimate of one picture.

    Attributes:
        ita: individual typology angle in degrees; above 90 the picture has a bluish cast.
        uncertainty: standard deviation of the angle over the quadrants of the picture, in degrees;
            what light and colour do to the whole picture is not in it.
    """

    ita: float
    uncertainty: float

    @property
    def category(self) -> str:
        """One of `CATEGORIES`."""
        return category(self.ita)

    @property
    def ambiguous(self) -> bool:
        """Whether the angle, give or take its uncertainty, spans two categories."""
        return category(self.ita - self.uncertainty) != category(self.ita + self.uncertainty)


def category(ita: float) -> str:
    """The category of an angle in degrees."""
    return next((name for name, above in CATEGORIES.items() if ita > above), "dark")


def skin_tone_of_file(path: str | os.PathLike[str]) -> SkinTone | None:
    """`skin_tone` of an image file.

    Raises:
        ImageError: the image cannot be used.
    """
    return skin_tone(decode(read(path), name=os.path.basename(path), smallest_draft=SIDE).pixels)


def skin_tone(picture: Image.Image) -> SkinTone | None:
    """The typology angle of the skin in a picture, or None where too little skin is seen.

    Args:
        picture: Pillow image of mode RGB, of a lesion in its middle.
    """
    picture = picture.copy()
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    lab = srgb_to_lab(np.asarray(picture))
    skin = _skin(lab[..., 0])
    if skin.mean() < LEAST_SKIN:
        return None
    rows, columns = np.indices(skin.shape)
    quadrant = 2 * (rows >= skin.shape[0] / 2) + (columns >= skin.shape[1] / 2)
    parts = [skin & (quadrant == index) for index in range(4)]
    angles = [_ita(lab[part]) for part in parts if part.mean() >= LEAST_SKIN / 4]
    uncertainty = float(np.std(angles, ddof=1)) if len(angles) > 1 else 0.0
    return SkinTone(_ita(lab[skin]), uncertainty)


def srgb_to_lab(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIELAB of sRGB bytes, same shape (IEC 61966-2-1; CIE 15:2004, white D65)."""
    values = np.arange(256) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    relative = linear[pixels] @ np.array(_SRGB_TO_XYZ).T / np.array(_WHITE)
    limit = 6 / 29
    root = np.where(relative > limit**3, np.cbrt(relative), relative / (3 * limit**2) + 4 / 29)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _ita(lab: NDArray[np.float64]) -> float:
    """Of the median colour; ``lab`` has shape (pixels, 3)."""
    lightness, _, yellowness = np.median(lab, axis=0)
    return float(np.degrees(np.arctan2(lightness - 50, yellowness)))


def _skin(lightness: NDArray[np.float64]) -> NDArray[np.bool_]:
    from scipy.ndimage import grey_closing, minimum_filter

    height, width = lightness.shape
    rows, columns = np.indices(lightness.shape)
    radius = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2)
    hairless = grey_closing(lightness, HAIR_WIDTH)
    hair = hairless - lightness > HAIR
    surround = minimum_filter(hairless, HAIR_WIDTH) < SURROUND  # its rim is shaded by it
    usable = ~hair & ~surround
    skin: NDArray[np.bool_] = usable & (radius > DISC * min(height, width))
    if usable.any() and (threshold := _lesion_threshold(lightness[usable])) is not None:
        skin &= lightness > threshold
    return skin


def _lesion_threshold(lightness: NDArray[np.float64]) -> float | None:
    """Otsu's threshold (IEEE Trans. Syst. Man Cybern. 9, 1979, 62-66), if it parts two shades."""
    counts, edges = np.histogram(lightness, bins=100, range=(0, 100))
    middles = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts)[:-1], np.cumsum(counts[::-1])[::-1][1:]
    both = (below > 0) & (above > 0)
    if not both.any():
        return None
    total = np.cumsum(counts * middles)
    darker = total[:-1] / np.maximum(below, 1)
    lighter = (total[-1] - total[:-1]) / np.maximum(above, 1)
    best = int(np.where(both, below * above * (lighter - darker) ** 2, -1).argmax())
    return float(edges[best + 1]) if lighter[best] - darker[best] >= LESION_CONTRAST else None
