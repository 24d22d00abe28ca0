"""The structures that dermoscopy names: network, globules, vessels, nests, cysts, lacunae ..."""

from __future__ import annotations

import numpy as np

from train.synthetic.fields import (
    Array,
    Frame,
    Reals,
    Waves,
    dots,
    honeycomb,
    smoothstep,
    strokes,
)
from train.synthetic.outline import Outline
from train.synthetic.recipes import Look
from train.synthetic.skin import BLACK, BLOOD, MELANIN, Haze

_BLUE_GREY = (0.42, 0.42, 0.50)
_CYST_WHITE = (0.97, 0.92, 0.84)
_FLAKE_WHITE = (0.93, 0.88, 0.85)
_FOLLICLE_YELLOW = (0.92, 0.76, 0.62)
_PURPLE = (0.42, 0.24, 0.45)


def add_patterns(
    layers: Array, outline: Outline, look: Look[float], rng: np.random.Generator
) -> None:
    """Change `layers` (3, height, width) in place by what repeats over the whole lesion."""
    if not (look.network or look.globules or look.ridges or look.lacunae):
        return
    # Lattices are bent by fields of their own, and more so the more variegated a lesion is.
    frame, wild = outline.window, look.variegation
    u, v = frame.coordinates()
    bend = Waves.draw(rng, 2.0, 20.0, slope=0.7).on(frame)
    twist = Waves.draw(rng, 2.0, 20.0, slope=0.7).on(frame)

    def lattice(spacing: float, bent: float) -> Array:
        amount = bent * spacing
        return honeycomb(u + amount * bend, v + amount * twist, spacing)

    if look.network > 0:
        cells = lattice(rng.uniform(0.026, 0.040), 0.36 + 0.2 * wild)
        lines = smoothstep(0.50, 0.10, cells) - 0.45
        strength = look.network * (1 + (0.5 + 0.5 * wild) * bend)
        layers[MELANIN] *= np.maximum(1 + 0.60 * strength * lines, 0.1)
    if look.globules > 0:
        cells = lattice(rng.uniform(0.045, 0.065), 0.36 + 0.2 * wild)
        clods = smoothstep(0.30, 0.60, cells) - 0.4
        strength = look.globules * (1 + (0.5 + 0.5 * wild) * twist)
        layers[MELANIN] *= np.maximum(1 + 0.6 * strength * clods, 0.1)
    if look.ridges > 0:
        fissures = smoothstep(0.6, 0.0, np.abs(bend + 0.3 * twist))
        layers[MELANIN] *= 1 + 0.8 * look.ridges * (fissures - 0.3)
    if look.lacunae > 0:
        cells = lattice(look.radius * rng.uniform(0.40, 0.75), 0.20)
        lakes = smoothstep(0.06, 0.40, cells) * look.lacunae
        deep = smoothstep(-0.8, 1.2, twist + rng.normal(0, 0.8))
        layers[BLOOD] += lakes * (0.5 + 0.6 * deep)
        layers[MELANIN] += lakes * 0.35 * deep
        layers[BLACK] += lakes * 0.25 * deep


