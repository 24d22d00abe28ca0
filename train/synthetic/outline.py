"""The outline of a lesion: how far inside it each pixel lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from train.synthetic.fields import Array, Frame, Waves, smoothstep
from train.synthetic.recipes import Look

_ANGLES = 512  # entries of the table that holds the border's distance by angle
_LOBES = np.arange(2, 8)  # bends around the border
_STREAK_LENGTH = 0.30  # of the longest streaks, over the radius


_MARGIN = 0.15  # beyond the soft zone, for what structures put outside the border
_FARTHEST = 1.7  # nothing of a lesion lies farther from its centre than this


@dataclass(frozen=True)
class Outline:
    """What the border alone decides. Arrays are (height, width), lengths in lesion radii."""

    window: Frame  # the part of the photograph that holds the lesion
    u: Array  # place within the lesion, centre 0
    v: Array
    distance: Array  # from the centre
    depth: Array  # 1 in the centre, 0 on the border, negative outside
    mask: Array  # 1 inside, 0 outside, between in the border's soft zone
    near: Array  # 1 in and about the lesion, 0 toward the edges of the window
    slope: Array  # place along the direction in which the two halves differ


def draw_outline(photograph: Frame, look: Look[float], rng: np.random.Generator) -> Outline:
    """Draw the outline of a lesion in the middle of the skin that `photograph` shows."""
    border = _border(look, rng)
    turn = rng.uniform(0, 2 * np.pi)
    notches = Waves.draw(rng, 1.2 / look.radius, 10.0 / look.radius, slope=0.9)

    # One side of an asymmetrical lesion ends abruptly while the other fades away.
    softness, fade = look.softness + 0.02, 0.9 * look.asymmetry
    reach = float(border.max()) * (1 + softness * math.exp(fade) + 2 * look.roughness) + _MARGIN
    reach = min(reach, _FARTHEST)

    window = photograph.around(reach * look.radius)
    u, v = (c / look.radius for c in window.coordinates())
    distance = np.sqrt(u * u + v * v)
    slope = u * math.cos(turn) + v * math.sin(turn)
    step = (np.arctan2(v, u) + math.pi) * ((_ANGLES - 1) / (2 * math.pi))
    depth = 1 - distance / border.take(step.astype(np.intp))
    depth += look.roughness * notches.on(window) * np.minimum(distance, 1)
    soft: Array = softness * np.exp(fade * np.clip(slope, -1, 1)).astype(np.float32, copy=False)
    near = smoothstep(reach, reach - _MARGIN, distance)
    mask = smoothstep(-soft, soft, depth) * near
    return Outline(window, u, v, distance, depth, mask, near, slope)


def _border(look: Look[float], rng: np.random.Generator) -> Array:
    """Distance of the border from the centre at `_ANGLES` angles, in mean radii."""
    angle = np.linspace(-np.pi, np.pi, _ANGLES)
    aspect = np.sqrt(1 + look.elongation)
    turned = angle - rng.uniform(0, np.pi)
    border = 1 / np.hypot(np.cos(turned) / aspect, np.sin(turned) * aspect)
    size = rng.standard_normal(len(_LOBES)) / _LOBES**0.7
    phase = rng.uniform(0, 2 * np.pi, len(_LOBES))
    border *= np.exp(2.2 * look.lobes * np.cos(np.outer(angle, _LOBES) + phase) @ size)

    # Streaks: radial spikes, all on one side, of uneven length.
    spikes = int(rng.integers(22, 36))
    tooth = np.abs(np.sin(spikes / 2 * (angle + np.pi))) ** 4
    length = rng.uniform(0.3, 1.0, spikes)
    length = length[((angle + np.pi) / (2 * np.pi) * spikes).astype(int) % spikes]
    side = np.clip(np.cos(angle - rng.uniform(0, 2 * np.pi)) + 0.2, 0, 1)
    border *= 1 + look.streaks * _STREAK_LENGTH * tooth * length * side
    limited: Array = np.clip(border, 0.35, _FARTHEST - 0.3).astype(np.float32)
    return limited
