"""How often the gate is right: `python -m convert.gate.simulation` writes docs/gate.md's tables.

Every row judges new lesions again and again with the gate's own code, in a world whose true losses
are known (`convert.gate.simulated`).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from convert.gate import simulated
from convert.gate.band import around, found_share, point
from convert.gate.judge import Losses, Margins, measure
from convert.gate.simulated import CASES, SENSITIVITY, Case, Photographs, Setting
from convert.gate.statistics import CONFIDENCE, Discordance, discordance
from edge_runtime._files import write_text
from edge_runtime.manifest import Verdict
from train import progress
from train.evaluation.shares import wilson
from train.metrics import operating_point

DOCUMENT = Path(__file__).parents[2] / "docs" / "gate.md"
MARKED = re.compile(r"<!-- simulation -->.*?<!-- /simulation -->", re.DOTALL)
REPETITIONS = 2000

HAM10000 = Setting("HAM10000's validation part", (36, 37, 14, 1), (776, 182, 69, 5, 0, 1))
SETTINGS = (
    replace(HAM10000, name="the same, of a better model (AUC 0.92)", easier=0.9),
    Setting("half as many lesions", (18, 19, 7), (388, 91, 34, 3)),
    Setting("twice as many lesions", (72, 74, 28, 2), (1552, 364, 138, 10, 0, 2)),
    Setting("one photograph a lesion", (88,), (1033,)),
)


ELSEWHERE = (
    "full int8", "5 points by noise shared in lesions", "0.01 of AUC by noise",
    "8 points as whole lesions", "0.03 of AUC by noise",
)  # fmt: skip
"""The cases that are tried with other photographs."""

MARGINS = Margins()

HEADINGS = (
    "**What the gate says** (share of repetitions with its 95% interval; the second and third "
    "column are the true losses):",
    "**How often a loss's bound lies inside its margin**: that of the AUC, and bounds that were "
    "tried for the sensitivity. The last is the gate's:",
    "**Other photographs** (pass / fail / cannot judge):",
)


@dataclass(frozen=True)
class Judged:
    """One repetition.

    Attributes:
        losses: what the gate measured.
        bounds: what other bounds would have said of the loss of sensitivity, by `ESTIMATORS`.
    """

    losses: Losses
    bounds: dict[str, float]


def judged(
    setting: Setting, case: Case, repetitions: int, seed: int, *, compare: bool = False
) -> Iterator[Judged]:
    """Judge a case on new lesions.

    Args:
        setting: which photographs.
        case: which variant.
        repetitions: how often.
        seed: of everything that is drawn.
        compare: try the other bounds too.
    """
    from scipy.special import expit

    random = np.random.default_rng(seed)
    for _ in range(repetitions):
        given = simulated.photographs(random, setting)
        melanomas, others = case.damage(case.size, random, given)
        reference = expit(np.concatenate([given.melanomas, given.others]))
        variant = expit(np.concatenate([melanomas, others]))
        positive = np.arange(len(reference)) < len(melanomas)
        apart = given.other_lesions + given.melanoma_lesions[-1] + 1
        groups = np.concatenate([given.melanoma_lesions, apart])
        threshold = operating_point(reference, positive, SENSITIVITY, "melanoma").threshold
        losses = measure(reference, variant, positive, groups, threshold)
        bounds = {}
        if compare:
            for place, band in (("point", point), ("band", around)):
                where = band(reference, positive, threshold)
                kept = found_share(reference, positive, where)
                left = found_share(variant, positive, where)
                for name, bound in ESTIMATORS[place].items():
                    bounds[name] = bound(kept, left, given)
        yield Judged(losses, bounds)


# Bounds of the loss of sensitivity that the gate's was chosen among.

_Found = NDArray[np.float64]
Bound = Callable[[_Found, _Found, Photographs], float]


def by_lesions(kept: _Found, left: _Found, given: Photographs) -> float:
    """Tango's, every lesion a pair."""
    lesions = given.melanoma_lesions
    return replace(discordance(kept, left, lesions), pairs=lesions[-1] + 1).loss().high


def by_photographs(kept: _Found, left: _Found, given: Photographs) -> float:
    """Tango's, every photograph a pair."""
    lost, gained = (kept - left).clip(min=0).mean(), (left - kept).clip(min=0).mean()
    return Discordance(float(lost), float(gained), len(kept)).loss().high


