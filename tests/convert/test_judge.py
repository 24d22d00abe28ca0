"""The gate: what passes, what fails, what cannot be judged, and how many lesions would tell."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.gate.judge import MOST_LESIONS, Judgement, Margins, Measured, judge
from convert.gate.statistics import Loss
from edge_runtime.errors import GateError
from edge_runtime.manifest import Label
from train.metrics import Predictions, operating_point

LABELS = (Label("mel", "", True), Label("nv", "", False))
USUAL = Margins()


def predictions(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], groups: NDArray[np.str_] | None = None
) -> Predictions:
    groups = np.arange(len(scores)).astype(str) if groups is None else groups
    both = np.stack([scores, 1 - scores], axis=1)
    return Predictions(both, np.where(positive, 0, 1), groups, LABELS, "mel")


def drawn(melanomas: int, *, nevi: int | None = None, seed: int = 0) -> Predictions:
    """A fair classifier's answers (AUC about 0.9)."""
    rng = np.random.default_rng(seed)
    positive = np.arange(melanomas + (nevi or 4 * melanomas)) < melanomas
    logits = rng.normal(size=len(positive)) + 1.8 * positive - 0.9
    return predictions(1 / (1 + np.exp(-logits)), positive)


def disturbed(reference: Predictions, noise: float, seed: int = 1) -> Predictions:
    scores = reference.scores("melanoma")
    logits = np.log(scores / (1 - scores))
    logits = logits + noise * np.random.default_rng(seed).normal(size=len(logits))
    return predictions(1 / (1 + np.exp(-logits)), reference.positive("melanoma"), reference.groups)


def repeated(answers: Predictions, times: int, *, by_lesion: bool) -> Predictions:
    """Every image several times: as photographs of its lesion, or as lesions of their own."""
    again = answers.take(np.tile(np.arange(len(answers.truth)), times))
    copies = np.repeat(np.arange(times), len(answers.truth)).astype(str)
    groups = again.groups if by_lesion else np.char.add(again.groups, np.char.add("-", copies))
    return replace(again, groups=groups)


def lesions_asked_for(judgement: Judgement) -> int:
    told = re.search(r"about (\d+)", judgement.reason)
    assert told, judgement.reason
    return int(told[1])


# The verdicts


def test_identical_answers_pass() -> None:
    reference = drawn(150)
    judgement = judge(reference, reference, 0.5, USUAL)
    assert judgement.verdict == "pass"
    difference = judgement.difference
    assert (difference["melanoma_auc"].value, difference["melanoma_auc"].high) == (0.0, 0.0)
    assert difference["melanoma_sensitivity"].value == 0.0
    assert difference["agreement"].value == 1.0
    assert difference["largest_probability_difference"].value == 0.0
    assert difference["balanced_accuracy"].value == 0.0
    assert difference["ece"].value == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_identical_answers_neither_lose_nor_gain_wherever_the_threshold_lies(seed: int) -> None:
    reference = drawn(60, seed=seed)
    for threshold in np.linspace(0, 1, 41):
        difference = judge(reference, reference, threshold, USUAL, bootstrap=0).difference
        assert difference["melanoma_sensitivity"].value == 0.0


def test_same_order_on_another_scale_passes() -> None:
    # Temperature changes every probability, and no decision at matched specificity.
    reference = drawn(150)
    flat = predictions(0.45 + 0.1 * reference.scores("melanoma"), reference.positive("melanoma"))
    judgement = judge(reference, flat, 0.5, USUAL)
    assert judgement.verdict == "pass"
    assert judgement.difference["largest_probability_difference"].value > 0.3


def test_rounding_as_quantization_does_it_passes() -> None:
    assert judge(drawn(400), disturbed(drawn(400), 0.03), 0.5, USUAL).verdict == "pass"


def test_variant_that_loses_a_twentieth_of_auc_fails() -> None:
    reference = drawn(300)
    judgement = judge(reference, disturbed(reference, 1.0), 0.5, USUAL)
    assert judgement.difference["melanoma_auc"].value > 0.05
    assert judgement.verdict == "fail"
    assert re.match(r"AUC loss 0\.\d{4}, at most 0\.\d{4} \(margin 0\.01\)", judgement.reason)


def test_lost_sensitivity_fails_even_where_the_auc_holds() -> None:
    # 3000 nevi far below; of 100 melanomas, eight sink just below the few nevi above them.
    scores = np.r_[np.full(100, 0.9), np.full(10, 0.5), np.linspace(0, 0.2, 3000)]
    positive = np.arange(len(scores)) < 100
    sunk = scores.copy()
    sunk[:8] = 0.4
    judgement = judge(predictions(scores, positive), predictions(sunk, positive), 0.7, USUAL)
    assert judgement.difference["melanoma_auc"].value < 0.001
    assert judgement.difference["melanoma_sensitivity"].value == pytest.approx(0.08)
    assert judgement.verdict == "fail"
    assert judgement.reason.startswith("sensitivity loss 0.0800")
    assert "AUC" not in judgement.reason


