"""Which network a bundle was made of, whatever its run is called and wherever it lies."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


def weights_sha256(model: Any) -> str:
    """SHA-256 of a Keras model's weights with their shapes and types, in their order.

    A network that was trained again in the same way to the bit has the same.
    """
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(f"{weights.shape}{weights.dtype}".encode())
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()
