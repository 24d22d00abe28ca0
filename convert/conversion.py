"""From a run folder to a bundle: convert, run as the device does, judge, keep what passes."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.calibration import calibration_rows
from convert.evidence import Images, images_of_run, predictions
from convert.gate.judge import Judgement, judge
from convert.gate.statistics import CONFIDENCE
from convert.golden import golden_images
from convert.metadata import describe
from convert.metadata.facts import facts_of
from convert.outcome import Conversion, Options, Outcome
from convert.packing import pack
from convert.variants import Exported, VariantKind
from edge_runtime._files import sha256
from edge_runtime._quiet import quiet_stderr
from edge_runtime.errors import (
    ConversionError,
    ModelMismatchError,
    UsageError,
    VariantUnsupportedError,
)
from edge_runtime.manifest import MANIFEST_FILE, Gate, Metric, Variant, Verdict
from train import backend, progress
from train.evaluation.execution import median_ms, open_model, run_images
from train.metrics import Predictions, evaluate, operating_points
from train.run import RunFolder

JUDGED_ON, REPORTED_ON = "val", "test"
_OF_TARGETS = ("auc", "average_precision", "sensitivity", "specificity", "brier")
HEADLINE = frozenset(
    ("accuracy", "balanced_accuracy", "macro_f1", "precision", "recall", "ece", "ece_by_chance")
) | {f"{target}_{name}" for target in ("melanoma", "malignant") for name in _OF_TARGETS}
"""The figures that a manifest gives for every variant."""
UNEXECUTED = (
    "no runtime here can execute {format} files, so only their structure was checked; operating "
    "points and golden answers are the Keras model's"
)
"""Why a variant that the device package has no interpreter for cannot be judged."""


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
            try:
                outcome = _one(kind, exported, run, images, held, golden, options)
            except (VariantUnsupportedError, ModelMismatchError) as error:
                outcome = Outcome(kind, None, reason=str(error))
            outcomes.append(outcome)
            progress.say(_line(outcome))
    kept = [outcome for outcome in outcomes if outcome.kept]
    if not kept:
        return Conversion(tuple(outcomes), None)
    ids = tuple(images.rows[index].image_id for index in calibration)
    pack(out, run, kept, golden, _gate(held[JUDGED_ON].reference, ids, options), options)
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
    """Convert, run and judge one variant.

    Raises:
        VariantUnsupportedError: the format cannot hold the model.
        ModelMismatchError: the device's interpreter cannot load the file, or answers no numbers.
    """
    model = describe(kind.convert(exported), kind.format, facts_of(run, kind, options))
    if not kind.executable:
        return _unexecuted(kind, model, exported, run, golden, options)
    interpreter = open_model(model, kind.format)
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
            split: _headline(evaluate(part, points, bootstrap=options.bootstrap, seed=options.seed))
            for split, part in answered.items()
        },
        difference={split: judgement.difference for split, judgement in judged.items()},
        verdict=verdict,
        reason=reason,
    )
    speed = median_ms(model, kind.format, golden[0])
    return Outcome(kind, entry, model, median_ms=speed, kept=_kept(verdict, options))


def _unexecuted(
    kind: VariantKind, model: bytes, exported: Exported, run: RunFolder,
    golden: list[NDArray[np.uint8]], options: Options,
) -> Outcome:  # fmt: skip
    """What can be said of a variant that no interpreter of the device package executes."""
    from train.pipeline import predictor

    expected = predictor(exported.model)(np.stack(golden), np.arange(len(golden)))
    entry = Variant(
        name=kind.name,
        file=kind.file,
        bytes=len(model),
        sha256=sha256(model),
        format=kind.format,
        quantization=kind.quantization,
        operating_points=run.run.operating_points,
        golden=tuple(tuple(map(_decimal, row)) for row in expected),
        golden_tolerance=kind.tolerance,
        metrics={split: {} for split in (JUDGED_ON, REPORTED_ON)},
        difference={split: {} for split in (JUDGED_ON, REPORTED_ON)},
        verdict="cannot judge",
        reason=UNEXECUTED.format(format=kind.format),
    )
    return Outcome(kind, entry, model, median_ms=math.nan, kept=_kept(entry.verdict, options))


def _kept(verdict: Verdict, options: Options) -> bool:
    return (
        verdict == "pass"
        or (verdict == "cannot judge" and options.accept_unproven)
        or (verdict == "fail" and options.allow_failing)
    )


def _headline(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """The figures that travel to a device; the run and `dermedge evaluate` have them all."""
    return {name: metric for name, metric in metrics.items() if name in HEADLINE}


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


def _line(outcome: Outcome) -> str:
    if outcome.entry is None:
        return f"{outcome.kind.name}: left out; {outcome.reason}"
    return f"{outcome.kind.name}: {outcome.entry.verdict}; {outcome.entry.reason}"


def _decimal(value: np.float32) -> float:
    return float(str(value))
