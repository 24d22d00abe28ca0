"""Bad photographs, made of good ones: the damage that each check of the device has to find.

As in `train.robustness`, damage acts on the model's input square, at known severities; blur and
contrast are taken from there, at severities that begin where those end in harmlessness. Exposure is
in stops of light, as on a camera. A photograph without a lesion is one corner of a real one, where
the lesion is not, mirrored until it fills the square; it keeps its grain and its colour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_runtime.quality import Flaw
from train.robustness import CORRUPTIONS

Pixels = NDArray[np.uint8]

_GAMMA = 2.2  # of sRGB, nearly; a stop of light is a factor of two before it
_CORNER = 0.3  # of the side: what is taken for skin without a lesion
_SPOTS = 4  # highlights of which glare is made
_SPOT_EDGE = 0.25  # of a highlight's radius: where it fades into the picture


def _exposed(image: Pixels, stops: float, rng: np.random.Generator) -> Pixels:
    return _bytes(image * np.float32(2 ** (stops / _GAMMA)))


def _glare(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """White highlights that cover ``share`` of the square."""
    side = image.shape[0]
    along = (np.arange(side) + 0.5) / side
    cover = np.zeros((side, side))
    for part in rng.dirichlet(np.full(_SPOTS, 4.0)) * share:
        across, down = rng.uniform(0.2, 0.8, 2)
        stretch = rng.uniform(0.6, 1.6)
        radius = np.sqrt(part / np.pi)
        distance = np.hypot((along[None] - across) / stretch, (along[:, None] - down) * stretch)
        cover = np.maximum(cover, np.clip((1 - distance / radius) / _SPOT_EDGE + 1, 0, 1))
    return _bytes(image + (255.0 - image) * cover[..., None])


def _shifted(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Shifted by ``share`` of the side, as if the camera had missed; what comes in is mirrored."""
    side = image.shape[0]
    angle = rng.uniform(0, 2 * np.pi)
    way = np.array([np.cos(angle), np.sin(angle)])
    down, across = np.rint(way / np.abs(way).max() * share * side).astype(int)
    rows, columns = np.arange(side) + down, np.arange(side) + across
    return image[_mirrored(rows, side)[:, None], _mirrored(columns, side)[None]]


def _mirrored(index: NDArray[np.int_], side: int) -> NDArray[np.int_]:
    """Indices outside of a side, thrown back to the strip beside the edge that they crossed."""
    strip = max(1, round(0.12 * side))
    over = np.where(index < 0, -1 - index, np.where(index >= side, index - side, 0))
    folded = np.abs((over + strip) % (2 * strip) - strip + 0.5) - 0.5
    folded = (strip - 1 - folded).astype(int)
    return np.where(index < 0, folded, np.where(index >= side, side - 1 - folded, index))


def _lesion_free(image: Pixels, unused: float, rng: np.random.Generator) -> Pixels:
    """The brightest corner of the square, mirrored until it fills it."""
    side = image.shape[0]
    cut = max(2, round(_CORNER * side))
    inset = round(0.04 * side)
    low, high = slice(inset, inset + cut), slice(side - inset - cut, side - inset)
    corners = [image[rows, columns] for rows in (low, high) for columns in (low, high)]
    corner = max(corners, key=lambda each: float(each.mean()))
    rest = (0, (-(-side // cut) - 1) * cut)
    tiles = np.pad(corner, (rest, rest, (0, 0)), "symmetric")
    return np.ascontiguousarray(tiles[:side, :side])


def _bytes(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Damage:
    """One way in which a photograph is to be taken again.

    Attributes:
        title, parameter: for people; what ``values`` are.
        values: of severities 1 to 5.
        fitted: the severity that a threshold is fitted to find.
        apply: pure function of (image uint8 (size, size, 3), value, rng), giving such an image.
    """

    title: str
    parameter: str
    values: tuple[float, ...]
    fitted: int
    apply: Callable[[Pixels, float, np.random.Generator], Pixels]

    def at(self, image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
        """A copy of ``image`` damaged at ``severity`` (1 to 5)."""
        return self.apply(image, self.values[severity - 1], rng)


DAMAGES: Mapping[Flaw, Damage] = MappingProxyType(
    {
        "blurred": Damage(
            "Blur", "sigma of a Gaussian, in 1/32 of the side", (0.5, 0.75, 1.0, 1.5, 2.0), 3,
            CORRUPTIONS["blur"].apply,
        ),
        "dark": Damage("Too dark", "stops of light", (-1, -2, -3, -4, -5), 2, _exposed),
        "bright": Damage("Too bright", "stops of light", (0.5, 1, 1.5, 2, 2.5), 4, _exposed),
        "glare": Damage(
            "Glare", "share covered by highlights", (0.02, 0.05, 0.1, 0.15, 0.25), 2, _glare
        ),
        "faint": Damage(
            "Low contrast", "share that is kept", (0.5, 0.4, 0.3, 0.2, 0.1), 4,
            CORRUPTIONS["contrast"].apply,
        ),
        "off_centre": Damage(
            "Cut off", "shift, of the side", (0.2, 0.3, 0.4, 0.5, 0.6), 4, _shifted
        ),
        "absent": Damage("No lesion", "lesion-free skin", (1.0,) * 5, 5, _lesion_free),
    }
)  # fmt: skip
"""What each flaw is made of. Too few pixels are no matter of degree: see `edge_runtime.quality`."""
