"""The skin around a lesion, and how pigment and blood in it turn into colour.

Skin is a white, scattering layer seen through absorbers, so that colours multiply (Beer-Lambert),
which makes a brown lesion on dark skin look as it does; see Claridge et al., "From colour to tissue
histology", Medical Image Analysis 7(4), 2003. Nothing here depends on the diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from train.synthetic.fields import Array, Frame, Waves, honeycomb, smoothstep

# Optical density in R, G, B of one unit of melanin, of haemoglobin, and of melanin so dense that
# it looks black (the rows, in this order). Set by eye to the colours of photographs.
ABSORPTION = np.array(
    [
        [0.42, 0.84, 1.18],
        [0.12, 1.00, 0.72],
        [1.00, 0.95, 0.85],
    ],
    np.float32,
)
BARE = np.array([0.96, 0.93, 0.90], np.float32)  # colour without any absorber
MELANIN, BLOOD, BLACK = range(3)

_DARKER_SKIN = 0.25  # the share of patients with brown to dark skin (types IV to VI)


@dataclass(frozen=True)
class Haze:
    """Something that scatters light back and hides what lies under it: a veil, a scar, a flake."""

    cover: Array  # (height, width), 0 to 1
    colour: tuple[float, float, float]  # R, G, B, 0 to 1


def draw_tone(rng: np.random.Generator) -> tuple[float, float]:
    """Melanin and blood of one patient's skin; a quarter of the patients have darker skin."""
    darker = rng.random() < _DARKER_SKIN
    melanin = rng.uniform(0.30, 1.25) if darker else rng.gamma(3.0, 0.04)
    return float(melanin), float(np.clip(rng.normal(0.16, 0.07), 0.03, 0.45))


def brightness(tone: tuple[float, float]) -> float:
    """How light skin of that tone is without a lesion, 0 to 1."""
    return float(colour(np.array([*tone, 0.0], np.float32).reshape(3, 1, 1)).mean())


def absorbers(frame: Frame, tone: tuple[float, float], rng: np.random.Generator) -> Array:
    """Melanin, blood and black at every pixel of skin without a lesion, (3, height, width)."""
    melanin, blood = tone
    u, v = frame.coordinates()
    uneven = Waves.draw(rng, 0.4, 3.0).on(frame)
    grain = Waves.draw(rng, 6.0, 50.0, slope=0.7).on(frame)
    mottle = Waves.draw(rng, 3.0, 22.0, slope=0.8).on(frame)

    result = np.zeros((3, frame.height, frame.width), np.float32)
    pigment, vascular = result[MELANIN], result[BLOOD]
    pigment += melanin
    pigment += (0.14 * melanin) * uneven
    pigment += (0.04 * melanin + 0.006) * grain
    freckles = smoothstep(0.6, 2.6, uneven + 0.6 * mottle)
    freckles *= 0.35 * rng.beta(1.2, 4.0)
    pigment += freckles

    # Small vessels: red ridges where a field crosses zero, clearest on thin, sun-damaged skin.
    ruddy = rng.beta(1.2, 3.0)
    vessels = smoothstep(0.7, 0.0, np.abs(mottle))
    vessels *= smoothstep(-0.6, 1.4, uneven + grain)
    vessels *= 0.8 * ruddy * blood
    vascular += blood
    vascular -= (0.20 * blood) * uneven
    vascular += (0.04 * blood) * grain
    vascular += vessels

    # Skin lines: a fine, stretched lattice of shallow furrows.
    lines, stretch, spacing = rng.beta(1.5, 3.0), rng.uniform(1.3, 2.2), rng.uniform(0.05, 0.09)
    furrows = honeycomb(u + 0.012 * mottle, stretch * v + 0.012 * uneven, spacing)
    furrows = smoothstep(0.25, 0.0, furrows)
    furrows *= 0.03 * lines
    result[:BLACK] += furrows
    return np.maximum(result, 0, out=result)


def colour(absorbers: Array) -> Array:
    """RGB, 0 to 1, of absorbers; both (3, height, width)."""
    rgb = np.empty_like(absorbers)
    for channel, bare, density in zip(rgb, BARE.tolist(), ABSORPTION.T.tolist(), strict=True):
        channel[:] = 0
        for absorber, strength in zip(absorbers, density, strict=True):
            channel -= strength * absorber
        np.exp(channel, out=channel)
        channel *= bare
    return rgb


def cover(rgb: Array, haze: Haze) -> None:
    """Lay `haze` over `rgb` (3, height, width), in place."""
    for channel, value in zip(rgb, haze.colour, strict=True):
        channel += (np.float32(value) - channel) * haze.cover
