"""Writing a bundle: model files, golden inputs, labels, card, report, and the manifest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.card import INTENDED_USE, model_card
from convert.checks.fitting import FAMILIAR_FILE, Fitted
from convert.golden import golden_png
from convert.identity import weights_sha256
from convert.metadata.facts import licence_of
from convert.outcome import Material, Options, Outcome
from convert.report import render_report
from convert.report.parts import parts_of_test
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
from train.config import IMPORTED
from train.evaluation.trained_on import TRAINED_ON_FILE, trained_on_text
from train.output import writing
from train.run import RunFolder

CARD_FILE, REPORT_FILE = "MODEL_CARD.md", "report.html"


def pack(
    out: Path, run: RunFolder, material: Material, golden: Sequence[NDArray[np.uint8]],
    gate: Gate, options: Options, fitted: Fitted | None = None,
) -> None:  # fmt: skip
    """Write the bundle ``out``, whole or not at all; an earlier one is replaced.

    Args:
        out: the bundle's folder.
        run: where the model came from.
        material: the variants, with the content of their files, and what they answered; those that
            are kept go into the bundle, the report tells of all.
        golden: generated inputs of shape (size, size, 3).
        gate: how the variants were judged.
        options: the bundle's name and version, and whether photographs may be in its report.
        fitted: the checks of photographs, if there are any.

    Raises:
        UsageError: ``out`` cannot be written.
    """
    kept = sorted((one for one in material.outcomes if one.kept), key=lambda one: one.kind.rank)
    pictures = {f"golden/{place}.png": golden_png(image) for place, image in enumerate(golden)}
    files = {name: BundleFile(name, sha256(content)) for name, content in pictures.items()}
    manifest = _manifest(run, kept, tuple(files.values()), gate, options)
    if fitted is not None:
        manifest = replace(manifest, checks=fitted.checks)
    parts = parts_of_test(material, run, bootstrap=options.bootstrap, seed=options.seed)
    texts = {
        LABELS_FILE: "".join(f"{code}\n" for code in manifest.codes),
        TRAINED_ON_FILE: trained_on_text(run),
        CARD_FILE: model_card(
            manifest, run, material, parts, pictures=options.pictures, remarks=options.remarks
        ),
    }
    manifest = _listing(manifest, texts)
    texts[REPORT_FILE] = render_report(
        manifest, run, material, pictures=options.pictures, seed=options.seed
    )
    manifest = _listing(manifest, texts)
    with writing(out), new_folder(out) as folder:
        (folder / "golden").mkdir()
        for name, content in pictures.items():
            write_bytes(folder / name, content)
        for outcome in kept:
            assert outcome.entry is not None
            write_bytes(folder / outcome.entry.file, outcome.model)
        if fitted is not None:
            write_bytes(folder / FAMILIAR_FILE, fitted.familiar)
        for name, text in texts.items():
            write_text(folder / name, text)
        write_text(folder / MANIFEST_FILE, format_manifest(manifest))


def _manifest(
    run: RunFolder, kept: Sequence[Outcome], golden: tuple[BundleFile, ...], gate: Gate,
    options: Options,
) -> Manifest:  # fmt: skip
    record = run.run
    imported = record.config.arch == IMPORTED
    return Manifest(
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
            licence=licence_of(run, options),
            citations=tuple(filter(None, [record.data.citation])),
            training_images=None if imported else sum(record.counts["train"].values()),
            weights_sha256=weights_sha256(run.model()),
        ),
        gate=gate,
        variants=tuple(outcome.entry for outcome in kept if outcome.entry is not None),
        golden_inputs=golden,
        other_files=(),
    )


def _listing(manifest: Manifest, texts: dict[str, str]) -> Manifest:
    """The manifest with these files for its other files."""
    listed = tuple(BundleFile(name, sha256(text.encode())) for name, text in texts.items())
    return replace(manifest, other_files=listed)
