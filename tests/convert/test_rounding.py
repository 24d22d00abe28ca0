"""Weights go up or down, whichever loses less; ranges clip what would cost all others."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.variants.ranges import least_error_range
from convert.variants.rounding import LARGEST, MOST_INPUTS, Moments, rounded

Floats = NDArray[np.float32]


def alike(groups: int, inputs: int, samples: int = 2000) -> Floats:
    """Inputs that are much alike, as neighbouring pixels are."""
    rng = np.random.default_rng(0)
    shared = rng.normal(2, 1, (groups, samples, 1))
    return (shared + 0.2 * rng.normal(size=(groups, samples, inputs))).astype(np.float32)


def filters(count: int, inputs: int) -> Floats:
    return np.random.default_rng(1).normal(size=(count, inputs)).astype(np.float32)


def moments_of(patches: Floats) -> Moments:
    moments = Moments(patches.shape[0], patches.shape[2])
    for half in np.array_split(patches, 2, axis=1):
        moments.add(half)
    return moments


def nearest(weights: Floats) -> Floats:
    scale = np.abs(weights).max(axis=1, keepdims=True) / LARGEST
    return np.asarray(np.round(weights / scale) * scale, np.float32)


def outputs(weights: Floats, patches: Floats) -> Floats:
    """Of shape (filters, samples)."""
    return np.asarray(np.einsum("oi,gsi->os" if len(patches) == 1 else "gi,gsi->gs",
                                weights, patches))  # fmt: skip


@pytest.mark.parametrize("groups", [1, 12])
def test_rounding_loses_less_than_the_nearest_integers(groups: int) -> None:
    weights, patches = filters(12, 9), alike(groups, 9)
    expected = outputs(weights, patches)
    found = rounded(weights, moments_of(patches))
    errors = outputs(found.filters, patches) + found.shift[:, None] - expected
    usual = outputs(nearest(weights), patches) - expected
    assert np.abs(errors.mean(axis=1)).max() < 1e-3 * np.abs(usual.mean(axis=1)).max()
    assert np.square(errors).mean() < 0.1 * np.square(usual).mean()
    assert np.square(errors).mean() == pytest.approx(found.error, rel=0.15)


def test_rounded_filters_are_integers_next_to_the_exact_ones_times_the_same_scale() -> None:
    weights = filters(12, 9)
    weights[3] = 0
    found = rounded(weights, moments_of(alike(1, 9))).filters
    scale = np.abs(weights).max(axis=1, keepdims=True) / LARGEST
    np.testing.assert_allclose(np.abs(found).max(axis=1), np.abs(weights).max(axis=1), rtol=1e-6)
    assert not found[3].any()
    scale[3] = 1
    integers = found / scale
    np.testing.assert_allclose(integers, np.round(integers), atol=1e-3)
    assert np.abs(integers - weights / scale).max() < 1
    assert (np.abs(integers - weights / scale) > 0.5).any()


def test_filters_that_8_bits_hold_exactly_stay() -> None:
    weights = np.array([[127, -3, 50], [2, 4, -127]], np.float32) / 64
    found = rounded(weights, moments_of(alike(1, 3)))
    np.testing.assert_array_equal(found.filters, weights)
    assert not found.shift.any()
    assert found.error == 0


def test_filters_of_many_weights_are_rounded_to_the_nearest_and_lose_their_mean_error() -> None:
    weights, patches = filters(2, MOST_INPUTS + 1), alike(1, MOST_INPUTS + 1, samples=20)
    found = rounded(weights, moments_of(patches))
    np.testing.assert_allclose(found.filters, nearest(weights), rtol=1e-5)
    errors = outputs(found.filters, patches) - outputs(weights, patches)
    np.testing.assert_allclose(found.shift, -errors.mean(axis=1), atol=1e-3)


def test_input_that_never_changes_does_no_harm() -> None:
    found = rounded(filters(4, 9), moments_of(np.ones((1, 50, 9), np.float32)))
    assert np.isfinite(found.filters).all()
    assert found.error == pytest.approx(0, abs=1e-9)


def held(values: Floats, low: float, high: float) -> float:
    """Mean square error of 256 steps."""
    step = (high - low) / 255
    zero = round(-low / step)
    steps = np.clip(np.round(values / step) + zero, 0, 255)
    return float(np.square((steps - zero) * step - values).mean())


def test_rare_value_far_out_is_clipped() -> None:
    values = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    values[:2] = -40, 60
    low, high = least_error_range(values[2:], -40, 60)
    assert (low, high) == pytest.approx((-12, 18))  # the least share that is tried
    assert held(values[2:], low, high) < 0.2 * held(values[2:], -40, 60)


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-3.0, 5.0), (1.0, 2.0), (-2.0, -1.0)])
def test_values_that_fill_their_range_keep_it(low: float, high: float) -> None:
    values = np.linspace(low, high, 10_000, dtype=np.float32)
    assert least_error_range(values, low, high) == pytest.approx(
        (min(low, 0), max(high, 0)), abs=0.1
    )
