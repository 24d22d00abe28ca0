"""Candidates for "the same picture": descriptors that rotation, reflection and brightness leave.

A disc is sampled on rings, and every ring becomes a Fourier series over the angle. Turning the
picture changes the phases of the series, reflecting it conjugates them, and neither changes the
magnitudes: those are the descriptor (D. Casasent and D. Psaltis, Position, rotation, and scale
invariant optical correlation, Applied Optics 15, 1976). A crop is found because a picture is
described not once but at every place where a copy could have been cut out (`PLACES`).

The phases are then used to say how the copy is turned (`best_turn`).

Coordinates: the unit is the shorter side of the picture, the origin its centre, y points down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from train.audit import settings

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CHANNELS = 3
"""Brightness, red against blue, and green against both. Each counts as much as the others, whatever
its contrast; measured, this finds twice as many hard crops at once as brightness does alone."""

_EPSILON = 1e-6
_FLAT = 1.0  # grey levels; below this spread a disc counts as empty


@dataclass(frozen=True)
class Place:
    """A disc in a picture, as a share of its frame.

    Attributes:
        scale: diameter over the shorter side.
        right, down: offset of its centre as shares of the frame's width and height.
        stretch: width over height of the ellipse that it really is.
    """

    scale: float
    right: float = 0.0
    down: float = 0.0
    stretch: float = 1.0

    def half_axes(self) -> tuple[float, float]:
        """Half axes of the ellipse along x and y, in shorter sides."""
        half = self.scale / 2
        return half * min(1.0, self.stretch), half * min(1.0, 1 / self.stretch)

    def centre(self, aspect: float) -> tuple[float, float]:
        """Its centre in a frame of ``aspect`` (width over height), in shorter sides."""
        width, height = frame(aspect)
        return self.right * width, self.down * height


PLACES = (
    *(
        Place(scale, right, down)
        for scale, offsets in settings.CROP_SCALES.items()
        for right in offsets
        for down in offsets
    ),
    *(
        Place(scale, stretch=stretch)
        for stretch in settings.STRETCHES
        for scale in settings.STRETCHED_SCALES
    ),
)
"""Every disc that a picture is described by; the first is the whole centre disc."""

_RADII = (np.arange(settings.RINGS) + 0.5) / settings.RINGS
_ANGLES = np.arange(settings.ANGLES) * 2 * np.pi / settings.ANGLES


def frame(aspect: float) -> tuple[float, float]:
    """Width and height, in shorter sides, of a picture of ``aspect`` (width over height)."""
    return (aspect, 1.0) if aspect >= 1 else (1.0, 1 / aspect)


def opponents(sketches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Opponent colours of RGB sketches, both of shape (n, size, size, 3); see `CHANNELS`."""
    red, green, blue = np.moveaxis(sketches.astype(np.float32), -1, 0)
    return np.stack([(red + green + blue) / 3, red - blue, green - (red + blue) / 2], -1)


def spectra(
    sketches: NDArray[np.uint8], aspect: float, places: int = len(PLACES)
) -> NDArray[np.complex64]:
    """Fourier series of every ring of the first ``places`` places.

    Args:
        sketches: uint8 RGB of shape (n, size, size, 3), pictures of one aspect.
        aspect: width over height of those pictures.
        places: how many of `PLACES`.

    Returns:
        complex64 of shape (n, places, rings, frequencies, channels), each place and channel
        brought to zero mean and unit length.
    """
    channels = opponents(sketches)
    count = len(channels)
    pixels = channels.transpose(1, 2, 0, 3).reshape(-1, count * CHANNELS)
    rows = places * settings.RINGS * settings.ANGLES
    sampled = sampler(round(aspect, 2), sketches.shape[1])[:rows] @ pixels
    shape = (places, settings.RINGS, settings.ANGLES, count, CHANNELS)
    rings = sampled.reshape(shape).transpose(3, 0, 1, 4, 2)  # angles last
    series = rings @ _fourier()
    weights = np.sqrt(_RADII / _RADII.sum()).astype(np.float32)  # rings by their area
    mean = np.einsum("nprc,r->npc", series[..., 0].real, _RADII / _RADII.sum())
    series[..., 0] -= mean[:, :, None]
    series *= weights[:, None, None]
    power = np.abs(series) ** 2
    power[..., 1:] *= 2  # the negative frequencies
    length = np.sqrt(power.sum((2, 4), keepdims=True))
    series /= np.maximum(length, _FLAT)
    return np.ascontiguousarray(series.transpose(0, 1, 2, 4, 3), np.complex64)


