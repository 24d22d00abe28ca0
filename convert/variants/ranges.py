"""Which values of an activation its 256 steps have to reach.

The smallest and the largest value that were seen are the range that clips nothing, and a rare value
far out makes the steps coarse for all others. The range with the least mean square error, of
clipping and of rounding together, is the usual compromise: Nagel et al., A White Paper on Neural
Network Quantization (arXiv:2106.08295, 2021), section 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEPS = 255
_SHARES = np.linspace(0.3, 1.0, 36)
_ROUNDS = 2


def least_error_range(values: NDArray[np.float32], low: float, high: float) -> tuple[float, float]:
    """The part of ``low`` to ``high`` that 8 bits hold with the least error.

    Args:
        values: of an activation, any shape.
        low, high: the smallest and the largest that were ever seen.

    Returns:
        the ends of a range that lies in that one, and holds 0, which has to be exact.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    given = values.astype(np.float64).ravel()
    best = (_error(given, low, high), low, high)
    for _ in range(_ROUNDS):  # one end after the other
        for share in _SHARES:
            best = min(best, (_error(given, low * share, best[2]), low * share, best[2]))
        for share in _SHARES:
            best = min(best, (_error(given, best[1], high * share), best[1], high * share))
    return best[1], best[2]


def _error(values: NDArray[np.float64], low: float, high: float) -> float:
    step = (high - low) / _STEPS
    if step <= 0:
        return np.inf
    zero = np.round(-low / step)
    held = np.clip(np.round(values / step) + zero, 0, _STEPS)
    return float(np.square((held - zero) * step - values).mean())
