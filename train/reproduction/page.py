"""The page: both studies, the published way beside the leak-free one."""

from __future__ import annotations

from collections.abc import Sequence

from edge_runtime.manifest import Metric
from train.backend import versions
from train.crossval.summary import Figure
from train.evaluation.table import DIGITS, shown
from train.reproduction import benign_malignant, nine_classes
from train.reproduction.benign_malignant import Study
from train.reproduction.nine_classes import METRICS, Outcome

_NAMES = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1",
    "melanoma_auc": "melanoma AUC", "malignant_auc": "AUC", "malignant_sensitivity": "sensitivity",
    "malignant_specificity": "specificity",
}  # fmt: skip


def page(outcomes: Sequence[Outcome], study: Study) -> str:
    """Markdown with every number that both studies gave."""
    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    return "\n\n".join(
        [
            "# Two published studies, repeated",
            "Written by `make reproduce`. Intervals are 95%, by a bootstrap over groups (lesions "
            "or copies of one picture) where groups are respected, and over images where the "
            f"protocol ignores them. Made with {found}.",
            _first(outcomes),
            _second(study),
            _difference(outcomes, study),
        ]
    )  # fmt: skip


def _first(outcomes: Sequence[Outcome]) -> str:
    config = nine_classes.CONFIG
    head = ["images", "protocol", "train / val / test", "training accuracy",
            "validation accuracy", *(f"test {_NAMES[name]}" for name in METRICS)]  # fmt: skip
    rows = [
        [o.images, o.protocol, " / ".join(str(o.counts[p]) for p in ("train", "val", "test")),
         f"{o.train_accuracy:.3f}", f"{o.val_accuracy:.3f}",
         *(_interval(o.test[name]) for name in METRICS)]
        for o in outcomes
    ]  # fmt: skip
    return (
        "## Nine classes\n\nThe study: a CNN with batch normalization and dropout on 2,357 images "
        "of the 9-class collection, 92.57% training and 84.41% validation accuracy after 30 "
        f"epochs. Here: `{config.arch}`, {config.input_size} px, {config.epochs} epochs, the last "
        f"epoch's accuracies, {nine_classes.COPIES} turned, mirrored and enlarged copies added to "
        "every class. *As published*: copies first, then a split by chance. *Leak-free*: a split "
        "by picture, then copies of training images only. *After audit*: without the pictures "
        "whose labels contradict each other. Test figures are of the epoch with the lowest "
        f"validation loss.\n\n{_table(head, rows)}"
    )


def _second(study: Study) -> str:
    best = study.tuned.config
    names = [name for name in _NAMES if name in study.clean.metrics and name != "melanoma_auc"]
    head = ["", "as published", "leak-free"]
    rows = [
        [_NAMES[name], _figure(study.published.metrics[name]), _figure(study.clean.metrics[name])]
        for name in names
    ]
    rows.append(["images, groups",
                 f"{study.published.images}, {study.published.lesions}",
                 f"{study.clean.images}, {study.clean.lesions}"])  # fmt: skip
    return (
        "## Benign or malignant\n\nThe study: a CNN on 13,900 images, resized and normalised, with "
        "rotation, zoom and horizontal flips, its learning rate, batch size and number of epochs "
        f"tuned, cross-validated. Here: HAM10000 and ISIC 2017, {study.images:,} images, "
        f"`{best.arch}` at {best.input_size} px. {benign_malignant.TRIALS} trials on leak-free "
        f"data chose a learning rate of {best.learning_rate:.2g}, batches of {best.batch_size} and "
        f"{best.epochs} epochs (validation AUC {study.tuned.best.value:.3f}, the highest of all "
        "trials and therefore too high). Both columns use them. *As published*: copies of "
        "malignant images until the classes are equal, then "
        f"{benign_malignant.FOLDS} folds by chance. *Leak-free*: "
        f"{benign_malignant.FOLDS} folds by lesion and picture. Mean over the folds, its interval, "
        f"and the standard deviation between folds.\n\n{_table(head, rows)}"
    )


def _difference(outcomes: Sequence[Outcome], study: Study) -> str:
    by = {(o.images, o.protocol): o for o in outcomes}
    leaky, clean = by["as downloaded", "as published"], by["as downloaded", "leak-free"]
    audited = by["after audit", "leak-free"]
    auc = study.published.metrics["malignant_auc"].value, study.clean.metrics["malignant_auc"].value
    return (
        "## What the difference is\n\nThe network, its settings and its epochs are the same in "
        "both columns; only the sharing out differs. With copies made before the split, the test "
        "images are turned copies of training images (or the other way round), and a network that "
        "knows the picture need not know the disease: on the nine classes test accuracy is "
        f"{leaky.test['accuracy'].value:.3f} the published way and "
        f"{clean.test['accuracy'].value:.3f} on pictures that were not seen, a difference of "
        f"{leaky.test['accuracy'].value - clean.test['accuracy'].value:.3f} that no patient would "
        "meet. Part of the rest is labels that contradict each other: without those pictures the "
        f"leak-free accuracy is {audited.test['accuracy'].value:.3f}. On benign against malignant "
        f"the AUC is {auc[0]:.3f} by chance and {auc[1]:.3f} by lesion."
    )


def _interval(metric: Metric) -> str:
    return shown(metric, DIGITS)


def _figure(figure: Figure) -> str:
    interval = _interval(Metric(figure.value, figure.low, figure.high))
    return f"{interval}, sd {figure.sd:.{DIGITS}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from tabulate import tabulate

    return str(tabulate(rows, head, tablefmt="github", disable_numparse=True))
