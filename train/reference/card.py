"""What a model that comes with a checkout does on test images, and what others have published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from edge_runtime.manifest import Metric
from train.evaluation.table import shown
from train.reference.data import HAM, ISIC_2018


@dataclass(frozen=True)
class Row:
    """A figure and what others report.

    Attributes:
        name: key in what `dermedge evaluate --json` prints.
        words: what it is.
        others: published figures, in words; empty where none is known.
        best: the best of them, to compare with; None where there is nothing to compare.
    """

    name: str
    words: str
    others: str = ""
    best: float | None = None


_AT_THRESHOLD = (
    Row("melanoma_sensitivity", "melanoma sensitivity at its operating point"),
    Row("melanoma_specificity", "melanoma specificity there"),
    Row("melanoma_sensitivity_of_decision", "melanomas that are referred, by either threshold"),
    Row("melanoma_specificity_of_decision", "others that are not"),
)
PUBLISHED: Mapping[str, tuple[Row, ...]] = {
    HAM: (
        Row(
            "melanoma_auc", "melanoma AUC",
            "0.869 to 0.909 in floats, 0.69 to 0.80 in 8 bits (EfficientNet-B0, same split) [1]",
            0.909,
        ),
        Row("melanoma_auc_within_resolution", "melanoma AUC, mean of the two resolutions"),
        Row(
            "balanced_accuracy", "balanced accuracy of 7 classes",
            "0.768 (ResNet-50, a test part of the same size and classes) [2]", 0.768,
        ),
        Row(
            "macro_f1", "macro-F1",
            "0.704 (ResNet-50, as above) [2]; 0.69 (two networks, 66 million parameters) and 0.74 "
            "(ConvNeXt, 28 million, trained on two archives), each on folds of its own [3]", 0.74,
        ),
        *_AT_THRESHOLD,
        Row("ece", "expected calibration error"),
    ),
    ISIC_2018: (
        Row(
            "balanced_accuracy", "balanced accuracy of 7 classes",
            "0.885 (winner of the challenge: an ensemble, and data that is not public) [4]", 0.885,
        ),
        Row("melanoma_auc", "melanoma AUC"),
        *_AT_THRESHOLD,
        Row("ece", "expected calibration error"),
    ),
}  # fmt: skip
_BESIDE_FLOATS = {
    "melanoma_auc": "melanoma AUC",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
}
_TITLES = {
    HAM: "HAM10000, the published test part",
    ISIC_2018: "ISIC 2018 Task 3, the official test set",
}


_CAVEAT = (
    'What others report is on their own terms: other splits, ensembles, more data. "Better" and '
    '"worse": their best figure lies outside this model\'s interval. '
    "[1] github.com/sel-ba/melanoma-edge-api at 1113dba: `model_comparison.json` and "
    "`quantization_comparison.json` in `reporting/artifacts`. "
    "[2] github.com/amr10mubarak/ham10000-classifier at f0c8580: README. "
    "[3] Known by hearsay: where they were published is not on record here. "
    "[4] dermengine.com/blog/metaoptima-awarded-isic-2018-challenge, of 25 March 2019."
)


def table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a table for every test set, with 95% intervals, and how to read them.

    Args:
        figures: what `dermedge evaluate --json --against` says of the 8-bit file and the float one,
            by data set.
    """
    parts = [_part(data, found) for data, found in figures.items()]
    return "\n\n".join([*parts, _CAVEAT])


def remarks(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The section of the model card."""
    return "\n\n".join((
        "**Beside others.** Figures of `tflite_int8` as the device runs it, with 95% intervals. "
        "Recipes were chosen on validation images; docs/model-search.md has them all, and says "
        "where figures of the test images led to a further try.",
        table(figures),
        "**Skin.** Brown and black skin is barely represented in the training data and in both "
        "test sets: nothing here says that the model works on it.",
    )) + "\n"  # fmt: skip


def _part(data: str, found: Mapping[str, Any]) -> str:
    counts = {label["code"]: label["images"] for label in found["labels"]}
    rows = []
    for row in PUBLISHED[data]:
        metric = found["metrics"].get(row.name)
        if metric is not None:
            rows.append((row.words, _shown(metric), row.others, _beside(metric, row.best)))
    for name, words in _BESIDE_FLOATS.items():
        shown = _shown(found["difference"][name])
        rows.append((f"{words}, 8 bits less floats, paired", shown, "", ""))
    head = (
        f"{_TITLES[data]}: {found['n']:,} images, {counts['mel']:,} melanomas; intervals over "
        f"{found['resampled']}."
    )
    heads = ("figure", "this model", "published by others", "beside their best")
    return f"{head}\n\n{tabulate(rows, heads, 'github', disable_numparse=True)}"


def _beside(metric: Mapping[str, Any], best: float | None) -> str:
    if best is None or metric["low"] is None:
        return ""
    if best < metric["low"]:
        return "better"
    return "worse" if best > metric["high"] else "no difference shown"


def _shown(metric: Mapping[str, Any]) -> str:
    return shown(Metric(**metric), 3)