def add_details(
    layers: Array, outline: Outline, look: Look[float], rng: np.random.Generator
) -> list[Haze]:
    """Change `layers` in place by what lies at single places; return what hazes the lesion."""
    haze: list[Haze] = []
    frame, mask = outline.window, outline.mask
    if look.dots > 0:
        places, sizes = _scatter(look, rng, int(60 * look.dots), 0.005, 0.009, within=0.95)
        layers[BLACK] += 0.9 * dots(frame, places, sizes) * mask
    if look.plugs > 0:
        places, sizes = _scatter(look, rng, int(16 * look.plugs), 0.008, 0.020, within=0.85)
        plugs = dots(frame, places, sizes, sharpness=2) * mask
        layers[BLACK] += 0.6 * plugs
        layers[MELANIN] += 0.6 * plugs
    if look.nests > 0:
        places, sizes = _scatter(look, rng, int(9 * look.nests), 0.025, 0.065, within=0.9)
        tail = places + rng.normal(0, 0.7, places.shape) * sizes[:, None]  # ovoid, not round
        nests = dots(frame, np.concatenate([places, tail]), np.tile(sizes, 2), sharpness=1.6)
        nests *= (0.35 + 0.65 * mask) * outline.near
        layers[MELANIN] += 0.55 * nests
        layers[BLACK] += 0.25 * nests
        haze.append(Haze(0.62 * nests, _BLUE_GREY))
    if look.vessels > 0:
        tree = strokes(frame.height, frame.width, *_arborise(look, frame, rng))
        layers[BLOOD] += look.vessels * tree * outline.near
    if look.lacunae > 0 and look.veil > 0:
        haze.append(Haze(0.3 * look.veil * mask, _PURPLE))
    if look.cysts > 0:
        places, sizes = _scatter(look, rng, int(16 * look.cysts), 0.006, 0.014, within=0.85)
        haze.append(Haze(0.75 * dots(frame, places, sizes) * mask, _CYST_WHITE))
    if look.follicles > 0:
        places, sizes = _scatter(look, rng, int(70 * look.follicles), 0.008, 0.018, within=1.1)
        openings = dots(frame, places, sizes, sharpness=1.5) * outline.near
        haze.append(Haze(0.55 * openings, _FOLLICLE_YELLOW))
    if look.scale > 0:
        flakes = Waves.draw(rng, 8.0, 45.0, slope=0.8).on(frame)
        where = Waves.draw(rng, 1.0, 5.0).on(frame)
        flakes = smoothstep(1.1, 2.6, flakes + 0.8 * where) * smoothstep(-0.3, 0.3, outline.depth)
        haze.append(Haze(0.6 * look.scale * flakes, _FLAKE_WHITE))
    return haze


def _scatter(
    look: Look[float],
    rng: np.random.Generator,
    count: int,
    smallest: float,
    largest: float,
    within: float,
) -> tuple[Reals, Reals]:
    """`count` places, denser toward one side, within a share of the radius; and their sizes."""
    angle = rng.vonmises(rng.uniform(-np.pi, np.pi), 1.2 * look.asymmetry, count)
    distance = look.radius * within * np.sqrt(rng.random(count))
    places = np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)
    sizes = np.minimum(rng.uniform(smallest, largest, count), look.radius / 4)
    return places, sizes


def _arborise(look: Look[float], frame: Frame, rng: np.random.Generator) -> tuple[Reals, Reals]:
    """Paths and widths of vessels that enter from the border and branch ever thinner."""
    paths, widths = [], []
    for _ in range(int(rng.integers(2, 5))):
        angle = rng.uniform(0, 2 * np.pi)
        start = look.radius * rng.uniform(0.7, 1.1) * np.array([np.cos(angle), np.sin(angle)])
        trunks = [(start, angle + np.pi + rng.normal(0, 0.4), 0.011, look.radius * 1.1)]
        for generation in range(3):
            branches = []
            for origin, heading, width, length in trunks:
                turns = heading + np.cumsum(rng.normal(0, 0.28, 9))
                steps = np.stack([np.cos(turns), np.sin(turns)], 1) * length / 9
                path = np.concatenate([origin[None], origin + np.cumsum(steps, axis=0)])
                paths.append(path)
                widths.append(np.linspace(width, width * 0.4, len(path)))
                if generation < 2:
                    for knot in rng.choice(np.arange(2, 9), 2, replace=False):
                        side = rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)
                        branches.append((path[knot], turns[knot] + side, width * 0.6, length / 2))
            trunks = branches
    taper = np.maximum(np.array(widths) * frame.pixels_per_unit, 0.5)
    return frame.to_pixels(np.array(paths)), taper
