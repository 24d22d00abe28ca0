"""Writing a bundle: model files, golden inputs, labels, card, and the manifest that lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.card import INTENDED_USE, model_card
from convert.golden import golden_png
from convert.outcome import Options, Outcome
from edge_runtime._files import new_folder, sha256, write_bytes, write_text
from edge_runtime.manifest import (
    LABELS_FILE,
    MANIFEST_FILE,
    SCHEMA_VERSION,
    BundleFile,
    Gate,
    Manifest,
    Source,
    format_manifest,
)
from train.evaluation.trained_on import TRAINED_ON_FILE, trained_on_text
from train.run import RunFolder

CARD_FILE = "MODEL_CARD.md"


def pack(
    out: Path, run: RunFolder, kept: Sequence[Outcome], golden: Sequence[NDArray[np.uint8]],
    gate: Gate, options: Options,
) -> None:  # fmt: skip
    """Write the bundle ``out``, whole or not at all; an earlier one is replaced.

    Args:
        out: the bundle's folder.
        run: where the model came from.
        kept: the variants that go into it, with their files' content.
        golden: generated inputs of shape (size, size, 3).
        gate: how the variants were judged.
        options: the bundle's name and version.
    """
    record = run.run
    with new_folder(out) as folder:
        (folder / "golden").mkdir()
        inputs = []
        for index, image in enumerate(golden):
            content = golden_png(image)
            name = f"golden/{index}.png"
            write_bytes(folder / name, content)
            inputs.append(BundleFile(name, sha256(content)))
        others = {
            LABELS_FILE: "".join(f"{code}\n" for code in record.codes),
            TRAINED_ON_FILE: trained_on_text(run),
        }
        entries = []
        for outcome in sorted(kept, key=lambda one: one.kind.rank):
            assert outcome.entry is not None
            write_bytes(folder / outcome.entry.file, outcome.model)
            entries.append(outcome.entry)
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            name=options.name or record.name,
            version=options.version,
            intended_use=INTENDED_USE,
            labels=record.labels,
            melanoma=record.melanoma,
            input=record.input,
            source=Source(
                architecture=record.config.arch,
                weights=record.weights,
                run=record.name,
                data=record.data.name,
                generated=record.data.generated,
                licence=record.data.licence,
                citations=tuple(filter(None, [record.data.citation])),
                training_images=sum(record.counts["train"].values()),
            ),
            gate=gate,
            variants=tuple(entries),
            golden_inputs=tuple(inputs),
            other_files=(),
        )
        others[CARD_FILE] = model_card(manifest)
        for name, text in others.items():
            write_text(folder / name, text)
        listed = tuple(BundleFile(name, sha256(text.encode())) for name, text in others.items())
        manifest = replace(manifest, other_files=listed)
        write_text(folder / MANIFEST_FILE, format_manifest(manifest))
