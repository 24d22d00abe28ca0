"""From a run to what its model files say of themselves."""

from __future__ import annotations

from convert.card import INTENDED_USE
from convert.metadata import Facts
from convert.outcome import Options
from convert.variants import VariantKind
from train.run import RunFolder

AUTHOR = "dermedge"


def facts_of(run: RunFolder, kind: VariantKind, options: Options) -> Facts:
    """What is written into the file of one variant of a run."""
    record = run.run
    images = "generated images" if record.data.generated else "images"
    return Facts(
        name=options.name or record.name,
        version=options.version,
        variant=kind.name,
        description=(
            f"{record.config.arch} for {len(record.labels)} classes, trained on "
            f"{sum(record.counts['train'].values())} {images} of {record.data.name}. {INTENDED_USE}"
        ),
        author=AUTHOR,
        licence=record.data.licence,
        citations=tuple(filter(None, [record.data.citation])),
        labels=record.labels,
        input=record.input,
    )