def by_effective_pairs(kept: _Found, left: _Found, given: Photographs) -> float:
    """Tango's, with the effective number of pairs."""
    return discordance(kept, left, given.melanoma_lesions).loss().high


def by_wald(kept: _Found, left: _Found, given: Photographs) -> float:
    """Mean and standard error of the lesions' mean differences, as after a bootstrap."""
    lesions = given.melanoma_lesions
    means = np.bincount(lesions, kept - left) / np.bincount(lesions)
    error = means.std(ddof=1) / np.sqrt(len(means))
    return float(means.mean() + NormalDist().inv_cdf(CONFIDENCE) * error)


ESTIMATORS: dict[str, dict[str, Bound]] = {
    "point": {
        "point, lesions": by_lesions,
        "point, photographs": by_photographs,
        "point, effective pairs": by_effective_pairs,
    },
    "band": {
        "band, lesions": by_lesions,
        "band, photographs": by_photographs,
        "band, Wald": by_wald,
        "**band, effective pairs**": by_effective_pairs,
    },
}


# The tables


def tables(repetitions: int = REPETITIONS, seed: int = 0) -> str:
    """All tables, in Markdown."""
    names = [name for place in ESTIMATORS.values() for name in place]
    verdicts = [["variant", "AUC", "sensitivity", "pass", "fail", "cannot judge"]]
    bounds = [["variant", "AUC's", *names]]
    total = len(CASES) + len(SETTINGS) * len(ELSEWHERE)
    with progress.bar("simulation", total, unit="row") as update:
        for done, case in enumerate(CASES, 1):
            truth = f"{case.auc:.3g}", f"{case.sensitivity:.3g}"
            runs = list(judged(HAM10000, case, repetitions, seed, compare=True))
            verdicts.append([case.name, *truth, *map(_interval, _verdicts(runs))])
            inside = [np.mean([run.losses.auc.high < MARGINS.auc for run in runs])]
            for name in names:
                inside.append(np.mean([run.bounds[name] < MARGINS.sensitivity for run in runs]))
            bounds.append([case.name, *(f"{share:.1%}" for share in inside)])
            update(done)
        settings = [["photographs", *ELSEWHERE]]
        for setting in SETTINGS:
            row = [setting.name]
            for case in (case for case in CASES if case.name in ELSEWHERE):
                done += 1
                update(done)
                if setting.easier and case.damage is not simulated.rounding:
                    row.append("")  # the size was found for the other model
                    continue
                runs = list(judged(setting, case, repetitions, seed))
                row.append(" / ".join(f"{n / repetitions:.1%}" for n, _ in _verdicts(runs)))
            settings.append(row)
    headed = zip(HEADINGS, (verdicts, bounds, settings), strict=True)
    return "\n\n".join(f"{heading}\n\n{_markdown(rows)}" for heading, rows in headed)


def _verdicts(runs: list[Judged]) -> list[tuple[int, int]]:
    """How many of the runs passed, failed, and could not be judged."""
    counted: Counter[Verdict] = Counter(run.losses.verdict(MARGINS) for run in runs)
    names: tuple[Verdict, ...] = ("pass", "fail", "cannot judge")
    return [(counted[name], len(runs)) for name in names]


def _interval(counted: tuple[int, int]) -> str:
    """A share with Wilson's 95% interval."""
    count, of = counted
    low, high = wilson(count / of, of)
    return f"{count / of:.1%} ({low:.1%} to {high:.1%})"


def _markdown(rows: list[list[str]]) -> str:
    head, *body = rows
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def main(arguments: list[str] | None = None) -> None:
    """Print the tables, and put them between the markers of the document."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    given = parser.parse_args(arguments)
    text = given.document.read_text(encoding="utf-8")
    if not MARKED.search(text):
        sys.exit(f"{given.document} has lost its markers.")
    written = tables(given.repetitions, given.seed)
    print(written)
    marked = f"<!-- simulation -->\n{written}\n<!-- /simulation -->"
    write_text(given.document, MARKED.sub(lambda _: marked, text))


if __name__ == "__main__":
    main()
