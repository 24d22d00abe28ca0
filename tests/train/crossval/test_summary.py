"""Mean, spread and interval of figures whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.manifest import Label, OperatingPoint
from train.crossval.summary import Fold, summarize
from train.metrics import Predictions

LABELS = (Label("benign", "benign", False), Label("malignant", "malignant", True))
POINTS = {"malignant": OperatingPoint(0.5, 0.9, 0.9, 0.9)}


def fold(scores: list[float], truth: list[int], lesions: list[str] | None = None) -> Fold:
    malignant = np.array(scores)
    return Fold(
        Predictions(
            probabilities=np.stack([1 - malignant, malignant], axis=1),
            truth=np.array(truth, np.int64),
            groups=np.array(lesions or [str(index) for index in range(len(truth))]),
            labels=LABELS,
            melanoma=None,
        ),
        POINTS,
    )


def simulated(seed: int, images: int = 120, hits: float = 0.8) -> Fold:
    """A model that is right on a share of its images."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, images)
    right = rng.random(images) < hits
    return fold(np.where(right == (truth == 1), 0.9, 0.1).tolist(), truth.tolist())


def test_the_value_is_the_mean_over_the_folds_and_the_spread_that_of_a_sample() -> None:
    one = fold([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0])
    other = fold([0.9, 0.2, 0.8, 0.1], [1, 1, 0, 0])
    figure = summarize([one, other], bootstrap=100, seed=0)["accuracy"]
    assert figure.folds == (1.0, 0.5)
    assert figure.value == 0.75
    assert figure.sd == pytest.approx(np.sqrt(0.125))


def test_scales_of_two_models_are_not_thrown_together() -> None:
    high = fold([0.95, 0.9, 0.85, 0.8], [1, 1, 0, 0])
    low = fold([0.2, 0.15, 0.1, 0.05], [1, 1, 0, 0])
    assert summarize([high, low], bootstrap=100, seed=0)["malignant_auc"].value == 1.0


def test_the_interval_is_as_wide_as_that_of_so_many_independent_images() -> None:
    figure = summarize([simulated(k) for k in range(5)], bootstrap=2000, seed=0)["accuracy"]
    assert figure.low is not None
    assert figure.high is not None
    width = 2 * 1.96 * np.sqrt(figure.value * (1 - figure.value) / 600)
    assert figure.high - figure.low == pytest.approx(width, rel=0.1)
    assert figure.low < figure.value < figure.high


def test_photographs_of_one_lesion_count_as_one() -> None:
    single = [simulated(k, images=60) for k in range(3)]
    twice = [
        fold(
            np.repeat(f.predictions.probabilities[:, 1], 4).tolist(),
            np.repeat(f.predictions.truth, 4).tolist(),
            [str(index // 4) for index in range(240)],
        )
        for f in single
    ]
    widths = []
    for folds in (single, twice):
        figure = summarize(folds, bootstrap=1000, seed=0)["accuracy"]
        widths.append((figure.high or 0) - (figure.low or 0))
    assert widths[0] == pytest.approx(widths[1], rel=1e-6)


def test_a_figure_that_a_fold_cannot_give_is_the_mean_of_the_others() -> None:
    both = fold([0.9, 0.1], [1, 0])
    one_class = fold([0.9, 0.1], [0, 0])
    metrics = summarize([one_class, both], bootstrap=100, seed=0)
    assert metrics["malignant_auc"].folds == (None, 1.0)
    assert metrics["malignant_auc"].value == 1.0
    assert metrics["malignant_auc"].sd is None
    assert metrics["accuracy"].folds == (0.5, 1.0)


def test_the_same_seed_gives_the_same_intervals() -> None:
    folds = [simulated(k) for k in range(3)]
    assert summarize(folds, bootstrap=200, seed=4) == summarize(folds, bootstrap=200, seed=4)
    assert summarize(folds, bootstrap=200, seed=4) != summarize(folds, bootstrap=200, seed=5)
