"""One lesion: pigment, blood and scattering inside its outline, structure by structure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from train.synthetic import structures
from train.synthetic.fields import Array, Frame, Waves, smoothstep
from train.synthetic.outline import Outline, draw_outline
from train.synthetic.recipes import Look
from train.synthetic.skin import BLACK, BLOOD, MELANIN, Haze

_BLUE_WHITE = (0.47, 0.50, 0.62)
_SCAR_WHITE = (0.90, 0.80, 0.80)
_KERATIN = (0.80, 0.66, 0.48)


@dataclass(frozen=True)
class Lesion:
    """What a lesion adds to the skin within a window of the photograph."""

    window: Frame
    absorbers: Array  # (3, height, width): melanin, blood, black
    haze: list[Haze]  # from the deepest to the most superficial


def draw_lesion(photograph: Frame, look: Look[float], rng: np.random.Generator) -> Lesion:
    """Draw a lesion in the middle of the skin that `photograph` shows."""
    outline = draw_outline(photograph, look, rng)
    mask, frame = outline.mask, outline.window
    slow = Waves.draw(rng, 0.35 / look.radius, 1.1 / look.radius).on(frame)
    mottle = Waves.draw(rng, 0.9 / look.radius, 8.0 / look.radius, slope=0.8).on(frame)

    uneven = 1 + look.variegation * (0.55 * slow + 0.35 * mottle)
    uneven += 0.45 * look.asymmetry * outline.slope
    uneven += rng.normal(0.0, 0.25) * (0.4 - outline.depth)  # darker centre, or darker rim
    uneven = np.maximum(uneven, 0.08)
    layers = np.empty((3, frame.height, frame.width), np.float32)
    layers[MELANIN] = look.melanin * uneven
    layers[BLOOD] = look.blood * (1 + 0.5 * look.variegation * (mottle - slow))
    layers[BLACK] = 0.9 * look.black * _patch(outline, mottle + 0.5 * slow, rng, size=0.75)
    haze: list[Haze] = []

    structures.add_patterns(layers, outline, look, rng)
    if look.regression > 0:
        gone = look.regression * _patch(outline, mottle - slow, rng, size=0.55)
        layers *= 1 - 0.8 * gone
        haze.append(Haze(0.40 * gone * mask, _SCAR_WHITE))
    if look.scar > 0:
        bend = 0.10 * slow + 0.04 * mottle
        gone = look.scar * smoothstep(0.75, 0.2, outline.distance + bend)
        layers *= 1 - 0.8 * gone
        haze.append(Haze(0.6 * gone * mask, _SCAR_WHITE))
    if look.wax > 0:
        haze.append(Haze(0.40 * look.wax * mask, _KERATIN))
    if look.veil > 0:
        veiled = look.veil * _patch(outline, slow + 0.4 * mottle, rng, size=0.6)
        layers[MELANIN] += 0.5 * veiled
        layers[BLACK] += 0.25 * veiled
        haze.append(Haze((0.45 + 0.06 * mottle) * veiled * mask, _BLUE_WHITE))
    layers *= mask
    haze += structures.add_details(layers, outline, look, rng)
    return Lesion(frame, np.maximum(layers, 0, out=layers), haze)


def _patch(outline: Outline, field: Array, rng: np.random.Generator, size: float) -> Array:
    """An irregular region about `size` radii large somewhere inside the lesion, 0 to 1."""
    angle, off = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.6)
    u = outline.u - off * math.cos(angle)
    v = outline.v - off * math.sin(angle)
    hill = np.exp((u * u + v * v) * (-1 / size**2))
    hill += 0.22 * field
    return smoothstep(0.35, 0.85, hill)
