"""The bounds on losses, against published values, brute force and simulation."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.gate import statistics
from convert.gate.statistics import Discordance, Loss, auc_loss, discordance, tango

Z = 1.6448536269514722  # 95% of a standard normal distribution lies below


def scores(
    lesions: int = 60, views: int = 1, noise: float = 0.3, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.str_]]:
    """Scores of two models, the truth, and the lesions; photographs of a lesion vary a little."""
    rng = np.random.default_rng(seed)
    lesion = np.repeat(np.arange(lesions), views)
    positive = lesion % 3 == 0
    common = 1.2 * positive + rng.normal(size=lesions)[lesion] + 0.3 * rng.normal(size=len(lesion))
    other = common + noise * rng.normal(size=len(lesion))
    return common, other, positive, lesion.astype(str)


def width(loss: Loss) -> float:
    return loss.high - loss.low


# Loss of AUC


@pytest.mark.parametrize("seed", range(5))
def test_auc_loss_is_the_difference_of_scikit_learns_areas(seed: int) -> None:
    from sklearn.metrics import roc_auc_score

    reference, variant, positive, groups = scores(seed=seed, views=2)
    variant = np.round(variant)  # with ties
    expected = roc_auc_score(positive, reference) - roc_auc_score(positive, variant)
    found = auc_loss(reference, variant, positive, groups)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.low < found.value < found.high


def placements(
    values: NDArray[np.float64], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DeLong's components, pair by pair."""
    wins = np.array(
        [
            [1.0 if high > low else 0.5 if high == low else 0.0 for low in values[~positive]]
            for high in values[positive]
        ]
    )
    return wins.mean(axis=1), wins.mean(axis=0)


@pytest.mark.parametrize("digits", [15, 0])
def test_variance_of_single_photographs_is_delongs(digits: int) -> None:
    reference, variant, positive, groups = scores(seed=3)
    reference, variant = np.round(reference, digits), np.round(variant, digits)
    ours, theirs = placements(reference, positive), placements(variant, positive)
    variance = sum(
        np.var(one - other, ddof=1) / len(one) for one, other in zip(ours, theirs, strict=True)
    )
    found = auc_loss(reference, variant, positive, groups)
    assert width(found) == pytest.approx(2 * Z * math.sqrt(variance), rel=1e-9)
    assert found.high - found.value == pytest.approx(found.value - found.low)


def test_photographs_of_one_lesion_do_not_narrow_the_interval_of_the_auc() -> None:
    reference, variant, positive, groups = scores()
    once = auc_loss(reference, variant, positive, groups)
    rows = np.repeat(np.arange(len(groups)), 9)
    again = auc_loss(reference[rows], variant[rows], positive[rows], groups[rows])
    assert again.value == pytest.approx(once.value)
    assert width(again) == pytest.approx(width(once))
    alone = auc_loss(reference[rows], variant[rows], positive[rows], rows_as_lesions(len(rows)))
    assert width(alone) == pytest.approx(width(once) / 3, rel=0.02)


def rows_as_lesions(count: int) -> NDArray[np.str_]:
    return np.arange(count).astype(str)


def test_bounds_of_clustered_scores_hold_as_often_as_they_say() -> None:
    # Two models of the same quality on lesions seen four times: their true loss is none.
    below, above, ignorant, rounds = 0, 0, 0, 400
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        lesion = np.repeat(np.arange(50), 4)
        positive = lesion % 2 == 0
        first, second = (1.0 * positive + rng.normal(size=50)[lesion] for _ in range(2))
        found = auc_loss(first, second, positive, lesion.astype(str))
        below += found.high < 0
        above += found.low > 0
        ignorant += auc_loss(first, second, positive, rows_as_lesions(200)).high < 0
    assert below / rounds == pytest.approx(0.05, abs=0.03)
    assert above / rounds == pytest.approx(0.05, abs=0.03)
    assert ignorant / rounds > 0.12  # what a bound by photographs would do


