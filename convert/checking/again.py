"""The gate run again: a bundle's variants on labelled images, against a reference."""

from __future__ import annotations

from collections.abc import Sequence

from convert.checking.execution import (
    Execution,
    executable,
    held_out,
    select,
    title_of,
    unexecuted,
)
from convert.checking.reference import check_reference
from convert.checking.rule import Rule
from convert.gate.judge import Margins
from edge_runtime.bundle import Bundle
from edge_runtime.manifest import Variant
from train.data.table import Dataset
from train.run import RunFolder


def check(
    bundle: Bundle, data: Dataset, split: str, margins: Margins, *, reference: RunFolder | None,
    variants: Sequence[str] | None = None, bootstrap: int = 1000, seed: int = 0,
) -> list[Variant]:  # fmt: skip
    """Judge a bundle's variants on a split of a data set.

    Args:
        bundle: opened; every model file's digest is checked on the way.
        data: labelled images whose classes the model knows.
        split: which part of them.
        margins: the largest losses that pass.
        reference: a run whose Keras model is compared with; without one, the bundle's own float32
            TFLite file is, which conversion judged against it.
        variants: names; all of the bundle's for None.
        bootstrap, seed: of the 95% intervals.

    Returns:
        the manifest's entries with metrics, difference, verdict and reason of these images. A
        variant that nothing here executes cannot be judged, and says so.

    Raises:
        VariantError: no reference, or a variant that the bundle does not hold.
        ClassError: the data has a class that the model does not know.
        LeakError: the model was trained on some of the images.
        GateError: the images hold no melanoma.
    """
    rule = Rule(split, margins, bootstrap, seed)
    chosen = select(bundle, variants)
    check_reference(bundle, reference)
    execution = Execution(bundle, held_out(data, split, {title_of(bundle): bundle}, reference))
    expected, threshold = execution.reference(reference)
    return [
        rule.judged(variant, execution.of(variant), expected, threshold)
        if executable(variant)
        else unexecuted(variant, split)
        for variant in chosen
    ]
