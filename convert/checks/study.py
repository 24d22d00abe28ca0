"""Measure the checks on real images, and write `docs/quality.md` with its plots.

    python -m convert.checks.study --data HAM --bundle BUNDLE --others PHOTOGRAPHS --out docs

HAM is a data set with a train, val and test part in one resolution; BUNDLE is a bundle trained on
its training part, whose probabilities are compared with features of the picture; PHOTOGRAPHS is
what `convert.checks.photographs` cut. Thresholds are fitted on the validation part, methods are
compared on validation and on the seen sources; the test part and the unseen sources are looked at
for what is written only. No patient's picture is in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convert.calibration import calibration_rows
from convert.checks import methods, page
from convert.checks.damage import DAMAGES
from convert.checks.fitting import MOST_LEARNT, damaged_figures, describe, fit_checks
from convert.checks.photographs import Others
from edge_runtime import appearance, quality
from edge_runtime.bundle import Bundle
from edge_runtime.checks import Inspector
from edge_runtime.preprocess import InputRule
from edge_runtime.square import square_of
from train.data.table import read_data
from train.data.tensors import digest_files, load_tensors
from train.run import SplitRow

SEED = 0
MOST_SPOILT = 100
"""Test images that are damaged, at every severity."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("data", "bundle", "others", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args(words)
    bundle = Bundle.open(arguments.bundle)
    rule = InputRule(bundle.manifest.input.size)
    data = read_data(arguments.data)
    files = [record.file for record in data.records]
    digests = digest_files(files)
    tensors = load_tensors(files, digests, rule)
    rows = [
        SplitRow(one.image_id, one.file.name, digest, one.label, one.lesion_id or "",
                 one.split or "", one.extra)
        for one, digest in zip(data.records, digests, strict=True)
    ]  # fmt: skip
    fitted = fit_checks(tensors, rows, rule, data.codes, seed=SEED)
    assert fitted is not None
    familiar = appearance.read_familiar(fitted.familiar, fitted.checks.familiar.file)
    inspector = Inspector(fitted.checks, familiar)
    others = Others.read(arguments.others, rule)

    rng = np.random.default_rng(SEED)
    held = [index for index, row in enumerate(rows) if row.split == "val"]
    learnt = calibration_rows(rows, MOST_LEARNT, SEED)
    table = methods.compare(
        bundle,
        np.stack([describe(tensors[index]) for index in learnt]),
        [rows[index].label for index in learnt],
        [row.label for row in rows if row.split == "train"],
        tensors[held],
        [rows[index].label for index in held],
        others.tensors[others.seen],
    )
    tested = np.array([index for index, row in enumerate(rows) if row.split == "test"])
    outcome = page.outcome(inspector, tensors, tested)
    spoilt = rng.permutation(tested)[:MOST_SPOILT]
    good = [quality.figures(square_of(np.array(tensors[row]))) for row in spoilt]
    curves = {
        flaw: [damaged_figures(tensors, spoilt, flaw, severity) for severity in range(1, 6)]
        for flaw in DAMAGES
    }
    page.write(
        arguments.out, fitted.checks, [rows[i] for i in tested], outcome, good, curves, table,
        others, inspector, bundle.manifest,
    )  # fmt: skip


if __name__ == "__main__":
    main()