def test_lesion_with_photographs_of_both_kinds_is_allowed_for() -> None:
    # Perfect correlation between a lesion's positive and negative photograph.
    rng = np.random.default_rng(0)
    lesion = np.repeat(np.arange(40), 2)
    positive = np.arange(80) % 2 == 0
    shift = rng.normal(size=40)[lesion]
    reference = positive + rng.normal(size=80)
    together = auc_loss(reference, reference + shift, positive, lesion.astype(str))
    apart = auc_loss(reference, reference + shift, positive, rows_as_lesions(80))
    assert width(together) < 0.9 * width(apart)


def test_variance_of_lesions_with_photographs_of_both_kinds_is_obuchowskis() -> None:
    """Section 3 of the paper, summed lesion by lesion; few lesions, so that every factor shows."""
    rng = np.random.default_rng(7)
    lesion, positive = np.repeat(np.arange(6), 2), np.arange(12) % 2 == 0
    reference = positive + rng.normal(size=12)
    variant = reference + rng.normal(size=6)[lesion]
    kept, lost = placements(reference, positive), placements(variant, positive)
    apart = kept[0] - lost[0], kept[1] - lost[1]  # one of either kind a lesion
    value = apart[0].mean()
    sums = apart[0] - value, apart[1] - value
    both = [6 / 5 * (one * other).sum() / 36 for one in sums for other in sums]
    expected = Z * math.sqrt(sum(both))
    found = auc_loss(reference, variant, positive, lesion.astype(str))
    assert found.high - found.value == pytest.approx(expected)


def test_identical_scores_lose_nothing_for_certain() -> None:
    reference, _, positive, groups = scores(views=2)
    assert auc_loss(reference, reference, positive, groups) == Loss(0.0, 0.0, 0.0)
    assert auc_loss(reference, 2 * reference + 1, positive, groups) == Loss(0.0, 0.0, 0.0)


def test_exchanged_models_have_the_opposite_loss() -> None:
    reference, variant, positive, groups = scores()
    one, other = (
        auc_loss(reference, variant, positive, groups),
        auc_loss(variant, reference, positive, groups),
    )
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


# Tango's interval


