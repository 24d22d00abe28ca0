"""The drawing kit: where pixels lie on the skin, smooth random fields, dots and strokes.

Whatever belongs to the skin is drawn in the skin's own coordinates and evaluated at each pixel's
place, so that another photograph of it (turned, moved, nearer, larger) shows the same thing without
resampling an image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float32]
Reals = NDArray[np.float64]  # a few numbers, not an image

_WAVES = 32  # plane waves in one field: fewer look like ripples, more cost time
# Rows per matrix product. A linear algebra library spreads larger products over threads, which
# costs more than it gains here, and far more when several processes do it at once.
_BLOCK = 16
_STROKE_OVERSAMPLING = 3  # strokes are drawn larger by this factor and averaged (antialiasing)


@dataclass(frozen=True)
class Frame:
    """The pixels of a photograph, or of a window of it, and the place of each on the skin.

    Skin coordinates (u, v) have their origin in the lesion's centre; 1 is the shorter side of the
    photograph at zoom 1. A pixel at row i, column j lies at
    ``u = origin[0] + right[0] * j + down[0] * i`` and v likewise.
    """

    height: int
    width: int
    origin: tuple[float, float]
    right: tuple[float, float]
    down: tuple[float, float]
    top: int = 0
    left: int = 0

    @classmethod
    def at(
        cls, height: int, width: int, angle: float, shift: tuple[float, float], zoom: float
    ) -> Frame:
        """A whole photograph, turned by `angle` (radians), its lesion moved by `shift` (x, y)."""
        step = 1.0 / (zoom * min(height, width))
        cos, sin = math.cos(angle) * step, math.sin(angle) * step
        x = (width - 1) / 2 + shift[0] * min(height, width)
        y = (height - 1) / 2 + shift[1] * min(height, width)
        return cls(height, width, (-cos * x - sin * y, sin * x - cos * y), (cos, -sin), (sin, cos))

    @property
    def pixels_per_unit(self) -> float:
        """How many pixels one unit of the skin spans."""
        return 1.0 / math.hypot(*self.right)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of this window in its photograph."""
        rows = slice(self.top, self.top + self.height)
        return rows, slice(self.left, self.left + self.width)

    def around(self, radius: float) -> Frame:
        """The window of a photograph that holds a disc of `radius` about the lesion's centre."""
        x, y = self.to_pixels(np.zeros((1, 2)))[0]
        reach = radius * self.pixels_per_unit
        left, right = (int(min(max(e, 0), self.width)) for e in (x - reach, x + reach + 2))
        top, bottom = (int(min(max(e, 0), self.height)) for e in (y - reach, y + reach + 2))
        u = self.origin[0] + self.right[0] * left + self.down[0] * top
        v = self.origin[1] + self.right[1] * left + self.down[1] * top
        return replace(
            self,
            height=max(1, bottom - top),
            width=max(1, right - left),
            origin=(u, v),
            top=top,
            left=left,
        )

    def coordinates(self) -> tuple[Array, Array]:
        """u and v of every pixel, each (height, width)."""
        rows = np.arange(self.height, dtype=np.float32)[:, None]
        columns = np.arange(self.width, dtype=np.float32)[None, :]
        u, v = (
            (o + d * rows) + r * columns
            for o, r, d in zip(self.origin, self.right, self.down, strict=True)
        )
        return u, v

    def to_pixels(self, places: Reals) -> Reals:
        """(..., 2) places (u, v) on the skin as (..., 2) pixel positions, column first."""
        pixels: Reals = (places - np.array(self.origin)) @ np.linalg.inv([self.right, self.down])
        return pixels


