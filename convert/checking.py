"""The gate run again: a bundle's variants on labelled images, against a reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convert.gate.judge import Margins, judge
from edge_runtime import backends
from edge_runtime.bundle import Bundle
from edge_runtime.errors import ClassError, VariantError
from edge_runtime.manifest import OperatingPoint, Variant
from train import progress
from train.data.table import Dataset, class_indices
from train.data.tensors import load_tensors
from train.evaluation.execution import run_images
from train.evaluation.images import images_of_data
from train.evaluation.trained_on import refuse_trained, trained_on_bundle
from train.metrics import Predictions, evaluate
from train.run import RunFolder

REFERENCE_VARIANT = "tflite_f32"


def check(
    bundle: Bundle, data: Dataset, split: str, margins: Margins, *, reference: RunFolder | None,
    variants: tuple[str, ...] | None = None, bootstrap: int = 1000, seed: int = 0,
) -> list[Variant]:  # fmt: skip
    """Judge a bundle's variants on a split of a data set.

    Args:
        bundle: opened; every model file's digest is checked on the way.
        data: labelled images whose classes the model knows.
        split: which part of them.
        margins: the largest losses that pass.
        reference: a run whose Keras model is compared with; without one, the bundle's own float32
            TFLite file is, which conversion proved to be equal to it.
        variants: names; all of the bundle's for None.

    Returns:
        the manifest's entries with metrics, difference, verdict and reason of these images.

    Raises:
        VariantError: no reference, or a variant that the bundle does not hold.
        ClassError: the data has a class that the model does not know.
        LeakError: the model was trained on some of the images.
        GateError: the images hold no melanoma.
    """
    manifest = bundle.manifest
    chosen = [manifest.variant(name) for name in variants] if variants else manifest.variants
    images = images_of_data(data, split)
    refuse_trained(images.records, images.digests, trained_on_bundle(bundle), manifest.name)
    truth = Predictions(
        probabilities=np.empty((len(images.records), 0), np.float32),
        truth=class_indices(images.classes, manifest.codes),
        groups=images.groups,
        labels=manifest.labels,
        melanoma=manifest.melanoma,
    )
    with progress.bar("preprocessing") as update:
        tensors = load_tensors(images.files, images.digests, manifest.input, update)
    answered: dict[str, Predictions] = {}

    def answers_of(variant: Variant) -> Predictions:
        if variant.name not in answered:
            model = bundle.model(variant)
            probabilities = _run(model, variant, tensors)
            answered[variant.name] = replace(truth, probabilities=probabilities)
        return answered[variant.name]

    if reference is None:
        compared, points = _own_reference(bundle)
        expected = answers_of(compared)
    else:
        expected, points = _keras_reference(bundle, reference, tensors, truth)
    checked = []
    for variant in chosen:
        if not backends.readable(variant.format):
            checked.append(replace(variant, metrics={split: {}}, difference={split: {}}))
            continue
        answers = answers_of(variant)
        judgement = judge(expected, answers, points[truth.targets[0]].threshold, margins)
        metrics = evaluate(answers, variant.operating_points, bootstrap=bootstrap, seed=seed)
        checked.append(
            replace(
                variant,
                metrics={split: metrics},
                difference={split: judgement.difference},
                verdict=judgement.verdict,
                reason=judgement.reason,
            )
        )
    return checked


def _run(model: bytes, variant: Variant, tensors: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows = np.arange(len(tensors))
    done = iter(range(1, len(rows) + 1))
    with progress.bar(variant.name, len(rows)) as update:
        return run_images(model, variant.format, tensors, rows, lambda n: update(next(done)))


def _own_reference(bundle: Bundle) -> tuple[Variant, dict[str, OperatingPoint]]:
    try:
        variant = bundle.manifest.variant(REFERENCE_VARIANT)
    except VariantError:
        raise VariantError(
            f"The bundle holds no {REFERENCE_VARIANT} to compare with; name a run with --reference."
        ) from None
    return variant, dict(variant.operating_points)


def _keras_reference(
    bundle: Bundle, run: RunFolder, tensors: NDArray[np.uint8], truth: Predictions
) -> tuple[Predictions, dict[str, OperatingPoint]]:
    from train import backend

    if run.run.codes != bundle.manifest.codes or run.run.input != bundle.manifest.input:
        raise ClassError(
            f"The run {run.run.name} has other labels or another input than the bundle; name the "
            "run that the bundle was made of."
        )
    backend.prepare()
    from train.pipeline import predictor

    probabilities = predictor(run.model())(tensors, np.arange(len(tensors)))
    return replace(truth, probabilities=probabilities), dict(run.run.operating_points)
