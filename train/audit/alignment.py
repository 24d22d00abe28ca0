"""Are two pictures the same one? Lay one over the other as well as possible, then correlate.

The copy's centre disc is mapped into the other picture by an affine map (turning, reflecting,
scaling, stretching and shifting are special cases). It starts where `polar` saw it and is refined
coarse to fine by inverse compositional least squares (S. Baker and I. Matthews, Lucas-Kanade 20
Years On, International Journal of Computer Vision 56, 2004), with brightness and contrast fitted
along. What remains are two correlations: of brightness, and of detail.

The gradient of the copy's disc does not depend on the pair, so a step is a lookup and a small
product, for many pairs at once; a general optimiser, one pair at a time, is fifty times slower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.audit import settings
from train.audit.layers import Layers

_LARGEST_STEP = 0.15  # of the disc's radius
_RIDGE = 1e-3
_BATCH = 96  # pairs; more would not fit into a processor's cache
_TINY = 1e-6

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Likeness:
    """Pairs that could be laid over each other, and how alike they then are; arrays (n,).

    Attributes:
        rows: which of the pairs that were asked for.
        correlation: of brightness, over the part of the disc that both show; -1 to 1.
        detail: of detail, the same.
    """

    rows: NDArray[np.int64]
    correlation: NDArray[np.float64]
    detail: NDArray[np.float64]


def align(
    layers: Layers,
    copy: NDArray[np.int64],
    other: NDArray[np.int64],
    maps: Values,
) -> Likeness:
    """Refine starting maps, dropping pairs as soon as they are hopeless, and correlate.

    Args:
        layers: what the indices refer to.
        copy, other: n indices each.
        maps: from the copies' unit discs to the other pictures, shape (n, 2, 3).
    """
    order = np.argsort(copy, kind="stable")  # pairs of one copy share its gradients
    parts = [
        _align(layers, copy, other, maps, order[start : start + _BATCH])
        for start in range(0, len(order), _BATCH)
    ]
    if not parts:
        return Likeness(np.empty(0, np.int64), np.empty(0), np.empty(0))
    rows, correlation, detail = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Likeness(rows, correlation, detail)


def _align(
    layers: Layers,
    copy: NDArray[np.int64],
    other: NDArray[np.int64],
    maps: Values,
    rows: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Those of the pairs ``rows`` that remain, their correlation of brightness, and of detail."""
    maps = maps[rows]
    correlation = detail = overlap = np.zeros(len(rows))
    for stage in settings.STAGES:
        if not len(rows):
            break
        picture = layers.sharp if stage.sharp else layers.smooth
        disc, pair = _disc(stage.points), (copy[rows], other[rows])
        maps = _refine(picture, layers.frames, *pair, maps, disc, stage.steps)
        correlation, overlap = _compare(picture, layers.frames, *pair, maps, disc)
        detail, _ = _compare(layers.detail, layers.frames, *pair, maps, disc)
        picked = (
            (correlation >= stage.correlation) & (detail >= stage.detail)
            & (overlap >= settings.SMALLEST_OVERLAP) & _plausible(maps)
        )  # fmt: skip
        rows, maps = rows[picked], maps[picked]
        correlation, detail = correlation[picked], detail[picked]
    return rows, correlation, detail


