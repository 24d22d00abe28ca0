"""Two runs side by side: what was set otherwise, what data they saw, how well they do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_runtime._files import sha256
from edge_runtime._strict import to_json
from edge_runtime.manifest import Metric
from train.config import IMPORTED, USED_BY_IMPORT
from train.report.style import SPLIT_WORDS
from train.run import RunFolder, SplitRow

JUDGED = "val"
"""The part on which runs are compared. Whoever chooses among runs by their test figures has no test
part any more: the best of many is the luckiest of many."""

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class DataDifference:
    """How the images of two runs differ.

    Attributes:
        names: what each data set is called.
        digests: of the images, labels and parts of each; equal where those are.
        images: of each.
        only: images that the other run does not have, of each.
        relabelled: images in both under two labels.
        moved: images in both that are in two parts, for example trained on and validated on.
    """

    names: tuple[str, str]
    digests: tuple[str, str]
    images: tuple[int, int]
    only: tuple[int, int]
    relabelled: int
    moved: int

    @property
    def same(self) -> bool:
        """Whether both learnt from and were judged on the same."""
        return self.digests[0] == self.digests[1]


@dataclass(frozen=True)
class RunComparison:
    """Two runs.

    Attributes:
        runs: both.
        settings: what was set otherwise: configuration, first weights, versions.
        data: how their images differ.
        metrics: figures of both, by name, on validation, or on test where that was asked for.
        split: which of the two.
        difference: the first minus the second, paired by lesion; None where the images differ.
        why_unpaired: in words, where there is no difference.
    """

    runs: tuple[RunFolder, RunFolder]
    settings: Mapping[str, Pair]
    data: DataDifference
    metrics: tuple[Mapping[str, Metric], Mapping[str, Metric]]
    split: str
    difference: Mapping[str, Metric] | None
    why_unpaired: str = ""


def compare_runs(a: RunFolder, b: RunFolder, *, test: bool = False) -> RunComparison:
    """Put two runs side by side.

    Args:
        a, b: the runs.
        test: compare on test, instead of validation.

    Raises:
        RunError: a run's tables do not belong together.
    """
    split = "test" if test else JUDGED
    difference, why = _paired(a, b, split)
    return RunComparison(
        runs=(a, b),
        settings=_different(_settings(a), _settings(b)),
        data=_data_difference(a, b),
        metrics=(a.run.metrics.get(split, {}), b.run.metrics.get(split, {})),
        split=split,
        difference=difference,
        why_unpaired=why,
    )


def _settings(folder: RunFolder) -> dict[str, Any]:
    run = folder.run
    config = _flat(to_json(run.config))
    if run.config.arch == IMPORTED:
        config = {name: config[name] for name in USED_BY_IMPORT}
    return {
        **config,
        "weights": run.weights,
        "best_epoch": run.best_epoch,
        **{f"version of {name}": version for name, version in run.versions.items()},
    }


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            found |= _flat(item, f"{prefix}{name}.")
        else:
            found[prefix + name] = item
    return found


def _different(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Pair]:
    return {
        name: (a.get(name), b.get(name))
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name)
    }


def _data_difference(a: RunFolder, b: RunFolder) -> DataDifference:
    rows = a.rows(), b.rows()
    places = [{row.sha256: row for row in of} for of in rows]
    shared = places[0].keys() & places[1].keys()
    pairs = [(places[0][digest], places[1][digest]) for digest in shared]
    return DataDifference(
        names=(a.run.data.name, b.run.data.name),
        digests=(_digest(rows[0]), _digest(rows[1])),
        images=(len(rows[0]), len(rows[1])),
        only=(
            sum(row.sha256 not in shared for row in rows[0]),
            sum(row.sha256 not in shared for row in rows[1]),
        ),
        relabelled=sum(one.label != other.label for one, other in pairs),
        moved=sum(one.split != other.split for one, other in pairs),
    )


def _digest(rows: Sequence[SplitRow]) -> str:
    """Of what a run learns from and is judged on, whatever the files are called."""
    facts = sorted((row.sha256, row.label, row.split) for row in rows)
    return sha256(json.dumps(facts).encode())


def _paired(
    a: RunFolder, b: RunFolder, split: str
) -> tuple[dict[str, Metric] | None, str]:  # fmt: skip
    """The difference of every figure with its interval, or why there is none."""
    from train.evaluation.comparison import compare
    from train.report.evidence import read_answers

    if a.run.labels != b.run.labels or a.run.melanoma != b.run.melanoma:
        return None, "their classes differ"
    answers = read_answers(a, split), read_answers(b, split)
    orders = [_order(answered.rows) for answered in answers]
    rows = [
        [answered.rows[i] for i in order] for answered, order in zip(answers, orders, strict=True)
    ]
    if [row.sha256 for row in rows[0]] != [row.sha256 for row in rows[1]]:
        return None, f"their {SPLIT_WORDS[split]} images differ"
    if [row.label for row in rows[0]] != [row.label for row in rows[1]]:
        return None, f"their {SPLIT_WORDS[split]} images bear different labels"
    taken = [
        answered.predictions.take(np.array(order))
        for answered, order in zip(answers, orders, strict=True)
    ]
    if not np.array_equal(taken[0].groups, taken[1].groups):
        # The finer grouping would make the interval too narrow.
        coarser = min(taken, key=lambda one: len(np.unique(one.groups))).groups
        taken = [replace(one, groups=coarser) for one in taken]
    config = a.run.config
    found = compare(
        taken[0], taken[1], a.run.operating_points, b.run.operating_points,
        bootstrap=config.bootstrap, seed=config.seed,
    )  # fmt: skip
    return found, ""


def _order(rows: Sequence[SplitRow]) -> list[int]:
    return sorted(range(len(rows)), key=lambda i: (rows[i].sha256, rows[i].label))