def magnitudes(series: NDArray[np.complex64]) -> NDArray[np.float32]:
    """What turning and reflecting leave of spectra (n, places, ...): shape (n, places, values)."""
    values: NDArray[np.float32] = np.abs(series).reshape(*series.shape[:2], -1)
    return values


def best_turn(
    copy: NDArray[np.complex64], other: NDArray[np.complex64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """How discs have to be turned, and whether reflected, to look most alike.

    Args:
        copy, other: spectra of n pairs of discs, each (n, rings, frequencies, channels).

    Returns:
        correlation (mean of the channels that vary in both; a grey picture has one), angle in
        radians, and whether reflected; each (n,).
    """
    varying = (copy.any((1, 2)) & other.any((1, 2))).sum(-1)
    straight = np.einsum("nrfc,nrfc->nf", other, copy.conj())
    mirrored = np.einsum("nrfc,nrfc->nf", other, copy)
    both = np.stack([straight, mirrored], 1)
    full = np.zeros((len(both), 2, settings.ANGLES // 2 + 1), np.complex64)
    full[..., : settings.FREQUENCIES] = both
    curve = np.fft.irfft(full, settings.ANGLES, axis=-1) * settings.ANGLES
    curve /= np.maximum(varying, 1)[:, None, None]
    best = curve.reshape(len(curve), -1).argmax(1)
    reflected, step = np.divmod(best, settings.ANGLES)
    value = curve.reshape(len(curve), -1)[np.arange(len(curve)), best]
    return value.astype(np.float64), _ANGLES[step], reflected.astype(bool)


def placed(
    places: NDArray[np.int64],
    aspects: NDArray[np.float64],
    angles: NDArray[np.float64],
    reflected: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Affine maps from copies' unit discs to other pictures, (n, 2, 3).

    Args:
        places: index of each disc in `PLACES`, shape (n,).
        aspects: width over height of the other pictures, shape (n,).
        angles, reflected: from `best_turn`.
    """
    cosine, sine = np.cos(angles), np.sin(angles)
    side = np.where(reflected, -1.0, 1.0)
    turns = np.array([[cosine, -sine * side], [sine, cosine * side]]).transpose(2, 0, 1)
    axes = np.array([place.half_axes() for place in PLACES])[places]
    shifts = np.array([(place.right, place.down) for place in PLACES])[places]
    frames = np.array([frame(float(aspect)) for aspect in aspects]).reshape(-1, 2)
    return np.concatenate([axes[:, :, None] * turns, (shifts * frames)[:, :, None]], 2).astype(
        np.float32
    )


@lru_cache(maxsize=64)
def sampler(aspect: float, size: int) -> csr_array:
    """Bilinear sampling of all places as one sparse matrix, (places * rings * angles, size**2)."""
    from scipy.sparse import csr_array

    width, height = frame(aspect)
    circle = np.stack(np.broadcast_arrays(np.cos(_ANGLES), np.sin(_ANGLES)), -1)
    unit = (_RADII[:, None, None] * circle).reshape(-1, 2)
    xs, ys = [], []
    for place in PLACES:
        (along_x, along_y), (right, down) = place.half_axes(), place.centre(aspect)
        xs.append((right + along_x * unit[:, 0]) / width)
        ys.append((down + along_y * unit[:, 1]) / height)
    x, y = ((np.concatenate(v) + 0.5) * size - 0.5 for v in (xs, ys))
    x, y = (np.clip(v, 0, size - 1 - _EPSILON) for v in (x, y))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right_share, down_share = x - left, y - top
    rows = np.arange(len(x))
    corners: list[tuple[Any, Any]] = [
        (top * size + left, (1 - right_share) * (1 - down_share)),
        (top * size + left + 1, right_share * (1 - down_share)),
        ((top + 1) * size + left, (1 - right_share) * down_share),
        ((top + 1) * size + left + 1, right_share * down_share),
    ]
    return csr_array(
        (
            np.concatenate([share for _, share in corners]).astype(np.float32),
            (np.tile(rows, 4), np.concatenate([index for index, _ in corners])),
        ),
        shape=(len(x), size * size),
    )


@lru_cache(maxsize=1)
def _fourier() -> NDArray[np.complex64]:
    """Matrix from angles to the first frequencies, normalised to keep means."""
    frequencies = np.arange(settings.FREQUENCIES)
    return (np.exp(-1j * np.outer(_ANGLES, frequencies)) / settings.ANGLES).astype(np.complex64)