def _compare(
    pictures: NDArray[np.uint8] | NDArray[np.int8],
    frames: Values,
    copy: NDArray[np.int64],
    other: NDArray[np.int64],
    maps: Values,
    disc: Values,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Correlation of a layer under the maps, and the share of the disc that it is taken over."""
    there = _mapped(maps, disc) / frames[other, None]
    inside = (np.abs(there) <= 0.5).all(2)
    wanted = _read(pictures, copy, disc * 0.5 / frames[copy, None])
    return _correlation(wanted, _read(pictures, other, there), inside), inside.mean(1)


def _refine(
    picture: NDArray[np.uint8],
    frames: Values,
    copy: NDArray[np.int64],
    other: NDArray[np.int64],
    maps: Values,
    disc: Values,
    steps: int,
) -> Values:
    """The maps after some steps."""
    copies, which = np.unique(copy, return_inverse=True)
    wanted, solver = _solver(picture, copies, frames[copies], disc)
    wanted, solver = wanted[which], solver[which]
    for _ in range(steps):
        there = _mapped(maps, disc) / frames[other, None]
        inside = (np.abs(there) <= 0.5).all(2)
        error = (_relit(_read(picture, other, there), wanted, inside) - wanted) * inside
        change = (solver @ error[..., None])[..., 0].reshape(-1, 2, 3)
        maps = _composed(maps, np.clip(change, -_LARGEST_STEP, _LARGEST_STEP))
    return maps


def _solver(
    picture: NDArray[np.uint8], copies: NDArray[np.int64], frames: Values, disc: Values
) -> tuple[Values, Values]:
    """The copies' discs (n, points), and the matrix from errors to map changes (n, 6, points)."""
    places = disc * 0.5 / frames[:, None]
    values = _read(picture, copies, places)
    # Central differences half a pixel of the thumbnail either way, in units of the disc.
    gap = 1 / settings.THUMBNAIL
    slopes = []
    for axis in np.eye(2, dtype=np.float32):
        reach = (axis * gap).astype(np.float32)
        after = _read(picture, copies, (disc + reach) * 0.5 / frames[:, None])
        before = _read(picture, copies, (disc - reach) * 0.5 / frames[:, None])
        slopes.append((after - before) / np.float32(2 * gap))
    across, down = slopes
    x, y = disc.T
    ones = np.ones_like(values)
    jacobian = np.stack(
        [across * x, across * y, across, down * x, down * y, down, values, ones], -1
    )  # fmt: skip
    turned = jacobian.transpose(0, 2, 1)
    normal = turned @ jacobian
    diagonal = np.einsum("nii->ni", normal)
    normal = normal + np.eye(8, dtype=np.float32) * (_RIDGE * diagonal + 1)[:, None]
    inverse = np.linalg.inv(normal.astype(np.float64))[:, :6].astype(np.float32)
    return values, inverse @ turned


def _relit(found: Values, wanted: Values, inside: NDArray[np.bool_]) -> Values:
    """``found`` with the mean and spread that ``wanted`` has over the points inside."""
    count = np.maximum(inside.sum(1, keepdims=True), 1)
    means, spreads = [], []
    for values in (found, wanted):
        mean = (values * inside).sum(1, keepdims=True) / count
        means.append(mean)
        spreads.append(np.sqrt((((values - mean) * inside) ** 2).sum(1, keepdims=True)))
    gain = spreads[1] / np.maximum(spreads[0], _TINY)
    relit: Values = ((found - means[0]) * gain + means[1]).astype(np.float32)
    return relit


def _composed(maps: Values, change: Values) -> Values:
    """Each map after the inverse of a small change of the copy's coordinates."""
    inverse = np.linalg.inv(np.eye(2, dtype=np.float32) + change[:, :, :2])
    matrix = maps[:, :, :2] @ inverse
    offset = maps[:, :, 2:] - matrix @ change[:, :, 2:]
    return np.concatenate([matrix, offset], 2)


def _plausible(maps: Values) -> NDArray[np.bool_]:
    """Whether a map enlarges and stretches no more than making copies does, (n,)."""
    axes = np.linalg.svd(maps[:, :, :2], compute_uv=False)
    scale = np.sqrt(axes.prod(1)) / 0.5
    low, high = settings.SCALE_RANGE
    stretch = axes[:, 0] / np.maximum(axes[:, 1], _TINY)
    plausible: NDArray[np.bool_] = (
        (scale >= low) & (scale <= high) & (stretch <= settings.LARGEST_STRETCH)
    )
    return plausible


def _correlation(first: Values, second: Values, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    count = np.maximum(inside.sum(1, keepdims=True), 1)
    a, b = (
        (values - (values * inside).sum(1, keepdims=True) / count) * inside
        for values in (first, second)
    )
    lengths = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    correlation: NDArray[np.float64] = ((a * b).sum(1) / np.maximum(lengths, _TINY)).astype(float)
    return correlation


def _mapped(maps: Values, disc: Values) -> Values:
    """Points of the unit disc in the other pictures, (n, points, 2), in shorter sides."""
    result: Values = disc @ maps[:, :, :2].transpose(0, 2, 1) + maps[:, None, :, 2]
    return result


def _disc(points: int) -> Values:
    """Grid points of the inner part of the unit disc, (about 0.8 * points**2, 2)."""
    axis = (np.arange(points, dtype=np.float32) + 0.5) / points * 2 - 1
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    chosen: Values = grid[(grid**2).sum(1) <= 1] * np.float32(settings.CORE)
    return chosen


def _read(
    pictures: NDArray[np.uint8] | NDArray[np.int8], index: NDArray[np.int64], places: Values
) -> Values:
    """Bilinear values, (n, points), at ``places`` (n, points, 2), shares of the frame from its
    centre; beyond the frame, its edge."""
    size = pictures.shape[1]
    xy = np.clip((places + 0.5) * size - 0.5, 0, size - 1.001)
    whole = xy.astype(np.int32)
    x, y = np.moveaxis(xy - whole, -1, 0)
    corner = index[:, None] * (size * size) + whole[..., 1] * size + whole[..., 0]
    pixels = pictures.reshape(-1)
    top_left, top_right, low_left, low_right = (
        pixels.take(corner + step).astype(np.float32) for step in (0, 1, size, size + 1)
    )
    top = top_left + x * (top_right - top_left)
    low = low_left + x * (low_right - low_left)
    values: Values = top + y * (low - top)
    return values