def test_better_variant_passes() -> None:
    worse = disturbed(drawn(300), 0.5)
    judgement = judge(worse, drawn(300), 0.5, USUAL)
    assert judgement.verdict == "pass"
    assert judgement.difference["melanoma_auc"].value < 0


@pytest.mark.parametrize(
    ("value", "high", "state"),
    [(0.004, 0.009, "pass"), (0.004, 0.01, "cannot judge"), (0.01, 0.02, "fail")],
)
def test_loss_or_bound_as_large_as_its_margin_does_not_pass(
    value: float, high: float, state: str
) -> None:
    assert Measured("AUC", Loss(value, 0.0, high), 0.01).state == state


def test_reference_that_finds_no_melanoma_shows_no_loss_of_sensitivity() -> None:
    reference = drawn(150)
    judgement = judge(reference, reference, 1.0, USUAL)
    assert judgement.verdict == "cannot judge"
    assert "the reference finds 0.0% of the melanoma images" in judgement.reason
    assert judge(reference, disturbed(reference, 1.0), 1.0, USUAL).verdict == "fail"


@pytest.mark.parametrize(("found", "verdict"), [(10, "cannot judge"), (40, "fail")])
def test_reference_that_finds_no_more_than_the_margin_has_nothing_to_lose(
    found: int, verdict: str
) -> None:
    """The variant finds none of what the reference finds, and is as good otherwise."""
    reference = drawn(300)
    scores = reference.scores("melanoma")
    positive = reference.positive("melanoma")
    threshold = float(np.sort(scores[positive])[-found])
    blind = predictions(np.where(positive & (scores >= threshold), 0.0, scores), positive)
    judgement = judge(reference, blind, threshold, Margins(auc=0.3, sensitivity=0.05))
    assert judgement.verdict == verdict, judgement.reason


@pytest.mark.parametrize("title", ["reference", "variant"])
def test_score_that_is_no_number_is_refused(title: str) -> None:
    reference = drawn(150)
    unknown = replace(reference, probabilities=reference.probabilities.copy())
    unknown.probabilities[3] = np.nan
    both = (unknown, reference) if title == "reference" else (reference, unknown)
    with pytest.raises(GateError, match=f"The {title} answers 1 of the images with no number"):
        judge(*both, 0.5, USUAL)


def test_wider_margins_pass_what_narrow_ones_fail() -> None:
    reference = drawn(300)
    worse = disturbed(reference, 0.6)
    assert judge(reference, worse, 0.5, USUAL).verdict == "fail"
    assert judge(reference, worse, 0.5, Margins(0.2, 0.3)).verdict == "pass"


# Too few melanomas


