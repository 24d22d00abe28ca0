"""One photograph: where the camera stands, its light, and everything that gets in its way.

Nothing here depends on the diagnosis: a hair, a ruler or a dark corner must not betray a class.
"""

from __future__ import annotations

import math

import numpy as np

from train.synthetic.fields import Array, Frame, smoothstep, strokes

_HAIRY, _RULED, _VIGNETTED, _BUBBLED = 0.45, 0.15, 0.22, 0.20  # shares of photographs
_BLOND = 0.15  # share of hairy ones whose hairs are white or blond


def place(rng: np.random.Generator, height: int, width: int) -> Frame:
    """Where the photograph lies on the skin: any rotation, a small shift, a slight zoom."""
    shift = (rng.normal(0, 0.06) * width / min(height, width), rng.normal(0, 0.05))
    return Frame.at(height, width, rng.uniform(0, 2 * np.pi), shift, math.exp(rng.normal(0, 0.08)))


def add_artefacts(rgb: Array, rng: np.random.Generator) -> None:
    """Bubbles, hairs and ruler marks, each on some photographs; in place on (3, height, width)."""
    if rng.random() < _BUBBLED:
        _bubbles(rgb, rng)
    if rng.random() < _HAIRY:
        _hairs(rgb, rng)
    if rng.random() < _RULED:
        _ruler(rgb, rng)


def expose(rgb: Array, brightness: float, rng: np.random.Generator) -> None:
    """Light, dermatoscope, lens and sensor, in place on (3, height, width) between 0 and 1.

    `brightness` is that of the skin alone: the exposure must not tell how dark the lesion is.
    """
    _, height, width = rgb.shape
    unit = min(height, width)
    x = ((np.arange(width) - (width - 1) / 2) / unit)[None, :]
    y = ((np.arange(height) - (height - 1) / 2) / unit)[:, None]

    # Automatic exposure lifts dark skin a little, as cameras do; the colour balance is rarely true.
    exposure = (0.72 / brightness) ** 0.35 * math.exp(rng.normal(0, 0.05))
    balance = np.exp(rng.normal(0, [0.035, 0.04, 0.06]))
    fall, (cx, cy), tilt = rng.uniform(0.0, 0.35), rng.normal(0, 0.15, 2), rng.normal(0, 0.06, 2)
    light = (1 - fall * (x - cx) ** 2 + tilt[0] * x) + (tilt[1] * y - fall * (y - cy) ** 2)
    if rng.random() < _VIGNETTED:
        radius, edge = rng.uniform(0.56, 0.76), rng.uniform(0.02, 0.08)
        ox, oy = rng.normal(0, 0.03, 2)
        light *= smoothstep(radius + edge, radius - edge, np.sqrt((x - ox) ** 2 + (y - oy) ** 2))
        light += 0.02
    light = light.astype(np.float32)
    for channel, gain in zip(rgb, (exposure * balance).tolist(), strict=True):
        channel *= light
        channel *= gain

    _soften(rgb, rng.uniform(0.02, 0.22))
    noise = rng.random(rgb.shape, dtype=np.float32)
    noise -= 0.5
    noise *= rng.uniform(0.01, 0.05)
    rgb += noise


def _soften(rgb: Array, amount: float) -> None:
    """Blur each channel in place with (amount, 1 - 2 amount, amount) along both axes."""
    for plane in rgb:
        for view in (plane, plane.T):
            inner = view[1:-1]
            around = view[2:] + view[:-2]
            around -= 2 * inner
            around *= amount
            inner += around


def _hairs(rgb: Array, rng: np.random.Generator) -> None:
    """Curved, tapered hairs, all lying roughly the same way."""
    _, height, width = rgb.shape
    unit = min(height, width)
    count = min(1 + int(rng.gamma(1.2, 7.0)), 40)
    heading = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.5, count)
    length = unit * rng.uniform(0.15, 0.95, count)
    ahead = np.stack([np.cos(heading), np.sin(heading)], 1) * length[:, None]
    root = rng.uniform(-0.1, 1.1, (count, 2)) * (width, height) - ahead / 2
    sag = ahead[:, ::-1] * (-1, 1) * rng.normal(0, 0.22, count)[:, None]

    # Quadratic Bezier curves from root to tip.
    t = np.linspace(0, 1, 14)
    middle, tip = root + ahead / 2 + sag, root + ahead
    weights = np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], 1)
    paths = weights @ np.stack([root, middle, tip], 1)
    thickness = unit * rng.uniform(0.006, 0.014) * rng.uniform(0.5, 1.2, count)
    widths = np.maximum(thickness[:, None] * (1 - 0.8 * t), 0.45)
    cover = strokes(height, width, paths, widths) * rng.uniform(0.65, 0.95)
    shade = np.exp(rng.normal(0, 0.15)) * np.array([0.20, 0.14, 0.12])
    if rng.random() < _BLOND:
        shade = np.array([0.92, 0.86, 0.76])
    for channel, value in zip(rgb, shade.tolist(), strict=True):
        channel += (value - channel) * cover


def _ruler(rgb: Array, rng: np.random.Generator) -> None:
    """Black ticks along one edge, every fifth one longer."""
    _, height, width = rgb.shape
    unit = min(height, width)
    along_width, far_side = rng.random() < 0.5, rng.random() < 0.5
    span, across = (width, height) if along_width else (height, width)
    spacing, length = unit * rng.uniform(0.035, 0.08), unit * rng.uniform(0.03, 0.06)
    place = np.arange(rng.uniform(0, 1) * spacing, span, spacing)
    near = np.full_like(place, unit * rng.uniform(-0.02, 0.04))
    far = near + length * np.where(np.arange(len(place)) % 5 == 0, 1.6, 1.0)
    paths = np.stack([np.stack([place, near], 1), np.stack([place, far], 1)], 1)
    if far_side:
        paths[..., 1] = across - 1 - paths[..., 1]
    if not along_width:
        paths = paths[..., ::-1]
    widths = np.full(paths.shape[:2], max(0.7, unit * rng.uniform(0.004, 0.009)))
    rgb *= 1 - 0.85 * strokes(height, width, paths, widths)


def _bubbles(rgb: Array, rng: np.random.Generator) -> None:
    """Air in the gel: a faint lens with a dark rim, a bright crescent and a glint."""
    _, height, width = rgb.shape
    unit = min(height, width)
    lit = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(1, 9))):
        r = max(2.0, unit * rng.uniform(0.012, 0.06))
        cx, cy = rng.uniform(0, width), rng.uniform(0, height)
        left, right = max(0, int(cx - 1.3 * r)), min(width, int(cx + 1.3 * r) + 2)
        top, bottom = max(0, int(cy - 1.3 * r)), min(height, int(cy + 1.3 * r) + 2)
        dx = (np.arange(left, right, dtype=np.float32) - cx)[None, :] / r
        dy = (np.arange(top, bottom, dtype=np.float32) - cy)[:, None] / r
        distance = np.hypot(dx, dy)
        facing = dx * np.cos(lit) + dy * np.sin(lit)
        rim = np.exp(-(((distance - 0.92) / 0.12) ** 2))
        glint = np.exp(
            -((dx - 0.5 * np.cos(lit)) ** 2 + (dy - 0.5 * np.sin(lit)) ** 2) / np.float32(0.03)
        )
        part = rgb[:, top:bottom, left:right]
        part *= 1 - 0.28 * rim * smoothstep(0.5, -0.8, facing)
        part += (1 - part) * (0.45 * rim * smoothstep(0.2, 0.9, facing) + 0.8 * glint)
        part += 0.05 * (distance < 0.85)
