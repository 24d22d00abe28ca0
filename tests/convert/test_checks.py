"""How the limits of a bundle's checks are fitted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.checks import fitting
from convert.checks.damage import DAMAGES
from convert.checks.fitting import MOST_REFUSED, class_weights, fit_limit, learn_familiar
from edge_runtime.appearance import distance, read_familiar
from edge_runtime.bundle import Bundle
from edge_runtime.preprocess import InputRule
from edge_runtime.quality import READINGS, Figures
from train.run import SplitRow
from train.synthetic import render

GOOD = Figures(0.0, 200.0, 0.0, 0.0, 100.0, 0.1, 30.0)


def lit(values: list[float]) -> list[Figures]:
    return [replace(GOOD, light=value) for value in values]


def test_threshold_lies_in_the_middle_of_the_gap():
    limit = fit_limit("dark", lit([180, 190, 200] * 20), lit([40, 60] * 10))
    assert limit.threshold == pytest.approx(120, abs=1)
    assert (limit.refused, limit.found) == (0.0, 1.0)


def test_no_more_good_images_are_refused_than_allowed():
    rng = np.random.default_rng(0)
    limit = fit_limit("dark", lit(rng.normal(100, 10, 1000)), lit(rng.normal(85, 10, 200)))
    assert 0 < limit.refused <= MOST_REFUSED
    assert 0.02 < limit.found < 0.4


def test_where_nothing_can_be_told_nothing_much_is_refused():
    same = lit(list(range(100, 150)))
    assert fit_limit("dark", same, same).refused <= MOST_REFUSED


def test_distance_of_the_images_that_were_learnt_is_about_one():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(500, 8)) @ rng.normal(size=(8, 8)) * 5 + 3
    described = mixed.astype(np.float32)
    described[:, 7] = 2.0  # a feature that never varies
    familiar = learn_familiar(described, np.ones(500))
    away = [distance(one, familiar) for one in described]
    assert 0.75 < np.sqrt(np.mean(np.square(away))) <= 1
    assert distance(described[0] + 100, familiar) > 5


def test_rare_class_is_more_familiar_than_its_share_would_have_it():
    rng = np.random.default_rng(0)
    labels = ["nv"] * 480 + ["vasc"] * 20
    described = rng.normal(size=(500, 4)).astype(np.float32)
    described[480:] += (6, 0, 0, 0)

    def farness(weights: NDArray[np.float64]) -> float:
        familiar = learn_familiar(described, weights)
        return float(np.mean([distance(one, familiar) for one in described[480:]]))

    assert farness(class_weights(labels, labels)) < 0.8 * farness(np.ones(500))


def test_class_counts_by_the_root_of_its_share_however_many_of_it_are_drawn():
    trained = ["nv"] * 480 + ["vasc"] * 20

    def counts(drawn: list[str]) -> dict[str, float]:
        weights = class_weights(drawn, trained)
        assert weights.shape == (len(drawn),)
        return {code: float(weights[np.array(drawn) == code].sum()) for code in ("nv", "vasc")}

    shares = {"nv": np.sqrt(480 / 500), "vasc": np.sqrt(20 / 500)}
    for drawn in (["nv"] * 20 + ["vasc"] * 20, ["nv"] * 400 + ["vasc"] * 20, trained):
        assert counts(drawn) == pytest.approx(shares)


def test_what_is_familiar_does_not_depend_on_how_many_images_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
):
    counts = {("nv", "train"): 190, ("vasc", "train"): 30, ("nv", "val"): 55}
    rows = [
        SplitRow(f"{code}_{split}_{place}", "", f"{code}_{split}_{place}", code, "", split)
        for (code, split), count in counts.items()
        for place in range(count)
    ]
    looks = {code: render(code, 1, width=64, height=64) for code in ("nv", "vasc")}
    tensors = np.stack([looks[row.label] for row in rows])

    def mean(most: int) -> NDArray[np.float32]:
        monkeypatch.setattr(fitting, "MOST_LEARNT", most)
        fitted = fitting.fit_checks(tensors, rows, InputRule(64), ("nv", "vasc"), seed=0)
        assert fitted is not None
        return read_familiar(fitted.familiar, "familiar")[0]

    few, many = mean(100), mean(4000)
    assert np.abs(fitting.describe(looks["nv"]) - fitting.describe(looks["vasc"])).max() > 1
    np.testing.assert_allclose(few, many, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("flaw", list(READINGS))
def test_damage_is_repeatable_and_keeps_the_shape(flaw):
    image = render("mel", 1, width=64, height=64)
    first, again = (DAMAGES[flaw].at(image, 5, np.random.default_rng(3)) for _ in range(2))
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, image)


def test_bundle_says_what_its_checks_refuse(bundle: Path):
    checks = Bundle.open(bundle).manifest.checks
    assert checks is not None
    assert set(checks.limits) == set(READINGS)
    assert all(limit.refused <= MOST_REFUSED for limit in checks.limits.values())
    assert set(checks.answered) == {"bkl", "mel", "nv"}
    assert all(0.6 <= share <= 1 for share in checks.answered.values())