@dataclass(frozen=True)
class Waves:
    """A smooth Gaussian random field of mean 0 and deviation 1, as a sum of plane waves.

    The spectral method (Shinozuka & Jan, J Sound Vib 25(1), 1972). A plane wave on a regular grid
    is a product of a row and a column, so that a whole field is one small matrix product.
    """

    frequency: Reals  # (n, 2), cycles per unit along u and v
    phase: Reals  # (n,), radians
    amplitude: Reals  # (n,)

    @classmethod
    def draw(cls, rng: np.random.Generator, low: float, high: float, slope: float = 1.0) -> Waves:
        """Frequencies from `low` to `high` cycles per unit, amplitudes as frequency ** -slope."""
        size = low * (high / low) ** rng.random(_WAVES)
        direction = (np.arange(_WAVES) + rng.random(_WAVES)) * (np.pi / _WAVES)  # all alike
        amplitude = size**-slope
        return cls(
            frequency=size[:, None] * np.stack([np.cos(direction), np.sin(direction)], axis=1),
            phase=rng.random(_WAVES) * 2 * np.pi,
            amplitude=amplitude * np.sqrt(2 / np.sum(amplitude**2)),
        )

    def on(self, frame: Frame) -> Array:
        """The field at every pixel, (height, width) float32."""
        turn = 2 * np.pi * self.frequency
        start = turn @ np.array(frame.origin) + self.phase
        padded = -(-frame.height // _BLOCK) * _BLOCK
        down = np.outer(np.arange(padded), turn @ np.array(frame.down)) + start
        right = np.outer(turn @ np.array(frame.right), np.arange(frame.width))
        down, right = down.astype(np.float32), right.astype(np.float32)
        rows = np.concatenate([np.cos(down), -np.sin(down)], 1)
        rows *= np.tile(self.amplitude, 2).astype(np.float32)
        columns = np.concatenate([np.cos(right), np.sin(right)], 0)
        blocks: Array = rows.reshape(-1, _BLOCK, rows.shape[1]) @ columns
        return blocks.reshape(padded, frame.width)[: frame.height]


def smoothstep(low: float | Array, high: float | Array, value: Array) -> Array:
    """0 below `low`, 1 above `high`, a smooth cubic between; falls if `high` is below `low`."""
    t = value - low
    t /= high - low
    np.clip(t, 0, 1, out=t)
    rest = -2 * t
    rest += 3
    t *= t
    t *= rest
    return t


def honeycomb(u: Array, v: Array, spacing: float) -> Array:
    """A hexagonal lattice: 1 in the middle of each cell, falling to 0 on the walls between.

    Three plane waves at 120 degrees; bend `u` and `v` beforehand and the cells become irregular.
    """
    # With a = k u / 2 and b = k v sqrt(3) / 2, the sum cos(2a) + cos(a + b) + cos(a - b) equals
    # 2 cos(a) (cos(a) + cos(b)) - 1 and lies between -1.5 and 3.
    a: Array = np.cos((2 * math.pi / (math.sqrt(3) * spacing)) * u)
    total: Array = np.cos((2 * math.pi / spacing) * v)
    total += a
    total *= a
    total *= 2 / 4.5
    total += 0.5 / 4.5
    return total


def dots(frame: Frame, places: Reals, radii: Reals, sharpness: float = 1.0) -> Array:
    """Round dots of height 1 at `places` (n, 2) with `radii` (n,), both in skin units.

    `sharpness` 1 is a Gaussian hill, larger is flatter on top with steeper sides.
    """
    canvas = np.zeros((frame.height, frame.width), np.float32)
    centres = frame.to_pixels(places)
    reach = np.maximum(radii * frame.pixels_per_unit, 0.6)  # never under a pixel
    for (x, y), r in zip(centres, reach, strict=True):
        left, right = max(0, int(x - 2 * r)), min(frame.width, int(x + 2 * r) + 2)
        top, bottom = max(0, int(y - 2 * r)), min(frame.height, int(y + 2 * r) + 2)
        if left >= right or top >= bottom:
            continue
        dx = (np.arange(left, right, dtype=np.float32) - x) / r
        dy = (np.arange(top, bottom, dtype=np.float32) - y) / r
        distance = dy[:, None] ** 2 + dx[None, :] ** 2
        hill = np.exp(-(distance**sharpness)).astype(np.float32)
        part = canvas[top:bottom, left:right]
        np.maximum(part, hill, out=part)
    return canvas


def strokes(height: int, width: int, paths: Reals, widths: Reals) -> Array:
    """Tapered, antialiased lines: their coverage of each pixel, 0 to 1, (height, width).

    `paths` (lines, points, 2), column first, and `widths` (lines, points) are in pixels.
    """
    factor = _STROKE_OVERSAMPLING
    canvas = Image.new("L", (width * factor, height * factor))
    draw = ImageDraw.Draw(canvas)
    centres = (paths + 0.5) * factor
    along = np.gradient(centres, axis=1)
    along /= np.maximum(np.hypot(along[..., :1], along[..., 1:]), 1e-9)
    across = along[..., ::-1] * (-factor / 2, factor / 2) * widths[..., None]
    outlines = np.concatenate([centres + across, (centres - across)[:, ::-1]], axis=1)
    for outline in outlines.reshape(len(outlines), -1).tolist():
        draw.polygon(outline, fill=255)
    return np.asarray(canvas.reduce(factor)).astype(np.float32) / np.float32(255)
