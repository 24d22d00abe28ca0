"""Decisions that a release or a device loses, judged by the gate's rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convert.checking.finding import Finding, finding, with_finding
from convert.gate.judge import Margins
from edge_runtime.bundle import Bundle
from edge_runtime.manifest import Verdict
from tests.train.evaluation.simulated import two_classes
from train.metrics import Predictions

USUAL = Margins()


def melanomas(count: int) -> Predictions:
    """As many lesions that show what is looked for, and twice as many that do not."""
    positive = np.arange(3 * count) < count
    return two_classes(np.zeros(3 * count), positive)


def found(lesions: int, lost: int, won: int) -> Finding:
    truth = melanomas(lesions)
    before, after = (np.ones(3 * lesions, bool) for _ in range(2))
    after[:lost] = False
    before[lost : lost + won] = False
    answer = finding("sensitivity", "counted", truth, before, after, USUAL)
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("lesions", "lost", "won", "verdict"),
    [
        (60, 0, 0, "pass"),
        (60, 6, 2, "fail"),  # the 95% interval of this difference reaches 0
        (60, 2, 0, "cannot judge"),  # a loss within the margin, a bound beyond it
        (40, 0, 0, "cannot judge"),
        (600, 12, 4, "pass"),
        (600, 40, 2, "fail"),
        (60, 0, 6, "pass"),
    ],
)
def test_loss_passes_only_where_its_bound_lies_inside_the_margin(
    lesions: int, lost: int, won: int, verdict: Verdict
) -> None:
    assert found(lesions, lost, won).verdict == verdict


def test_sentence_names_loss_bound_margin_and_what_would_decide() -> None:
    sentence = found(60, 2, 0).sentence
    assert sentence.startswith("counted: sensitivity loss 0.0333, at most 0.")
    assert "(margin 0.05); about " in sentence
    assert sentence.endswith(" malignant lesions would decide it, here are 60")
    assert "would decide" not in found(60, 6, 2).sentence


def test_ten_photographs_of_one_lesion_are_lost_as_one() -> None:
    truth = melanomas(100)
    groups = np.r_[np.full(10, "the same"), truth.groups[10:]]
    truth = replace(truth, groups=groups)
    before = np.ones(300, bool)
    after = before.copy()
    after[:10] = False
    answer = finding("sensitivity", "counted", truth, before, after, USUAL)
    assert answer is not None
    assert "sensitivity loss 0.0110" in answer.sentence


def test_one_lesion_decides_nothing() -> None:
    truth = melanomas(1)
    none, every = np.zeros(3, bool), np.ones(3, bool)
    assert finding("sensitivity", "counted", truth, every, none, USUAL) is None


@pytest.mark.parametrize(
    ("gate", "one_more", "verdict", "reason"),
    [
        ("pass", "pass", "pass", "the gate's"),
        ("pass", "cannot judge", "cannot judge", "the other"),
        ("pass", "fail", "fail", "the other"),
        ("cannot judge", "cannot judge", "cannot judge", "the gate's; the other"),
        ("cannot judge", "fail", "fail", "the other"),
        ("fail", "cannot judge", "fail", "the gate's"),
        ("fail", "fail", "fail", "the gate's; the other"),
    ],
)
def test_graver_verdict_stands_with_the_reasons_that_gave_it(
    gate: Verdict, one_more: Verdict, verdict: Verdict, reason: str, bundle: Path
) -> None:
    variant = Bundle.open(bundle).manifest.variants[0]
    entry = replace(variant, verdict=gate, reason="the gate's")
    judged = with_finding(entry, Finding(one_more, "the other"))
    assert (judged.verdict, judged.reason) == (verdict, reason)
