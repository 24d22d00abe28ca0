"""What a bundle is compared with: the run that it was made of, or its own float32 TFLite file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.identity import weights_sha256
from edge_runtime.bundle import Bundle
from edge_runtime.errors import ClassError, VariantError
from edge_runtime.manifest import Variant
from train.evaluation.trained_on import trained_on_bundle, trained_on_run
from train.run import RunFolder

REFERENCE_VARIANT = "tflite_f32"
SAME = 1e-3
"""Files in floats whose probabilities all lie within this of the Keras model's are that model."""


def check_reference(bundle: Bundle, run: RunFolder | None) -> None:
    """Refuse what the bundle cannot be compared with, before any work is done.

    Raises:
        VariantError: there is neither a run nor a float file that is as good as one, or the bundle
            was not made of the run, or does not say of which.
        ClassError: the run has other labels or another input.
    """
    if run is None:
        own_reference(bundle)
        return
    record, source = run.run, bundle.manifest.source
    if record.codes != bundle.manifest.codes or record.input != bundle.manifest.input:
        raise ClassError(
            f"The run {record.name} has other labels or another input than the bundle; name the "
            "run that the bundle was made of."
        )
    found = (record.name, record.config.arch, record.weights)
    made_of = (source.run, source.architecture, source.weights)
    listed = trained_on_bundle(bundle)
    if source.weights_sha256 is None:
        raise VariantError(
            "The bundle does not say which weights it was made of, so no run can be known as its "
            "own; convert the run again, or leave --reference out."
        )
    if found != made_of or (listed.known and listed.digests != trained_on_run(run).digests):
        raise _other_run(run, bundle)


def own_reference(bundle: Bundle) -> Variant:
    """The bundle's own float32 file.

    Raises:
        VariantError: it holds none, or one that neither passed the gate nor answers as its model.
    """
    try:
        variant = bundle.manifest.variant(REFERENCE_VARIANT)
    except VariantError:
        raise VariantError(
            f"The bundle holds no {REFERENCE_VARIANT} to compare with; name a run with --reference."
        ) from None
    apart = variant.difference.get(bundle.manifest.gate.split, {}).get(
        "largest_probability_difference"
    )
    if variant.verdict != "pass" and (apart is None or apart.value > SAME):
        raise VariantError(
            f"The bundle's {REFERENCE_VARIANT} did not pass the gate itself ({variant.verdict}: "
            f"{variant.reason}), so nothing is proved by it; name a run with --reference."
        )
    return variant


def answers_of_run(
    run: RunFolder, bundle: Bundle, tensors: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """What a run's Keras model answers.

    Args:
        run: that passed `check_reference`.
        bundle: which was made of it.
        tensors: uint8 of shape (n, size, size, 3).

    Returns:
        probabilities of shape (n, classes).

    Raises:
        VariantError: the run was trained again since, and became another network.
    """
    from train import backend

    backend.prepare()
    from train.pipeline import predictor

    model = run.model()
    if weights_sha256(model) != bundle.manifest.source.weights_sha256:
        raise _other_run(run, bundle)
    return predictor(model)(tensors, np.arange(len(tensors)))


def _other_run(run: RunFolder, bundle: Bundle) -> VariantError:
    made_of, found = bundle.manifest.source, run.run
    return VariantError(
        f"The bundle was not made of the run in {run.folder} ({found.name}, {found.config.arch}), "
        f"or that was trained again since; name the run {made_of.run} ({made_of.architecture}) as "
        "it was then."
    )
