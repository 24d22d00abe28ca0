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
_LEAST_SPREAD, _LEAST_GRADIENT = 0.01, 0.002

_LOG = np.log(np.arange(1, 257, dtype=np.float32))  # of a byte plus one


def features(square: Square) -> NDArray[np.float32]:
    """The description of a photograph, float32 of shape (`FEATURES`,)."""
    logs = _LOG[square.channels]
    planes = np.empty((_PLANES, SIDE, SIDE), np.float32)
    planes[0] = square.luma / np.float32(255)
    planes[1] = logs[0] - logs[1]
    planes[2] = logs[1] - logs[2]
    flat = planes.reshape(_PLANES, -1)
    order, starts, counts = _rings()
    ringed = flat[:, order]
    means = np.add.reduceat(ringed, starts, axis=1) / counts
    squares = np.add.reduceat(ringed * ringed, starts, axis=1) / counts
    spreads = np.sqrt(np.maximum(squares - means * means, 0))
    parts = [means.ravel().astype(np.float32), _log(spreads.ravel(), _LEAST_SPREAD)]
    parts.append(_together(flat))
    level = planes
    for scale in range(_SCALES):
        if scale:
            level = halved(level)
        parts.append(_gradients(level))
    coarse = halved(level)  # 8 x 8
    parts.append(_log(halved(coarse).std(axis=(1, 2)), _LEAST_SPREAD))
    light = coarse[0]
    turned = np.array([np.abs(light - light[::-1]).mean(), np.abs(light - light[:, ::-1]).mean()])
    parts.append(_log(turned, _LEAST_SPREAD))
    return np.concatenate(parts).astype(np.float32)


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


def _gradients(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of every plane: how steep, how directed, and how sparse its edges are."""
    across = np.abs(planes[:, :, 1:] - planes[:, :, :-1]).reshape(_PLANES, -1)
    down = np.abs(planes[:, 1:] - planes[:, :-1]).reshape(_PLANES, -1)
    mean_across, mean_down = across.mean(axis=1), down.mean(axis=1)
    both = mean_across + mean_down
    power = np.einsum("ij,ij->i", across, across) + np.einsum("ij,ij->i", down, down)
    root = np.sqrt(power / across.shape[1])
    return np.concatenate([
        _log(both, _LEAST_GRADIENT),
        (mean_across - mean_down) / (both + _LEAST_GRADIENT),
        _log(root, _LEAST_GRADIENT) - _log(both, _LEAST_GRADIENT),
    ])  # fmt: skip


def _together(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlations of the planes, drawn to 0 where a plane hardly varies."""
    means = flat.mean(axis=1)
    shared = np.einsum("ij,kj->ik", flat, flat) / flat.shape[1] - np.outer(means, means)
    spread = np.sqrt(np.maximum(np.diag(shared), 0)) + _LEAST_SPREAD
    correlation = shared / np.outer(spread, spread)
    chosen: NDArray[np.float32] = correlation[np.triu_indices(_PLANES, 1)]
    return chosen


def _log(values: NDArray[np.floating], least: float) -> NDArray[np.float32]:
    logs: NDArray[np.float32] = np.log(values + least).astype(np.float32)
    return logs


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
