from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.train.evaluation.simulated import POINTS, seven_classes, two_classes
from train.evaluation.subgroups import (
    LEAST,
    age_band,
    auc_within,
    subgroups,
    table_attributes,
)
from train.metrics import evaluate


@pytest.mark.parametrize(
    ("age", "band"),
    [("0.0", "<30"), ("29", "<30"), ("30.0", "30-49"), ("49.9", "30-49"), ("50", "50-69"),
     ("70", "70+"), ("85.0", "70+"), ("", ""), ("unknown", "")],
)  # fmt: skip
def test_age_falls_into_its_band(age: str, band: str):
    assert age_band(age) == band


@pytest.mark.parametrize("column", ["localization", "site", "anatom_site_general"])
def test_site_is_found_under_the_names_that_data_sets_use(column: str):
    rows = [{"age": "40", "sex": "male", column: "back"}, {"age": "", "sex": "", column: ""}]
    assert table_attributes(rows) == {
        "age": ["30-49", ""], "sex": ["male", ""], "site": ["back", ""],
    }  # fmt: skip


def test_attributes_that_a_table_lacks_are_not_made_up():
    assert table_attributes([{}, {"dx_type": "histo"}]) == {}


def test_figures_of_a_subgroup_are_those_of_its_images_alone():
    answered = seven_classes(images=600)
    sex = np.where(np.arange(600) % 3 == 0, "female", "male")
    found = {
        group.value: group
        for group in subgroups(answered, {"sex": list(sex)}, POINTS, bootstrap=30, seed=0)[0]
    }
    alone = evaluate(answered.take(sex == "female"), POINTS, bootstrap=30, seed=0)
    assert found["female"].images == 200
    assert set(found["female"].metrics) == {
        "melanoma_auc", "melanoma_sensitivity", "melanoma_specificity", "balanced_accuracy",
    }  # fmt: skip
    for name, metric in found["female"].metrics.items():
        assert metric == alone[name]


def test_small_subgroups_are_counted_and_not_measured():
    answered = seven_classes(images=600)
    melanoma = np.flatnonzero(answered.positive("melanoma"))
    site = np.full(600, "back", dtype="<U9")
    site[melanoma[: LEAST - 1]] = "foot"
    site[np.flatnonzero(~answered.positive("melanoma"))[:100]] = "foot"
    (_, foot), _ = subgroups(answered, {"site": list(site)}, POINTS, bootstrap=0, seed=0)
    assert (foot.value, foot.images, foot.positives) == ("foot", 100 + LEAST - 1, LEAST - 1)
    assert foot.metrics == {}


def test_many_photographs_of_few_lesions_are_not_measured():
    answered = seven_classes(images=600)
    melanoma = np.flatnonzero(answered.positive("melanoma"))
    assert len(melanoma) >= 2 * LEAST
    groups = answered.groups.copy()
    groups[melanoma] = [f"melanoma {k % (LEAST - 1)}" for k in range(len(melanoma))]
    few = replace(answered, groups=groups)
    (alone,), _ = subgroups(few, {"sex": ["male"] * 600}, POINTS, bootstrap=0, seed=0)
    assert (alone.positives, alone.metrics) == (len(melanoma), {})
    strata = ["600x450", "224x224"] * 300
    assert auc_within(answered, strata, "melanoma", bootstrap=0, seed=0) is not None
    assert auc_within(few, strata, "melanoma", bootstrap=0, seed=0) is None


def test_a_point_for_an_interval_of_a_subgroup_is_put_in_its_place():
    answered = seven_classes(images=600)
    all_found = {name: replace(point, threshold=0.0) for name, point in POINTS.items()}
    sex = ["female", "male"] * 300
    (female, _), notes = subgroups(answered, {"sex": sex}, all_found, bootstrap=30, seed=0)
    part = answered.take(np.arange(0, 600, 2))
    lesions = len(set(part.groups[part.positive("melanoma")].tolist()))
    metric = female.metrics["melanoma_sensitivity"]
    assert (metric.low, metric.high) == (1.0, 1.0)
    (note,) = [n for n in notes if n.startswith("melanoma_sensitivity of sex female is 1")]
    assert f"on {lesions} lesions" in note
    assert f"as low as {1 - 3 / lesions:.2f} (rule of three)" in note


def test_subgroups_come_in_their_own_order_and_the_unknown_last():
    answered = seven_classes(images=60)
    ages = ["70+", "", "<30", "50-69", "30-49", "<30"] * 10
    tones = ["dark", "very light", "", "tan", "light", "brown"] * 10
    found, _ = subgroups(answered, {"age": ages, "tone": tones}, POINTS, bootstrap=0, seed=0)
    assert [group.value for group in found] == [
        "<30", "30-49", "50-69", "70+", "unknown",
        "very light", "light", "tan", "brown", "dark", "unknown",
    ]  # fmt: skip


def test_auc_within_strata_is_not_raised_by_telling_the_stratum():
    rng = np.random.default_rng(0)
    small = np.arange(1000) < 400
    positive = rng.random(1000) < np.where(small, 0.5, 0.05)
    scores = np.clip(0.2 + 0.5 * small + 0.1 * rng.random(1000), 0, 1)  # knows the size only
    answered = two_classes(scores, positive)
    strata = np.where(small, "200x150", "224x224")
    within = auc_within(answered, list(strata), "malignant", bootstrap=200, seed=0)
    assert roc_auc_score(positive, scores) > 0.7
    assert within is not None
    assert within.low < 0.5 < within.high
    parts = [roc_auc_score(positive[strata == s], scores[strata == s]) for s in sorted(set(strata))]
    assert within.value == pytest.approx(np.mean(parts))


def test_there_is_no_auc_within_a_single_stratum():
    answered = seven_classes()
    assert auc_within(answered, ["1x1"] * 300, "melanoma", bootstrap=0, seed=0) is None
