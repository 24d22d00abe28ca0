"""Which positives are found at a specificity, and at its neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.gate.band import WIDTH, Band, around, found_share, point

Scores = NDArray[np.float64]


def drawn(positives: int = 40, negatives: int = 200, seed: int = 0) -> tuple[Scores, NDArray]:
    rng = np.random.default_rng(seed)
    positive = np.arange(positives + negatives) < positives
    return rng.normal(size=len(positive)) + 1.5 * positive, positive


def by_hand(scores: Scores, positive: NDArray, band: Band) -> Scores:
    """Call the highest negatives one by one; find what lies above the next."""
    negatives = np.sort(scores[~positive])[::-1]
    finding = []
    for called in range(band.fewest, band.most + 1):
        limit = negatives[called] if called < len(negatives) else -np.inf
        finding.append(scores[positive] > limit)
    return np.mean(finding, axis=0)


@pytest.mark.parametrize(("fewest", "most"), [(0, 0), (7, 7), (3, 30), (0, 200), (200, 200)])
@pytest.mark.parametrize("digits", [15, 0])
def test_share_is_that_of_reading_every_specificity(fewest: int, most: int, digits: int) -> None:
    band = Band(fewest, most)
    scores, positive = drawn()
    scores = np.round(scores, digits)  # with ties
    assert found_share(scores, positive, band) == pytest.approx(by_hand(scores, positive, band))


@pytest.mark.parametrize("found", [0, 1, 40])
def test_band_without_a_positive_to_spare_on_one_side_is_a_point(found: int) -> None:
    scores, positive = drawn()
    ordered = np.r_[np.inf, np.sort(scores[positive])[::-1]]
    assert around(scores, positive, ordered[found]) == point(scores, positive, ordered[found])


def test_point_is_the_number_of_negatives_called_at_the_threshold() -> None:
    scores, positive = drawn()
    called = int((scores[~positive] >= 0.5).sum())
    assert 0 < called < 200
    assert point(scores, positive, 0.5) == Band(called, called)


def test_band_reaches_as_many_positives_up_as_down() -> None:
    scores, positive = drawn(positives=100, negatives=2000)
    threshold = float(np.sort(scores[positive])[10])  # finds 90 of 100
    band = around(scores, positive, threshold)
    lowest, highest = (np.sort(scores[positive])[10 + reach] for reach in (-5, 5))
    assert round(WIDTH * 100) == 5
    assert band.fewest == (scores[~positive] >= highest).sum()
    assert band.most == (scores[~positive] >= lowest).sum()
    only = point(scores, positive, threshold).fewest
    assert band.fewest < only < band.most


def test_band_is_narrower_where_few_positives_are_left_below() -> None:
    scores, positive = drawn(positives=100, negatives=2000)
    ordered = np.sort(scores[positive])
    band = around(scores, positive, float(ordered[2]))  # finds 98 of 100
    assert band.most == (scores[~positive] >= ordered[0]).sum()
    assert band.fewest == (scores[~positive] >= ordered[4]).sum()


def test_few_positives_give_a_band_over_one_of_them() -> None:
    scores, positive = drawn(positives=8, negatives=500)
    ordered = np.sort(scores[positive])
    band = around(scores, positive, float(ordered[2]))
    assert band.fewest == (scores[~positive] >= ordered[3]).sum()
    assert band.most == (scores[~positive] >= ordered[1]).sum()


@pytest.mark.parametrize("threshold", [-100.0, 100.0])
def test_reference_that_finds_all_or_none_is_read_at_one_point(threshold: float) -> None:
    scores, positive = drawn()
    called = 200 if threshold < 0 else 0
    assert around(scores, positive, threshold) == Band(called, called)
