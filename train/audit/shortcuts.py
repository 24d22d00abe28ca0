"""Can the answer be guessed without looking at the lesion?

A small classifier is given only what has nothing to do with the disease: the size of the image, the
bytes of the file, how dark its corners are, which data set it is from. What it can tell, a network
can tell too, and will.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.audit import settings
from train.audit.findings import Item
from train.audit.pictures import Facts


@dataclass(frozen=True)
class Shortcut:
    """How well nuisance features alone tell the target.

    Attributes:
        features: their names.
        auc: area under the ROC curve, out of fold; 0.5 is chance.
        low, high: 95% interval, resampled by lesion or picture group.
    """

    features: tuple[str, ...]
    auc: float
    low: float
    high: float

    @property
    def tells(self) -> bool:
        """Whether it is surely better than chance by a margin that matters."""
        return self.low > settings.SHORTCUT_AUC


@dataclass(frozen=True)
class Shortcuts:
    """The findings on shortcuts.

    Attributes:
        target: "melanoma" or "malignant".
        positives, images: how many images were used.
        together: all features at once; None where nothing could be judged.
        alone: every feature by itself, the most telling first.
        reason: why nothing could be judged; empty where it could.
    """

    target: str
    positives: int
    images: int
    together: Shortcut | None
    alone: tuple[Shortcut, ...]
    reason: str = ""


def find_shortcuts(
    items: Sequence[Item], facts: Sequence[Facts], groups: NDArray[np.int64], seed: int = 0
) -> Shortcuts:
    """Cross-validate a small classifier on nuisance features.

    Args:
        items, facts: one each for every image.
        groups: what must not be torn apart between folds, shape (n,).
        seed: of folds and resampling.
    """
    target, positive = _target(items)
    used = np.array([fact.usable and known is not None for fact, known in
                     zip(facts, positive, strict=True)])  # fmt: skip
    truth = np.array([bool(value) for value in positive])[used]
    count = int(truth.sum())
    few = settings.FOLDS * settings.FEWEST_PER_FOLD
    distinct = [len(set(groups[used][truth == side])) for side in (True, False)]
    columns = _features(items, facts)
    values = {name: column[used] for name, column in columns.items() if len(set(column[used])) > 1}
    reason = ""
    if all(known is None for known in positive):
        reason = "nothing says which classes are malignant"
    elif min(distinct) < few:
        reason = (
            f"{distinct[0]} {target} and {distinct[1]} other lesions or pictures are too few to "
            f"judge; at least {few} of either kind are needed"
        )
    elif not values:
        reason = "all images have the same size, corners and file size"
    if reason:
        return Shortcuts(target, count, int(used.sum()), None, (), reason)
    folds = _folds(truth, groups[used], seed)
    everything = np.stack(list(values.values()), 1)
    resamples = _resamples(groups[used], seed)
    together = _judge(tuple(values), everything, truth, folds, resamples, seed)
    alone = [
        _judge((name,), column[:, None], truth, folds, resamples, seed)
        for name, column in values.items()
    ]
    alone.sort(key=lambda shortcut: -shortcut.auc)
    return Shortcuts(target, count, int(used.sum()), together, tuple(alone))


def _target(items: Sequence[Item]) -> tuple[str, list[bool | None]]:
    """Melanoma where every data set has such a class, else malignant; and who is positive."""
    descriptions = {item.source.name: item.source.description for item in items}
    if all(d is not None and d.melanoma for d in descriptions.values()):
        return "melanoma", [
            item.record.label == item.source.description.melanoma  # type: ignore[union-attr]
            for item in items
        ]
    return "malignant", [item.source.malignant(item.record.label) for item in items]


def _features(items: Sequence[Item], facts: Sequence[Facts]) -> dict[str, NDArray[np.float64]]:
    names = {name: number for number, name in enumerate(sorted({i.source.name for i in items}))}
    formats = {name: number for number, name in enumerate(sorted({f.format for f in facts}))}
    pixels = np.array([max(fact.width * fact.height, 1) for fact in facts], np.float64)
    return {
        "width": np.array([fact.width for fact in facts], np.float64),
        "height": np.array([fact.height for fact in facts], np.float64),
        "aspect": np.array([fact.width / max(fact.height, 1) for fact in facts]),
        "bytes per pixel": np.array([fact.bytes for fact in facts]) / pixels,
        "corner brightness": np.array([fact.corners for fact in facts]),
        "file format": np.array([formats[fact.format] for fact in facts], np.float64),
        "data set": np.array([names[item.source.name] for item in items], np.float64),
    }


def _folds(
    truth: NDArray[np.bool_], groups: NDArray[np.int64], seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(settings.FOLDS, shuffle=True, random_state=seed)
    return list(splitter.split(truth, truth, groups))


def _resamples(groups: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    """Rows of each resample of the bootstrap: whole groups, drawn with replacement."""
    rng = np.random.default_rng(seed)
    order = np.argsort(groups, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return [
        np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        for _ in range(settings.RESAMPLES)
    ]


def _judge(
    names: tuple[str, ...],
    values: NDArray[np.float64],
    truth: NDArray[np.bool_],
    folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    resamples: list[NDArray[np.int64]],
    seed: int,
) -> Shortcut:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.tree import DecisionTreeClassifier

    scores = np.zeros(len(truth))
    for training, held in folds:
        leaf = max(settings.SMALLEST_LEAF, len(training) // settings.LEAVES)
        model = (
            DecisionTreeClassifier(min_samples_leaf=leaf, random_state=seed)
            if len(names) == 1  # the trees of a forest would all be this one
            else RandomForestClassifier(settings.TREES, min_samples_leaf=leaf, random_state=seed)
        )
        model.fit(values[training], truth[training])
        scores[held] = model.predict_proba(values[held])[:, 1]
    drawn = [
        roc_auc_score(truth[rows], scores[rows])
        for rows in resamples
        if truth[rows].any() and not truth[rows].all()
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Shortcut(names, float(roc_auc_score(truth, scores)), float(low), float(high))
