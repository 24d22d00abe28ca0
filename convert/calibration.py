"""Which training images tell the quantizer what values to expect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import LeakError
from train.run import SplitRow

DEFAULT_IMAGES = 100


def calibration_rows(rows: Sequence[SplitRow], count: int, seed: int) -> NDArray[np.int64]:
    """Rows of ``count`` training images, the classes in equal parts as far as they go.

    Every class has a say in the ranges of the activations, the rare ones too. Images are drawn
    without replacement; a class that runs out leaves its share to the others.

    Args:
        rows: the run's images, with their splits.
        count: how many to draw; all training images where there are fewer.
        seed: of the draw.

    Returns:
        sorted indices into ``rows``.

    Raises:
        LeakError: a drawn image is also in validation or test.
    """
    rng = np.random.default_rng(seed)
    by_class: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if row.split == "train":
            by_class.setdefault(row.label, []).append(index)
    queues = [rng.permutation(by_class[label]).tolist() for label in sorted(by_class)]
    drawn: list[int] = []
    while len(drawn) < count and any(queues):
        for queue in queues:
            if queue and len(drawn) < count:
                drawn.append(queue.pop())
    held_out = {row.sha256 for row in rows if row.split != "train"}
    leaked = [rows[index].image_id for index in drawn if rows[index].sha256 in held_out]
    if leaked:
        raise LeakError(
            f"The calibration image {leaked[0]} is also in validation or test ({len(leaked)} are); "
            "train again on a split without copies."
        )
    return np.array(sorted(drawn), np.int64)
