"""The same figures for parts of the images: by age, sex, site, resolution and skin tone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_runtime.manifest import Metric, OperatingPoint
from train.evaluation.bootstrap import interval, lesion_weights
from train.evaluation.certainty import certainty_notes
from train.evaluation.skin_tone import CATEGORIES
from train.evaluation.weighted import weighted_auc
from train.metrics import Predictions, evaluate

LEAST = 10
"""Lesions with, and without, what is looked for that a subgroup needs before figures of it say
anything."""

MOST_VALUES = 15
"""Values of one attribute that are listed; the rarer ones are put together as `OTHER`."""

UNKNOWN, OTHER = "unknown", "other"
AGE_BANDS = {"<30": 0.0, "30-49": 30.0, "50-69": 50.0, "70+": 70.0}
"""The age in years at which each band begins."""

COLUMNS = {"sex": ("sex",), "site": ("localization", "site", "anatom_site_general")}
"""The columns of a data set's table in which an attribute is looked for."""

_ORDER = (*AGE_BANDS, *CATEGORIES)


@dataclass(frozen=True)
class Subgroup:
    """The images that share one value of an attribute.

    Attributes:
        attribute, value: for example "age" and "30-49".
        images: how many.
        positives: how many of them are melanoma (malignant, where no melanoma can be told).
        metrics: AUC, sensitivity and specificity of that target, and balanced accuracy; empty with
            fewer than `LEAST` lesions of either answer.
    """

    attribute: str
    value: str
    images: int
    positives: int
    metrics: Mapping[str, Metric]


def subgroups(
    predictions: Predictions, attributes: Mapping[str, Sequence[str]],
    points: Mapping[str, OperatingPoint], *, bootstrap: int, seed: int,
) -> tuple[tuple[Subgroup, ...], list[str]]:  # fmt: skip
    """Figures of every value of every attribute.

    Args:
        predictions: answers on n images.
        attributes: n values by attribute; an empty one counts as unknown.
        points: frozen operating points by target.
        bootstrap: number of resamples; 0 gives values without intervals.
        seed: of the resampling.

    Returns:
        the subgroups, and what their intervals cannot tell.
    """
    target = predictions.main_target or predictions.targets[0]
    names = (*(f"{target}_{kind}" for kind in ("auc", "sensitivity", "specificity")),
             "balanced_accuracy")  # fmt: skip
    positive = predictions.positive(target)
    found, notes = [], []
    for attribute, given in attributes.items():
        values = _listed(given)
        for value in sorted(set(values), key=_place):
            rows = values == value
            metrics: dict[str, Metric] = {}
            part = predictions.take(rows)
            if _enough(part, target):
                measured = evaluate(
                    part, points, bootstrap=bootstrap, seed=seed, each_class=False
                )  # fmt: skip
                metrics = {name: measured[name] for name in names if name in measured}
                notes += certainty_notes(metrics, [part], f" of {attribute} {value}")
            images, positives = int(rows.sum()), int(positive[rows].sum())
            found.append(Subgroup(attribute, str(value), images, positives, metrics))
    return tuple(found), notes


def auc_within(
    predictions: Predictions, strata: Sequence[str], target: str, *, bootstrap: int, seed: int
) -> Metric | None:
    """Mean of the AUCs within strata, which nothing that differs between strata can raise.

    An AUC over all images also counts pairs from two strata; where the share of positives differs
    between them (say by image size), a model gains by recognising the stratum.

    Args:
        predictions: answers on n images.
        strata: stratum of each image.
        target: "melanoma" or "malignant".
        bootstrap, seed: as for `subgroups`.

    Returns:
        the mean over strata with at least `LEAST` lesions of either answer, all alike; None
        with fewer than two of them.
    """
    scores, positive, values = (
        predictions.scores(target),
        predictions.positive(target),
        _text(strata),
    )
    every = [values == value for value in sorted(set(values))]
    parts = [rows for rows in every if _enough(predictions.take(rows), target)]
    if len(parts) < 2:
        return None

    def mean_auc(weights: np.ndarray) -> np.ndarray:
        areas = [weighted_auc(scores[rows], positive[rows], weights[:, rows]) for rows in parts]
        return np.asarray(np.mean(areas, axis=0))

    value = float(mean_auc(np.ones((1, len(scores))))[0])
    drawn = [mean_auc(block) for block in lesion_weights(predictions.groups, bootstrap, seed)]
    return interval(f"{target}_auc_within", value, drawn)


def age_band(age: str) -> str:
    """The band of an age in years as a table gives it; empty where it is not a number."""
    try:
        years = float(age)
    except ValueError:
        return ""
    bands = [name for name, start in AGE_BANDS.items() if years >= start]
    return bands[-1] if bands else ""


def table_attributes(rows: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Age band, sex and site of each image, from the other columns of its data set's table.

    Args:
        rows: the other columns of each of n images.

    Returns:
        n values for each attribute that the table has.
    """
    columns = {name for row in rows for name in row}
    found: dict[str, list[str]] = {}
    if "age" in columns:
        found["age"] = [age_band(row.get("age", "")) for row in rows]
    for attribute, names in COLUMNS.items():
        if (column := next((name for name in names if name in columns), None)) is not None:
            found[attribute] = [row.get(column, "") for row in rows]
    return found


def _enough(predictions: Predictions, target: str) -> bool:
    positive, groups = predictions.positive(target), predictions.groups
    return min(len(np.unique(groups[side])) for side in (positive, ~positive)) >= LEAST


def _text(values: Sequence[str]) -> np.ndarray:
    return np.array([value.strip() or UNKNOWN for value in values])


def _listed(values: Sequence[str]) -> np.ndarray:
    text = _text(values)
    frequent = [value for value, _ in Counter(text.tolist()).most_common(MOST_VALUES)]
    return np.where(np.isin(text, frequent), text, OTHER)


def _place(value: str) -> tuple[int, int, str]:
    """Bands and categories in their own order, the rest alphabetically, what is not known last."""
    if value in _ORDER:
        return (0, _ORDER.index(value), "")
    return (2 if value in (UNKNOWN, OTHER) else 1, 0, value)
