"""From a run folder to a bundle: convert, run as the device does, judge, keep what passes."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.calibration import calibration_rows
from convert.checks.fitting import fit_checks
from convert.evidence import Held, Images, images_of_run
from convert.gate.judge import refuse_undecidable
from convert.gate.statistics import CONFIDENCE
from convert.golden import golden_images
from convert.ladder import climbed, fallback_of
from convert.making import Make, making
from convert.outcome import Conversion, Material, Options, Outcome
from convert.packing import pack
from convert.timing import timed
from convert.trial import JUDGED_ON, REPORTED_ON, Bench
from convert.variants import VARIANTS, Exported
from edge_runtime._terminal import quiet_stderr
from edge_runtime.errors import (
    ConversionError,
    ModelMismatchError,
    UsageError,
    VariantUnsupportedError,
)
from edge_runtime.manifest import MANIFEST_FILE, Gate
from train import backend, progress
from train.metrics import Predictions
from train.output import try_place
from train.report.evidence import read_answers
from train.run import RunFolder


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
        UsageError: ``out`` exists and may not be replaced, or cannot be written.
        DataError: the run's images are gone or changed.
        GateError: the validation part has no melanoma, or nothing else.
    """
    if out.exists() and not (overwrite and (out / MANIFEST_FILE).is_file()):
        raise UsageError(
            f"{out} exists already; add --overwrite to replace a bundle, or name another --out."
        )
    try_place(out)  # now, not after minutes of converting
    backend.prepare()
    images = images_of_run(run, data)
    calibration = calibration_rows(images.rows, options.calibration_images, options.seed)
    model = run.model()
    bench = _bench(run, images, model, options)
    refuse_undecidable(bench.held[JUDGED_ON].reference, "The validation images")
    with tempfile.TemporaryDirectory(prefix="dermedge-") as scratch:
        exported = _export(run, model, images.tensors[calibration], Path(scratch))
        with making(exported, run, options.variants, bench.executions) as make:
            outcomes = _outcomes(make, bench)
    outcomes = timed(outcomes, bench.golden[0])
    if not any(outcome.kept for outcome in outcomes):
        return Conversion(outcomes, None)
    material = Material(outcomes, bench.held, images, tuple(calibration.tolist()))
    ids = tuple(images.rows[index].image_id for index in calibration)
    gate = _gate(bench.held[JUDGED_ON].reference, ids, options)
    record = run.run
    fitted = fit_checks(images.tensors, images.rows, record.input, record.codes, seed=options.seed)
    if fitted is None:
        progress.say("checks: none; there are too few training or validation images to fit them on")
    pack(out, run, material, bench.golden, gate, options, fitted)
    return Conversion(outcomes, out)


def _outcomes(make: Make, bench: Bench) -> tuple[Outcome, ...]:
    """Every variant that was asked for, and the fallbacks of those that did not pass."""
    outcomes: list[Outcome] = []
    queue = [(kind, "") for kind in bench.options.variants]
    while queue:
        kind, because = queue.pop(0)
        try:
            outcome = climbed(kind, make(kind), bench)
        except (VariantUnsupportedError, ModelMismatchError) as error:
            outcome = Outcome(kind, None, reason=str(error))
        outcomes.append(replace(outcome, because=because))
        progress.say(_line(outcomes[-1]))
        instead = fallback_of(outcome, bench)
        if instead and instead not in {one.kind.name for one in outcomes} | {
            waiting.name for waiting, _ in queue
        }:
            queue.append((VARIANTS[instead], f"{kind.name} did not pass"))
    return tuple(outcomes)


def _bench(run: RunFolder, images: Images, model: Any, options: Options) -> Bench:
    from train.pipeline import predictor

    held = {
        split: Held(images.of_split(split), read_answers(run, split).predictions)
        for split in (JUDGED_ON, REPORTED_ON)
    }
    golden = golden_images(run.run.input.size)
    answers = predictor(model)(np.stack(golden), np.arange(len(golden)))
    return Bench(run, images, held, tuple(golden), answers, options)


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
    name = outcome.kind.name + (f" (as {outcome.because})" if outcome.because else "")
    if outcome.entry is None:
        return f"{name}: left out; {outcome.reason}"
    return f"{name}: {outcome.entry.verdict}; {outcome.entry.reason}"