@pytest.fixture
def two_sided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of 97.5% each, for comparison with published 95% intervals."""
    monkeypatch.setattr(statistics, "CONFIDENCE", 0.975)


@pytest.mark.usefixtures("two_sided")
@pytest.mark.parametrize(
    ("lost", "gained", "pairs", "published"),
    [
        # Fagerland, Lydersen, Laake: Statistical Analysis of Contingency Tables, 2017, chapter 8:
        (6, 16, 161, (-0.0621, -0.1240, -0.0054)),  # complete response, Cavo et al. 2012
        (1, 7, 21, (-0.286, -0.517, -0.026)),  # airway hyper-responsiveness, Bentur et al. 2009
    ],
)
def test_tangos_interval_is_the_published_one(
    lost: int, gained: int, pairs: int, published: tuple[float, float, float]
) -> None:
    found = tango(lost, gained, pairs)
    digits = 4 if pairs == 161 else 3
    assert tuple(round(x, digits) for x in (found.value, found.low, found.high)) == published


def score_test(lost: float, gained: float, pairs: float, difference: float) -> float:
    """The score statistic, its nuisance share found by maximising the likelihood on a grid."""
    shares = np.linspace(max(0.0, -difference), (1 - difference) / 2, 200_001)  # of "gained"
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = (
            (gained, np.log(shares)),
            (lost, np.log(shares + difference)),
            (pairs - lost - gained, np.log(1 - 2 * shares - difference)),
        )
        likelihood = sum(np.where(count > 0, count * logs, 0.0) for count, logs in terms)
    share = shares[np.nanargmax(likelihood)]
    variance = pairs * (2 * share + difference - difference**2)
    return float((lost - gained - pairs * difference) / math.sqrt(variance))


@pytest.mark.parametrize(
    ("lost", "gained", "pairs"),
    [(43, 17, 120), (3, 1, 40), (1, 0, 44), (0, 1, 44), (0, 5, 30), (2.5, 1.25, 33)],
)
def test_tangos_bounds_are_where_the_score_test_just_does_not_reject(
    lost: float, gained: float, pairs: float
) -> None:
    found = tango(lost, gained, pairs)
    assert found.value == pytest.approx((lost - gained) / pairs)
    assert score_test(lost, gained, pairs, found.high) == pytest.approx(-Z, abs=2e-3)
    assert score_test(lost, gained, pairs, found.low) == pytest.approx(Z, abs=2e-3)


@pytest.mark.parametrize("pairs", [1, 12, 44, 300])
def test_agreement_on_everything_leaves_the_doubt_of_few_pairs(pairs: int) -> None:
    bound = Z**2 / (pairs + Z**2)
    assert tango(0, 0, pairs) == Loss(0.0, pytest.approx(-bound), pytest.approx(bound))


def test_losing_everything_is_bounded_by_one() -> None:
    found = tango(20, 0, 20)
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.7 < found.low < 1
    assert tango(0, 20, 20) == Loss(-1.0, -1.0, pytest.approx(-found.low))


def test_more_lost_pairs_are_never_a_smaller_loss() -> None:
    for gained in (0, 2, 10):
        found = [tango(lost, gained, 60) for lost in range(50)]
        for end in ("value", "low", "high"):
            values = [getattr(one, end) for one in found]
            assert values == sorted(values)
            assert len(set(values)) == len(values)


def test_more_pairs_narrow_the_interval() -> None:
    widths = [width(tango(0.02 * n, 0.01 * n, n)) for n in (50, 100, 400, 1600)]
    assert widths == sorted(widths, reverse=True)
    assert widths[2] / widths[3] == pytest.approx(2, rel=0.1)  # by the square root, in the end


@pytest.mark.parametrize(
    ("pairs", "lost", "gained"), [(60, 0.05, 0.05), (100, 0.08, 0.02), (100, 0.03, 0.0)]
)
def test_bounds_of_sensitivity_hold_as_often_as_they_say(
    pairs: int, lost: float, gained: float
) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(pairs, [lost, gained, 1 - lost - gained], 3000)
    tables, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    bounds = [tango(*table, pairs) for table in tables.tolist()]
    above = sum(n for one, n in zip(bounds, counts, strict=True) if one.high >= lost - gained)
    below = sum(n for one, n in zip(bounds, counts, strict=True) if one.low <= lost - gained)
    assert 0.92 < above / 3000 < 0.985
    assert 0.92 < below / 3000 <= 1.0


# Disagreement on the positives, by lesion


def found(*marks: str) -> NDArray[np.float64]:
    return np.array([float(mark == "x") for mark in "".join(marks)])


def test_lesion_counts_once_however_often_it_was_photographed() -> None:
    groups = np.array(["a", "a", "a", "a", "b", "c"])
    #                      a       b    c
    reference = found("xxxx", "x", ".")
    variant = found("x...", "x", "x")
    counted = discordance(reference, variant, groups)
    assert (counted.lost, counted.gained) == pytest.approx((0.75 / 3, 1 / 3))
    assert counted.loss() == tango(0.25 * counted.pairs, counted.pairs / 3, counted.pairs)
    assert counted.loss().value == pytest.approx(-1 / 12)


def test_positives_that_are_found_in_part_count_in_part() -> None:
    counted = discordance(np.array([0.75, 0.5]), np.array([0.25, 1.0]), np.array(["a", "b"]))
    assert (counted.lost, counted.gained, counted.pairs) == pytest.approx((0.25, 0.25, 2))


def test_photographs_that_answer_alike_do_not_narrow_the_interval_of_sensitivity() -> None:
    rng = np.random.default_rng(0)
    reference, variant = found_at_random(rng, 0.9, 50), found_at_random(rng, 0.8, 50)
    once = discordance(reference, variant, rows_as_lesions(50)).loss()
    rows = np.repeat(np.arange(50), 7)
    again = discordance(reference[rows], variant[rows], rows_as_lesions(50)[rows]).loss()
    assert astuple(again) == pytest.approx(astuple(once))
    alone = discordance(reference[rows], variant[rows], rows_as_lesions(350)).loss()
    assert width(alone) < 0.5 * width(once)


def found_at_random(rng: np.random.Generator, share: float, count: int) -> NDArray[np.float64]:
    return (rng.random(count) < share).astype(np.float64)


def pairs_of(differences: NDArray[np.float64], groups: NDArray[np.str_]) -> float:
    return discordance(differences.clip(min=0), (-differences).clip(min=0), groups).pairs


def test_effective_pairs_lie_between_lesions_and_what_independent_photographs_are_worth() -> None:
    rng = np.random.default_rng(0)
    lesion = np.repeat(np.arange(400), np.tile([1, 2, 2, 3], 100))
    groups = lesion.astype(str)
    most = 400**2 / sum(1 / size for size in np.tile([1, 2, 2, 3], 100))
    one_by_one = rng.choice([-1.0, 0.0, 1.0], p=[0.05, 0.9, 0.05], size=len(lesion))
    assert 0.9 * most < pairs_of(one_by_one, groups) <= most
    together = one_by_one[np.unique(lesion, return_index=True)[1]][lesion]
    assert pairs_of(together, groups) == pytest.approx(400)
    half = np.where(rng.random(len(lesion)) < 0.5, together, one_by_one)
    assert 410 < pairs_of(half, groups) < 0.97 * most


def test_effective_pairs_give_the_variance_that_lesions_show() -> None:
    # Half of a difference is the lesion's, so the correlation of two photographs is 1/2.
    rng = np.random.default_rng(1)
    lesion = np.repeat(np.arange(60), np.tile([1, 2, 4], 20))
    sizes = np.bincount(lesion)

    def drawn() -> NDArray[np.float64]:
        kept = rng.random(len(lesion)) < 1 / np.sqrt(2)
        signs = rng.choice([-1.0, 1.0], size=60)[lesion]
        return np.where(kept, signs, rng.choice([-1.0, 1.0], size=len(lesion)))

    rounds = [drawn() for _ in range(2000)]
    means = [float((np.bincount(lesion, each) / sizes).mean()) for each in rounds]
    told = np.mean([pairs_of(each, lesion.astype(str)) for each in rounds])
    assert 1 / np.var(means) == pytest.approx(told, rel=0.06)


def test_without_a_disagreement_every_lesion_is_one_pair() -> None:
    groups = np.repeat(np.arange(30), 3).astype(str)
    assert pairs_of(np.zeros(90), groups) == pytest.approx(30)


def test_few_disagreements_say_little_of_independence() -> None:
    # Two photographs each, one of which disagrees, in ever more of 100 lesions.
    pairs = []
    for disagreeing in (1, 3, 10, 50):
        differences = np.zeros(200)
        differences[: 2 * disagreeing : 2] = np.tile([1.0, -1.0], 25)[:disagreeing]
        pairs.append(pairs_of(differences, np.repeat(np.arange(100), 2).astype(str)))
    assert pairs == sorted(pairs)
    assert pairs[0] == pytest.approx(100 / 0.75)  # correlation 1/2 assumed
    assert 195 < pairs[-1] <= 200


def test_photographs_that_disagree_against_each_other_are_no_less_than_independent() -> None:
    differences = np.array([1.0, -1.0, 1.0, -1.0])
    found = pairs_of(differences, np.array(["a", "a", "b", "b"]))
    assert found == pytest.approx(4 / (1 + 1 / 5))  # correlation 0 of 4 pairs, and the doubt's 1


def test_other_pairs_have_the_same_shares() -> None:
    one = Discordance(0.1, 0.05, 100)
    assert one.loss(400) == tango(40, 20, 400)
    assert one.at_most(60) == Discordance(0.1, 0.05, 60)
    assert one.at_most(200) == one
