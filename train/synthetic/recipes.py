"""What each diagnosis looks like, as distributions: the one table that sets how hard the data is.

Every lesion first draws its *atypia*, a number between 0 (orderly) and 1 (chaotic), from the Beta
distribution of its class. Every trait is then drawn around a point between its calm and its wild
end. A melanoma and a nevus differ in nothing but the distribution of atypia, and those overlap,
as on real skin: no classifier can tell all of them apart.

The vocabulary is that of dermoscopy (pigment network, globules, streaks, blue-white veil,
milia-like cysts, lacunae ...): Kittler et al., "Standardization of terminology in dermoscopy and
dermatoscopy", J Am Acad Dermatol 74(6), 2016. The numbers were set by eye, next to photographs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Generic, TypeVar

import numpy as np


@dataclass(frozen=True)
class Trait:
    """A Gaussian, cut off at `low` and `high`, whose mean moves from `calm` to `wild` with atypia.

    A mean under `low` makes a trait rare rather than faint: most draws are cut off to absent.
    """

    calm: float = 0.0
    wild: float = 0.0
    spread: float = 0.0
    low: float = 0.0
    high: float = 1.0

    def draw(self, atypia: float, rng: np.random.Generator) -> float:
        """One value between `low` and `high`."""
        mean = self.calm + (self.wild - self.calm) * atypia
        value = mean + self.spread * float(rng.standard_normal())
        return min(max(value, self.low), self.high)


T = TypeVar("T")


@dataclass(frozen=True)
class Look(Generic[T]):
    """A value for every trait: of one lesion (`Look[float]`), or of a class (`Look[Trait]`)."""

    # outline
    radius: T  # in units of the image's shorter side
    elongation: T  # longer axis over shorter axis, minus 1
    lobes: T  # relative amplitude of the slow bends of the border
    roughness: T  # relative amplitude of its fine notches
    softness: T  # half-width of the border over the radius
    asymmetry: T  # of colour, and of the border's sharpness
    # colour
    melanin: T  # added to the skin's own, see `skin.ABSORPTION`
    blood: T  # haemoglobin, likewise
    variegation: T  # unevenness of both
    black: T  # blotches
    veil: T  # blue-white, structureless
    regression: T  # white, with the pigment gone
    wax: T  # yellowish, opaque keratin
    # structures
    network: T
    globules: T
    dots: T
    streaks: T
    ridges: T  # cerebriform fissures
    cysts: T  # milia-like, white
    plugs: T  # comedo-like openings, dark
    vessels: T  # arborising
    nests: T  # blue-grey, ovoid
    follicles: T  # pale openings in a red pseudo-network ("strawberry")
    scale: T  # white flakes
    lacunae: T  # red to purple lakes of blood
    scar: T  # central white patch


@dataclass(frozen=True)
class Recipe:
    """One class: the two parameters of the Beta distribution of atypia, and of every trait."""

    atypia: tuple[float, float]
    look: Look[Trait]


_ABSENT = Trait()


def _radius(calm: float, wild: float, spread: float) -> Trait:
    """From a lesion that can just be made out to one that nearly fills the image."""
    return Trait(calm, wild, spread, low=0.08, high=0.46)


_COMMON = Look(
    radius=_radius(0.25, 0.33, 0.06),
    elongation=Trait(0.12, 0.30, 0.12),
    lobes=Trait(0.02, 0.08, 0.02),
    roughness=Trait(0.03, 0.09, 0.02),
    softness=Trait(0.12, 0.10, 0.05),
    asymmetry=Trait(0.05, 0.60, 0.12),
    melanin=_ABSENT,
    blood=_ABSENT,
    variegation=Trait(0.10, 0.50, 0.10),
    black=_ABSENT,
    veil=_ABSENT,
    regression=_ABSENT,
    wax=_ABSENT,
    network=_ABSENT,
    globules=_ABSENT,
    dots=_ABSENT,
    streaks=_ABSENT,
    ridges=_ABSENT,
    cysts=_ABSENT,
    plugs=_ABSENT,
    vessels=_ABSENT,
    nests=_ABSENT,
    follicles=_ABSENT,
    scale=_ABSENT,
    lacunae=_ABSENT,
    scar=_ABSENT,
)


_MELANOCYTIC = replace(
    _COMMON,
    radius=_radius(0.19, 0.33, 0.06),
    elongation=Trait(0.15, 0.35, 0.15),
    lobes=Trait(0.00, 0.10, 0.02),
    roughness=Trait(0.02, 0.10, 0.02),
    softness=Trait(0.20, 0.12, 0.05),
    asymmetry=Trait(0.05, 0.70, 0.12),
    melanin=Trait(0.95, 1.35, 0.35, high=2.5),
    blood=Trait(0.12, 0.30, 0.15),
    variegation=Trait(0.12, 0.60, 0.10),
    black=Trait(-0.40, 1.00, 0.25),
    veil=Trait(-0.80, 1.00, 0.30),
    regression=Trait(-0.80, 0.70, 0.30),
    network=Trait(0.40, 0.40, 0.30),
    globules=Trait(0.20, 0.15, 0.30),
    dots=Trait(-0.30, 0.60, 0.30),
    streaks=Trait(-0.90, 0.90, 0.30),
)


RECIPES: dict[str, Recipe] = {
    "akiec": Recipe(
        atypia=(3.0, 3.0),
        look=replace(
            _COMMON,
            radius=_radius(0.26, 0.36, 0.06),
            lobes=Trait(0.04, 0.10, 0.03),
            roughness=Trait(0.10, 0.16, 0.03),
            softness=Trait(0.40, 0.25, 0.08),
            melanin=Trait(-0.10, 0.55, 0.15),
            blood=Trait(0.30, 0.45, 0.15),
            variegation=Trait(0.30, 0.60, 0.10),
            dots=Trait(-0.20, 0.40, 0.20),
            follicles=Trait(0.50, 0.10, 0.35),
            scale=Trait(0.50, 0.40, 0.30),
        ),
    ),
    "bcc": Recipe(
        atypia=(3.0, 3.0),
        look=replace(
            _COMMON,
            radius=_radius(0.20, 0.32, 0.06),
            softness=Trait(0.22, 0.16, 0.06),
            melanin=Trait(0.02, 0.35, 0.15),
            blood=Trait(0.30, 0.30, 0.12),
            variegation=Trait(0.25, 0.60, 0.10),
            black=Trait(-0.30, 0.50, 0.25),
            veil=Trait(-0.30, 0.50, 0.25),
            regression=Trait(0.20, 0.20, 0.20),
            vessels=Trait(0.80, 0.50, 0.25),
            nests=Trait(0.30, 0.75, 0.30),
            scale=Trait(-0.10, 0.10, 0.20),
        ),
    ),
    "bkl": Recipe(
        atypia=(2.5, 3.0),
        look=replace(
            _COMMON,
            radius=_radius(0.22, 0.33, 0.07),
            lobes=Trait(0.03, 0.09, 0.03),
            roughness=Trait(0.07, 0.14, 0.03),
            softness=Trait(0.05, 0.06, 0.03),
            asymmetry=Trait(0.10, 0.50, 0.12),
            melanin=Trait(0.50, 1.10, 0.25, high=2.5),
            blood=Trait(0.05, 0.20, 0.10),
            variegation=Trait(0.20, 0.50, 0.10),
            black=Trait(-0.40, 0.60, 0.25),
            veil=Trait(-0.80, 0.60, 0.25),
            regression=Trait(-0.50, 0.30, 0.25),
            wax=Trait(0.55, 0.35, 0.20),
            network=Trait(0.00, 0.15, 0.20),
            globules=Trait(0.00, 0.10, 0.25),
            ridges=Trait(0.45, 0.35, 0.30),
            cysts=Trait(0.55, 0.30, 0.35),
            plugs=Trait(0.50, 0.30, 0.35),
        ),
    ),
    "df": Recipe(
        atypia=(2.5, 4.0),
        look=replace(
            _COMMON,
            radius=_radius(0.19, 0.28, 0.05),
            softness=Trait(0.30, 0.24, 0.07),
            asymmetry=Trait(0.03, 0.40, 0.10),
            melanin=Trait(0.35, 0.65, 0.15),
            blood=Trait(0.18, 0.35, 0.12),
            network=Trait(0.45, 0.35, 0.20),
            scar=Trait(0.80, 0.50, 0.20),
        ),
    ),
    "mel": Recipe(atypia=(5.0, 2.4), look=_MELANOCYTIC),
    "nv": Recipe(atypia=(2.3, 5.2), look=_MELANOCYTIC),
    "vasc": Recipe(
        atypia=(2.5, 3.5),
        look=replace(
            _COMMON,
            radius=_radius(0.15, 0.24, 0.05),
            lobes=Trait(0.03, 0.10, 0.03),
            roughness=Trait(0.05, 0.10, 0.02),
            softness=Trait(0.09, 0.12, 0.04),
            melanin=Trait(0.05, 0.30, 0.15),
            blood=Trait(0.70, 0.70, 0.25),
            black=Trait(-0.40, 0.70, 0.30),
            veil=Trait(-0.10, 0.60, 0.35),
            lacunae=Trait(0.75, 0.75, 0.20),
        ),
    ),
}

LABELS: tuple[str, ...] = tuple(sorted(RECIPES))


def draw_look(label: str, rng: np.random.Generator) -> Look[float]:
    """The traits of one lesion of class `label`, which must be one of `LABELS`."""
    recipe = RECIPES[label]
    atypia = float(rng.beta(*recipe.atypia))
    return Look(
        **{field.name: getattr(recipe.look, field.name).draw(atypia, rng) for field in fields(Look)}
    )
