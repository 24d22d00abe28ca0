"""From a run folder to a bundle: convert, run as the device does, judge, keep what passes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.calibration import DEFAULT_IMAGES, calibration_rows
from convert.card import INTENDED_USE, model_card
from convert.evidence import Images, images_of_run, predictions
from convert.gate.judge import Judgement, Margins, judge
from convert.gate.statistics import CONFIDENCE
from convert.golden import golden_images, golden_png
from convert.variants import Exported, VariantKind, chosen
from edge_runtime._files import new_folder, sha256, write_bytes, write_text
from edge_runtime._quiet import quiet_stderr
from edge_runtime.errors import ConversionError, UsageError, VariantUnsupportedError
from edge_runtime.manifest import (
    LABELS_FILE,
    MANIFEST_FILE,
    SCHEMA_VERSION,
    BundleFile,
    Gate,
    Manifest,
    Source,
    Variant,
    format_manifest,
)
from train import backend, progress
from train.evaluation.execution import median_ms, open_model, run_images
from train.evaluation.trained_on import TRAINED_ON_FILE, trained_on_text
from train.metrics import Predictions, evaluate, operating_points
from train.run import RunFolder

JUDGED_ON, REPORTED_ON = "val", "test"
CARD_FILE = "MODEL_CARD.md"


@dataclass(frozen=True)
class Options:
    """How to convert.

    Attributes:
        variants: which ones; see `convert.variants`.
        margins: the largest losses that pass.
        calibration_images: how many training images the quantizer sees.
        accept_unproven: keep variants that cannot be judged, marked as such.
        allow_failing: keep failing variants, marked as such.
        name, version: of the bundle; the name is the run's unless given.
        seed: of the calibration draw and of the intervals.
        bootstrap: resamples behind the 95% intervals.
    """

    variants: tuple[VariantKind, ...] = field(default_factory=lambda: chosen(None))
    margins: Margins = field(default_factory=Margins)
    calibration_images: int = DEFAULT_IMAGES
    accept_unproven: bool = False
    allow_failing: bool = False
    name: str | None = None
    version: str = "0.1.0"
    seed: int = 0
    bootstrap: int = 1000


@dataclass(frozen=True)
class Outcome:
    """What became of one variant.

    Attributes:
        kind: which variant.
        entry: its line in the manifest; None where the format cannot hold the model.
        model: content of its file, empty where there is none.
        reason: why there is no entry.
        median_ms: of one inference on one thread of this machine.
        kept: whether it is in the bundle.
    """

    kind: VariantKind
    entry: Variant | None
    model: bytes = b""
    reason: str = ""
    median_ms: float = 0.0
    kept: bool = False


@dataclass(frozen=True)
class Conversion:
    """The outcome of a conversion; ``bundle`` is None where nothing was worth keeping."""

    outcomes: tuple[Outcome, ...]
    bundle: Path | None


@dataclass(frozen=True)
class _Held:
    """One split: which rows, and what the Keras model says of them."""

    rows: NDArray[np.int64]
    reference: Predictions


def convert(
    run: RunFolder, out: Path, options: Options, data: Path | None = None, *,
    overwrite: bool = False,
) -> Conversion:  # fmt: skip
    """Convert a run into the bundle ``out``.

    The validation part judges; the test part is run once, for the report, by variants that were
    judged already.

    Args:
        run: the opened run folder.
        out: bundle folder to write; appears only when everything in it is written.
        options: how.
        data: where the run's images are now, if they have moved.
        overwrite: replace an earlier bundle at ``out``.

    Raises:
        UsageError: ``out`` exists and may not be replaced.
        DataError: the run's images are gone or changed.
        GateError: the validation part has no melanoma.
    """
    if out.exists() and not (overwrite and (out / MANIFEST_FILE).is_file()):
        raise UsageError(
            f"{out} exists already; add --overwrite to replace a bundle, or name another --out."
        )
    backend.prepare()
    images = images_of_run(run, data)
    calibration = calibration_rows(images.rows, options.calibration_images, options.seed)
    golden = golden_images(run.run.input.size)
    model = run.model()
    held = _reference(run, images, model)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="dermedge-") as scratch:
        exported = _export(run, model, images.tensors[calibration], Path(scratch))
        for kind in options.variants:
            outcome = _one(kind, exported, run, images, held, golden, options)
            outcomes.append(outcome)
            progress.say(_line(outcome))
    kept = [outcome for outcome in outcomes if outcome.kept]
    if not kept:
        return Conversion(tuple(outcomes), None)
    ids = tuple(images.rows[index].image_id for index in calibration)
    _write(out, run, kept, golden, _gate(held[JUDGED_ON].reference, ids, options), options)
    return Conversion(tuple(outcomes), out)


def _reference(run: RunFolder, images: Images, model: Any) -> dict[str, _Held]:
    from train.pipeline import predictor

    predict = predictor(model)
    held = {}
    for split in (JUDGED_ON, REPORTED_ON):
        rows = images.of_split(split)
        answered = predict(images.tensors, rows)
        held[split] = _Held(rows, _beside_truth(run, images, rows, answered))
    return held


def _beside_truth(
    run: RunFolder, images: Images, rows: NDArray[np.int64], answered: NDArray[np.float32]
) -> Predictions:
    chosen_rows = [images.rows[index] for index in rows]
    return predictions(answered, chosen_rows, run.run.labels, run.run.melanoma)


def _export(run: RunFolder, model: Any, calibration: NDArray[np.uint8], scratch: Path) -> Exported:
    import keras

    size = run.run.input.size
    signature = [keras.InputSpec(shape=(1, size, size, 3), dtype="float32", name="image")]
    folder = scratch / "saved_model"
    try:
        with quiet_stderr():
            model.export(
                str(folder), format="tf_saved_model", input_signature=signature, verbose=False
            )
    except (ValueError, RuntimeError) as error:
        raise ConversionError(f"The Keras model cannot be exported: {error}") from None
    return Exported(model, folder, size, calibration, run.run.codes)


def _one(
    kind: VariantKind, exported: Exported, run: RunFolder, images: Images,
    held: dict[str, _Held], golden: list[NDArray[np.uint8]], options: Options,
) -> Outcome:  # fmt: skip
    """Convert, run and judge one variant."""
    try:
        model = kind.convert(exported)
    except VariantUnsupportedError as error:
        return Outcome(kind, None, reason=str(error))
    answered: dict[str, Predictions] = {}
    judged: dict[str, Judgement] = {}
    threshold = run.run.operating_points[held[JUDGED_ON].reference.targets[0]].threshold
    total = sum(len(part.rows) for part in held.values())
    with progress.bar(kind.name, total) as update:
        done = iter(range(1, total + 1))
        for split, part in held.items():
            probabilities = run_images(
                model, kind.format, images.tensors, part.rows, lambda n: update(next(done))
            )
            answered[split] = _beside_truth(run, images, part.rows, probabilities)
            judged[split] = judge(part.reference, answered[split], threshold, options.margins)
    points = operating_points(answered[JUDGED_ON], run.run.config.sensitivity)
    verdict, reason = judged[JUDGED_ON].verdict, judged[JUDGED_ON].reason
    interpreter = open_model(model, kind.format)
    entry = Variant(
        name=kind.name,
        file=kind.file,
        bytes=len(model),
        sha256=sha256(model),
        format=kind.format,
        quantization=kind.quantization,
        operating_points=points,
        golden=tuple(tuple(map(_decimal, interpreter.run(image))) for image in golden),
        golden_tolerance=kind.tolerance,
        metrics={
            split: evaluate(part, points, bootstrap=options.bootstrap, seed=options.seed)
            for split, part in answered.items()
        },
        difference={split: judgement.difference for split, judgement in judged.items()},
        verdict=verdict,
        reason=reason,
    )
    kept = (
        verdict == "pass"
        or (verdict == "cannot judge" and options.accept_unproven)
        or (verdict == "fail" and options.allow_failing)
    )
    speed = median_ms(model, kind.format, golden[0])
    return Outcome(kind, entry, model, median_ms=speed, kept=kept)


def _gate(reference: Predictions, calibration: tuple[str, ...], options: Options) -> Gate:
    positive = reference.positive(reference.targets[0])
    return Gate(
        split=JUDGED_ON,
        images=len(positive),
        melanomas=int(positive.sum()),
        melanoma_lesions=len(np.unique(reference.groups[positive])),
        auc_margin=options.margins.auc,
        sensitivity_margin=options.margins.sensitivity,
        confidence=CONFIDENCE,
        calibration_images=calibration,
    )


def _write(
    out: Path, run: RunFolder, kept: list[Outcome], golden: list[NDArray[np.uint8]], gate: Gate,
    options: Options,
) -> None:  # fmt: skip
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


def _line(outcome: Outcome) -> str:
    if outcome.entry is None:
        return f"{outcome.kind.name}: left out; {outcome.reason}"
    return f"{outcome.kind.name}: {outcome.entry.verdict}; {outcome.entry.reason}"


def _decimal(value: np.float32) -> float:
    return float(str(value))
