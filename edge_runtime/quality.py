"""Whether a photograph can be judged at all: figures of its quality, and what is wrong with it.

    blurred     fine structure is missing: the Laplacian's power against that of coarse gradients
    dark        even the bright tenth of the picture is dark
    bright      too many pixels are burnt out in a channel
    glare       too many pixels are white: highlights hide what lies below them
    faint       the grey values lie too close together
    off_centre  what is darker than the skin lies far from the middle: the lesion may be cut off
    absent      nothing in the middle differs from the skin
    too_small   the photograph has fewer pixels than the model needs

All but the last are figures of the checks' square (`edge_runtime.square`), within the circle that
touches its sides, since a dermatoscope's corners are dark. Their limits are fitted when a bundle is
made (`convert.checks`) and travel in it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edge_runtime.square import Square, halved, radius

if TYPE_CHECKING:
    from numpy.typing import NDArray

Flaw = Literal["blurred", "dark", "bright", "glare", "faint", "off_centre", "absent"]
"""What is wrong with a photograph, and the one of its `edge_runtime.quality.Figures` that tells:
blurred (sharpness), dark (light), bright (burnt), glare (glare), faint (spread), off_centre
(off_centre), and absent, which means that no lesion shows (lesion)."""

BURNT, WHITE = 252, 236
"""From these values on a channel counts as burnt out, and a pixel as white (in all channels)."""

_SKIN_QUANTILE = 0.85  # of the brighter colours within the circle: what is taken for skin
_MIDDLE = 0.7  # of half a side: where a lesion has to show
_LEAST_POWER = 0.05  # squared grey levels: below it there is only rounding


@dataclass(frozen=True)
class Figures:
    """What is measured of a photograph.

    Attributes:
        sharpness: logarithm of the ratio of fine to coarse structure.
        light: grey value that the bright tenth reaches, 0 to 255.
        burnt: share of pixels with a channel at its end.
        glare: share of white pixels.
        spread: grey values between the 2nd and the 98th percentile.
        off_centre: distance of what is darker than skin from the middle, in half sides.
        lesion: standard deviation of the grey values in the middle.
    """

    sharpness: float
    light: float
    burnt: float
    glare: float
    spread: float
    off_centre: float
    lesion: float


@dataclass(frozen=True)
class Reading:
    """How a flaw is read off the figures.

    Attributes:
        figure: a field of `Figures`.
        high: whether a high figure is the bad one.
        words: the reason, and what to do.
    """

    figure: str
    high: bool
    words: str


READINGS: Mapping[Flaw, Reading] = MappingProxyType(
    {
        "blurred": Reading(
            "sharpness", False, "the picture is blurred; hold still and let the camera focus"
        ),
        "dark": Reading("light", False, "the picture is too dark; add light"),
        "bright": Reading("burnt", True, "the picture is overexposed; take away light"),
        "glare": Reading(
            "glare", True, "highlights hide part of the picture; tilt the camera or use polarised "
            "light",
        ),
        "faint": Reading(
            "spread", False, "the picture has too little contrast; clean the lens and mind stray "
            "light",
        ),
        "off_centre": Reading(
            "off_centre", True, "the lesion lies at the edge and may be cut off; bring it to the "
            "middle",
        ),
        "absent": Reading(
            "lesion", False, "nothing in the middle stands out from the skin; bring the lesion to "
            "the middle",
        ),
    }
)  # fmt: skip


def figures(square: Square) -> Figures:
    """Measure a photograph's square."""
    disc, middle = _disc(), _middle()
    luma = square.luma
    red, green, blue = square.channels.reshape(3, -1)
    highest = np.maximum(np.maximum(red, green), blue)[disc]
    lowest = np.minimum(np.minimum(red, green), blue)[disc]
    histogram = np.bincount(luma.ravel()[disc].astype(np.uint8), minlength=256).cumsum()

    def reached(share: float) -> int:
        return int(np.searchsorted(histogram, share * len(disc)))

    return Figures(
        sharpness=_sharpness(luma),
        light=float(reached(0.90)),
        burnt=float(np.count_nonzero(highest >= BURNT)) / len(disc),
        glare=float(np.count_nonzero(lowest >= WHITE)) / len(disc),
        spread=float(reached(0.98) - reached(0.02)),
        off_centre=_off_centre(square.channels),
        lesion=float(luma.ravel()[middle].std()),
    )