def test_twelve_melanomas_cannot_judge_even_identical_answers() -> None:
    judgement = judge(drawn(12), drawn(12), 0.5, USUAL)
    assert judgement.verdict == "cannot judge"
    assert "sensitivity loss 0.0000, at most 0.18" in judgement.reason
    assert "here are 12" in judgement.reason
    assert 52 <= lesions_asked_for(judgement) <= 55  # z^2 / (n + z^2) < 0.05 from 52 on


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.2])
def test_as_many_lesions_as_were_asked_for_do_decide(noise: float) -> None:
    reference = drawn(20, nevi=400)
    variant = disturbed(reference, noise)
    judgement = judge(reference, variant, 0.5, USUAL)
    assert judgement.verdict == "cannot judge"
    asked = lesions_asked_for(judgement)
    times = -(-asked // 20)
    more = [repeated(one, times, by_lesion=False) for one in (reference, variant)]
    assert judge(*more, 0.5, USUAL).verdict == "pass"
    fewer = [repeated(one, times // 2, by_lesion=False) for one in (reference, variant)]
    assert judge(*fewer, 0.5, USUAL).verdict == "cannot judge"


def test_more_photographs_of_the_same_lesions_decide_nothing() -> None:
    reference = repeated(drawn(12), 20, by_lesion=True)
    judgement = judge(reference, reference, 0.5, USUAL)
    assert judgement.verdict == "cannot judge"
    assert "here are 12" in judgement.reason


def test_hopelessly_close_loss_asks_for_a_number_that_can_be_written() -> None:
    # A loss of AUC just within the margin: 1 of 100 pairs turned, less a hair.
    scores = np.r_[np.linspace(0.6, 0.9, 50), np.linspace(0.1, 0.4, 1000)]
    positive = np.arange(len(scores)) < 50
    turned = scores.copy()
    turned[0], turned[-500:] = 0.2, np.linspace(0.26, 0.41, 500)
    reference, variant = predictions(scores, positive), predictions(turned, positive)
    loss = judge(reference, variant, 0.5, USUAL).difference["melanoma_auc"].value
    close = judge(reference, variant, 0.5, Margins(auc=loss + 1e-9, sensitivity=0.5))
    assert close.verdict == "cannot judge"
    assert lesions_asked_for(close) == MOST_LESIONS


def test_one_lesion_decides_nothing() -> None:
    answers = drawn(3)
    one = replace(answers, groups=np.where(answers.positive("melanoma"), "L", answers.groups))
    judgement = judge(one, one, 0.5, USUAL)
    assert judgement.verdict == "cannot judge"
    assert judgement.reason.startswith("one melanoma lesion decides nothing; about ")
    assert lesions_asked_for(judgement) >= 52


@pytest.mark.parametrize(
    ("melanomas", "beside"), [(200, ""), (3, ", beside as many with melanoma")]
)
def test_one_lesion_without_melanoma_decides_nothing(melanomas: int, beside: str) -> None:
    answers = drawn(melanomas)
    one = replace(answers, groups=np.where(answers.positive("melanoma"), answers.groups, "L"))
    judgement = judge(one, one, 0.5, USUAL)
    assert judgement.verdict == "cannot judge"
    needed = lesions_asked_for(judgement)
    assert 52 <= needed < 100
    assert judgement.reason == (
        f"one lesion without melanoma decides nothing; about {needed} would{beside}"
    )


def test_one_lesion_of_either_kind_decides_nothing() -> None:
    answers = drawn(3)
    two = replace(answers, groups=np.where(answers.positive("melanoma"), "L", "M"))
    assert re.fullmatch(
        r"one melanoma lesion and one without decide nothing; about \d+ of each would",
        judge(two, two, 0.5, USUAL).reason,
    )


# Sensitivity at the reference's specificity


def test_sensitivity_is_compared_at_the_specificity_of_the_reference_and_around_it() -> None:
    #        melanomas                   nevi
    positive = np.array([True] * 4 + [False] * 4)
    reference = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.3, 0.1, 0.1])
    # At 0.5 the reference finds three and calls one nevus. The variant answers lower throughout:
    # at 0.5 it finds one. Calling one nevus (0.35) as well, it finds what lies above 0.30: two.
    variant = np.array([0.6, 0.4, 0.25, 0.2, 0.35, 0.3, 0.1, 0.1])
    difference = judge(
        predictions(reference, positive), predictions(variant, positive), 0.5, Margins(0.9, 0.9)
    ).difference
    assert difference["melanoma_sensitivity_at_threshold"].value == pytest.approx(1 / 4)
    # One melanoma fewer costs the reference its nevus, one more costs it another. Calling none, one
    # and two nevi, the reference finds three, three and four, the variant two, two and four.
    assert difference["melanoma_sensitivity"].value == pytest.approx((1 + 1 + 0) / 3 / 4)


def test_harmless_change_loses_nothing_on_average_though_the_threshold_hugs_a_melanoma() -> None:
    losses = []
    for seed in range(60):
        reference = drawn(100, nevi=900, seed=seed)
        point = operating_point(
            reference.scores("melanoma"), reference.positive("melanoma"), 0.9, "melanoma"
        )
        difference = judge(
            reference, disturbed(reference, 0.05, 1000 + seed), point.threshold, USUAL, bootstrap=0
        ).difference
        losses.append(
            [difference[f"melanoma_sensitivity{end}"].value for end in ("", "_at_threshold")]
        )
    over_band, at_threshold = np.mean(losses, axis=0)
    assert abs(over_band) < 0.001
    assert at_threshold > 0.0025  # what the melanoma at the threshold alone seems to cost


def test_few_negatives_do_not_make_a_sure_specificity() -> None:
    reference = drawn(300, nevi=40)
    judgement = judge(reference, reference, 0.5, USUAL)
    assert judgement.difference["melanoma_sensitivity"].high == pytest.approx(
        1.645**2 / (40 + 1.645**2), rel=1e-3
    )
    assert judgement.verdict == "cannot judge"


def test_tied_answers_are_not_counted_as_found() -> None:
    positive = np.array([True] * 3 + [False] * 3)
    reference = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    coarse = np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.1])  # as an 8-bit softmax would tie them
    judgement = judge(
        predictions(reference, positive), predictions(coarse, positive), 0.5, Margins(0.9, 0.9)
    )
    for name in ("melanoma_sensitivity", "melanoma_sensitivity_at_threshold"):
        assert judgement.difference[name].value == pytest.approx(2 / 3)


def test_reference_that_calls_everything_is_compared_at_no_specificity() -> None:
    reference = drawn(60)
    worse = judge(reference, disturbed(reference, 2.0), 0.0, USUAL)
    assert worse.difference["melanoma_sensitivity"].value == 0.0


# What cannot be judged at all


@pytest.mark.parametrize(("kind", "word"), [(False, "no"), (True, "nothing but")])
def test_images_of_one_kind_are_refused(kind: bool, word: str) -> None:
    answers = predictions(np.linspace(0.1, 0.9, 20), np.full(20, kind))
    with pytest.raises(GateError, match=f"hold {word} melanoma, so no loss can be measured"):
        judge(answers, answers, 0.5, USUAL)


def test_data_without_a_melanoma_class_is_judged_on_malignancy() -> None:
    answers = replace(drawn(150), melanoma=None)
    judgement = judge(answers, answers, 0.5, USUAL)
    assert judgement.verdict == "pass"
    assert "malignant_auc" in judgement.difference


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.0, float("nan")])
def test_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(GateError, match="auc margin"):
        Margins(auc=margin)
    with pytest.raises(GateError, match="sensitivity margin"):
        Margins(sensitivity=margin)
