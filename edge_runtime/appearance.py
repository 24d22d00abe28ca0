"""How a photograph looks, in 59 numbers, and how far that is from what a model was trained on.

A model that was shown lesions only answers anything with the name of a lesion, and often with great
confidence. What gives a page of text or a face away is not the answer but the picture: its colours
by distance from the middle, how fine, how jagged and how directed its structure is, and how its
colours go together. The distance is Mahalanobis' (1936), with the mean and the covariance of the
training images: the length of a whitened vector, so two numbers are no more than they say together.

Three planes are described: luma, and the logarithms of red over green and of green over blue, which
a change of exposure leaves alone.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import IntegrityError
from edge_runtime.square import RING_EDGES, SIDE, Square, halved, radius

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "appearance_1"
"""Of these features: a bundle fitted on others is refused."""

_SCALES = 3  # gradients are taken at full, half and quarter size
_PLANES = 3
_RINGS = len(RING_EDGES) + 1
FEATURES = _PLANES * (2 * _RINGS + 1 + 3 * _SCALES) + 3 + 2

# Below these the logarithm of a spread or of a gradient tells noise from noise.
_LEAST_SPREAD, _LEAST_GRADIENT = np.float32(0.01), np.float32(0.002)

_PAIRS = np.array([0, 0, 1]), np.array([1, 2, 2])  # of planes


def features(square: Square) -> NDArray[np.float32]:
    """The description of a photograph, float32 of shape (`FEATURES`,)."""
    planes = np.empty((_PLANES, SIDE, SIDE), np.float32)
    np.divide(square.luma, np.float32(255), out=planes[0])
    logs = np.log(square.channels + np.float32(1))
    np.subtract(logs[:2], logs[1:], out=planes[1:])

    flat = planes.reshape(_PLANES, -1)
    order, starts, counts = _rings()
    ringed = flat.take(order, axis=1)
    sums = np.add.reduceat(ringed, starts, axis=1)
    squares = np.add.reduceat(ringed * ringed, starts, axis=1)
    steep, power = np.empty((2, _SCALES, 2, _PLANES), np.float32)
    level = planes
    for scale in range(_SCALES):
        steep[scale], power[scale] = _gradients(level)
        level = halved(level)
    tiny = halved(level).reshape(_PLANES, -1)  # 4 x 4
    spreads = np.concatenate([
        _spread(sums / counts, squares / counts).ravel(),
        _spread(tiny.sum(axis=1) / tiny.shape[1], (tiny * tiny).sum(axis=1) / tiny.shape[1]),
        _turned(level[0]),
    ])  # fmt: skip
    both = steep.sum(axis=1)
    logs_of_both = np.log(both + _LEAST_GRADIENT)
    return np.concatenate([
        (sums / counts).ravel(),
        np.log(spreads + _LEAST_SPREAD),
        _together(flat, sums.sum(axis=1), squares.sum(axis=1)),
        logs_of_both.ravel(),
        ((steep[:, 0] - steep[:, 1]) / (both + _LEAST_GRADIENT)).ravel(),
        (np.log(np.sqrt(power.sum(axis=1)) + _LEAST_GRADIENT) - logs_of_both).ravel(),
    ]).astype(np.float32)  # fmt: skip


def distance(description: NDArray[np.float32], familiar: NDArray[np.float32]) -> float:
    """How far a description lies from the training images, 1 being their root mean square.

    Args:
        description: from `features`.
        familiar: from `read_familiar`.
    """
    whitened = (description - familiar[0]) @ familiar[1:]
    return float(np.sqrt((whitened * whitened).mean()))


def read_familiar(content: bytes, name: str) -> NDArray[np.float32]:
    """What the training images look like: the content of a bundle's file, checked.

    Returns:
        float32 of shape (FEATURES + 1, FEATURES): their mean, then the whitening matrix.

    Raises:
        IntegrityError: it is something else.
    """
    try:
        array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise IntegrityError(
            f"{name} of the bundle is no NumPy array ({error}); convert the run again."
        ) from None
    expected = (FEATURES + 1, FEATURES)
    if not isinstance(array, np.ndarray) or array.shape != expected or array.dtype != np.float32:
        raise IntegrityError(
            f"{name} of the bundle is not a float32 array of shape {expected}; convert the run "
            "again."
        )
    if not np.isfinite(array).all():
        raise IntegrityError(
            f"{name} of the bundle holds a number that is not finite; convert the run again."
        )
    return array


def _gradients(planes: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and mean square of the steps across and down, each of shape (2, `_PLANES`)."""
    side = planes.shape[1]
    count = side * (side - 1)
    steps = np.empty((2, _PLANES, count), np.float32)
    np.subtract(planes[:, :, 1:], planes[:, :, :-1], out=steps[0].reshape(_PLANES, side, side - 1))
    np.subtract(planes[:, 1:], planes[:, :-1], out=steps[1].reshape(_PLANES, side - 1, side))
    power = np.einsum("kij,kij->ki", steps, steps)
    np.abs(steps, out=steps)
    return steps.sum(axis=2) / count, power / count


def _together(
    flat: NDArray[np.float32], sums: NDArray[np.floating], squares: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Correlations of the planes, drawn to 0 where a plane hardly varies."""
    count = flat.shape[1]
    means = sums / count
    spreads = _spread(means, squares / count) + _LEAST_SPREAD
    first, second = _PAIRS
    products = np.array([flat[0] @ flat[1], flat[0] @ flat[2], flat[1] @ flat[2]])
    shared = products / count - means[first] * means[second]
    correlation: NDArray[np.floating] = shared / (spreads[first] * spreads[second])
    return correlation


def _turned(light: NDArray[np.float32]) -> NDArray[np.floating]:
    """How far a plane is from its mirror images: upside down, and left to right."""
    across = np.abs(light - light[::-1]).sum()
    return np.array([across, np.abs(light - light[:, ::-1]).sum()], np.float32) / light.size


def _spread(means: NDArray[np.floating], squares: NDArray[np.floating]) -> NDArray[np.floating]:
    """Standard deviations, from means and mean squares."""
    spreads: NDArray[np.floating] = np.sqrt(np.maximum(squares - means * means, 0))
    return spreads


@functools.cache
def _rings() -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The pixels ring by ring, where each ring begins among them, and how many each has.

    Sums and not a product with a matrix of weights: a BLAS library would wake its threads for one
    of this size, which on a busy machine takes longer than all else here.
    """
    ring = np.digitize(radius().ravel(), RING_EDGES)
    counts = np.bincount(ring, minlength=_RINGS)
    starts = np.concatenate([[0], counts[:-1].cumsum()])
    return np.argsort(ring, kind="stable"), starts, counts.astype(np.float32)