def flaws(found: Figures, limits: Mapping[str, float]) -> Iterator[Flaw]:
    """The flaws whose limit (by flaw) the figures pass; a flaw without a limit is not looked for.

    A limit is halfway between two pictures, so nothing lies on it.
    """
    for flaw, reading in READINGS.items():
        if flaw in limits:
            value = getattr(found, reading.figure)
            if value > limits[flaw] if reading.high else value < limits[flaw]:
                yield flaw


def reason_of(flaw: Flaw, found: Figures, limit: float) -> str:
    """The flaw in words, with its figure."""
    reading = READINGS[flaw]
    value = getattr(found, reading.figure)
    side = "above" if reading.high else "below"
    return f"{reading.words} ({reading.figure.replace('_', ' ')} {value:.3g}, {side} {limit:.3g})"


def too_small(width: int, height: int, shortest: int) -> str | None:
    """The reason why a photograph of that size cannot be judged, or None."""
    if min(width, height) >= shortest:
        return None
    return (
        f"the picture has {width} x {height} pixels, too few to judge; its shorter side needs at "
        f"least {shortest}"
    )


def _sharpness(luma: NDArray[np.float32]) -> float:
    middle = luma[1:-1, 1:-1]
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    fine = 4 * middle - around
    coarse = halved(luma)
    across, down = coarse[:, 1:] - coarse[:, :-1], coarse[1:] - coarse[:-1]
    steep = _power(across) + _power(down)
    return float(np.log(_power(fine) + _LEAST_POWER) - np.log(steep + _LEAST_POWER))


def _off_centre(channels: NDArray[np.uint8]) -> float:
    """Where the mass of what is darker than skin lies; green and blue show lesions best."""
    tone = halved(channels[1].astype(np.float32) + channels[2]).ravel()
    disc, along, down = _small_disc()
    inside = tone[disc]
    skin = np.partition(inside, int(_SKIN_QUANTILE * len(inside)))[
        int(_SKIN_QUANTILE * len(inside))
    ]
    darker = np.maximum(skin - inside, 0)
    mass = darker > _between(darker)  # the lesion and not the shades of the skin
    count = max(1, int(np.count_nonzero(mass)))
    return float(np.hypot(along[mass].sum(), down[mass].sum())) / count


def _between(values: NDArray[np.float32]) -> float:
    """The threshold between two groups of values, after Otsu (IEEE SMC 9, 1979, 62-66)."""
    scale = float(values.max()) / 63 or 1.0
    counts = np.bincount((values / scale).astype(np.uint8), minlength=64)[:64].astype(np.float64)
    below, sums = counts.cumsum(), (counts * np.arange(64)).cumsum()
    above = below[-1] - below
    gap = sums / np.maximum(below, 1) - (sums[-1] - sums) / np.maximum(above, 1)
    return (int((below * above * gap * gap).argmax()) + 1) * scale


def _power(values: NDArray[Any]) -> float:
    flat = values.ravel()
    return float(flat @ flat) / flat.size


@functools.cache
def _disc() -> NDArray[np.intp]:
    return np.flatnonzero(radius() < 0.95)


@functools.cache
def _middle() -> NDArray[np.intp]:
    return np.flatnonzero(radius() < _MIDDLE)


@functools.cache
def _small_disc() -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Pixels of the circle at half size, and their places in half sides."""
    side = radius().shape[0] // 2
    along = (np.arange(side) + 0.5) / side * 2 - 1
    across, down = (
        np.broadcast_to(along[None], (side, side)),
        np.broadcast_to(along[:, None], (side, side)),
    )
    disc = np.flatnonzero(np.hypot(across, down) < 1)
    return disc, across.ravel()[disc], down.ravel()[disc]
