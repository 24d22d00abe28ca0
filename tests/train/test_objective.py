"""What makes rare classes count."""

from __future__ import annotations

import numpy as np
import pytest

from train.config import TrainConfig
from train.objective import class_weights, logit_offsets


@pytest.mark.parametrize(
    ("power", "expected"),
    [
        (0.0, [1, 1]),
        (0.5, [0.845299, 1.464102]),  # 1/sqrt(3) and 1, over their mean of (3/sqrt(3) + 1) / 4
        (1.0, [2 / 3, 2]),  # 1/3 and 1, over their mean of (3/3 + 1) / 4
    ],
)
def test_class_weights_are_inverse_frequencies_to_a_power(
    power: float, expected: list[float]
) -> None:
    labels = np.array([0, 1, 0, 0])
    weights = class_weights(labels, 2, power)
    assert weights.tolist() == pytest.approx(expected, rel=1e-5)
    assert weights[labels].mean() == pytest.approx(1.0)
    assert weights.dtype == np.float32


def test_weight_one_gives_every_class_the_same_sum() -> None:
    labels = np.array([0] * 7 + [1] * 2 + [2])
    weights = class_weights(labels, 3, 1.0)
    assert np.bincount(labels, weights[labels]) == pytest.approx([10 / 3] * 3)


def test_class_without_images_has_a_finite_weight() -> None:
    assert np.isfinite(class_weights(np.array([0, 0, 2]), 4, 1.0)).all()


def test_offsets_are_the_logarithms_of_the_frequencies_that_the_network_meets() -> None:
    labels = np.array([0, 0, 0, 1])
    equal, equalising = class_weights(labels, 2, 0.0), class_weights(labels, 2, 1.0)
    natural = TrainConfig(logit_adjustment=1.0)
    offsets = logit_offsets(labels, equal, natural)
    assert offsets.tolist() == pytest.approx(np.log([0.75, 0.25]).tolist())
    half = logit_offsets(labels, equal, TrainConfig(logit_adjustment=0.5))
    assert half.tolist() == pytest.approx((offsets / 2).tolist())
    for offsets in (
        logit_offsets(labels, equalising, natural),
        logit_offsets(labels, equal, TrainConfig(logit_adjustment=1.0, sampling="balanced")),
    ):
        assert offsets[0] == pytest.approx(offsets[1])  # equal already: nothing to undo
