"""From a run to what its model files say of themselves."""

from __future__ import annotations

from convert.card import INTENDED_USE
from convert.metadata import Facts
from convert.outcome import Options
from convert.variants import VariantKind
from train.config import IMPORTED
from train.data.description import UNKNOWN_LICENCE
from train.run import RunFolder

AUTHOR = "dermedge"


def facts_of(run: RunFolder, kind: VariantKind, options: Options) -> Facts:
    """What is written into the file of one variant of a run."""
    record = run.run
    images = "generated images" if record.data.generated else "images"
    seen = f"trained on {sum(record.counts['train'].values())} {images} of {record.data.name}"
    if record.config.arch == IMPORTED:
        seen = "trained elsewhere"
    return Facts(
        name=options.name or record.name,
        version=options.version,
        variant=kind.name,
        description=(
            f"{record.config.arch} for {len(record.labels)} classes, {seen}. {INTENDED_USE}"
        ),
        author=AUTHOR,
        licence=licence_of(run, options),
        citations=tuple(filter(None, [record.data.citation])),
        labels=record.labels,
        input=record.input,
    )


def licence_of(run: RunFolder, options: Options) -> str:
    """SPDX identifier of the model files: as told, or of the data that the model was trained on.

    A model that was trained elsewhere was trained on other data than the run's.
    """
    if options.licence:
        return options.licence
    return UNKNOWN_LICENCE if run.run.config.arch == IMPORTED else run.run.data.licence
