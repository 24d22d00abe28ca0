"""Models asked about labelled images that they were not trained on."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convert.checking.reference import answers_of_run, own_reference
from edge_runtime import backends
from edge_runtime.bundle import Bundle
from edge_runtime.checks import Inspector
from edge_runtime.manifest import Variant
from train import progress
from train.data.table import Dataset, class_indices
from train.data.tensors import load_tensors
from train.evaluation.answered import inspections
from train.evaluation.execution import run_images
from train.evaluation.images import Images, images_of_data
from train.evaluation.trained_on import (
    overlap_notes,
    refuse_trained,
    trained_on_bundle,
    trained_on_run,
)
from train.metrics import Predictions
from train.run import RunFolder


def held_out(
    data: Dataset, split: str, bundles: Mapping[str, Bundle], run: RunFolder | None = None
) -> Images:
    """The images of a split, none of which any of the bundles, or the run, was trained on.

    What else is to be known of them is said on standard error.

    Args:
        data: labelled images.
        split: which part of them.
        bundles: by what they are called in sentences, see `title_of`.
        run: that they are compared with.

    Raises:
        LeakError: a bundle or the run was trained on some of them.
        DataError: the split is empty, or a file cannot be read.
    """
    images = images_of_data(data, split)
    for title, bundle in bundles.items():
        trained = trained_on_bundle(bundle)
        refuse_trained(images.records, images.digests, trained, title)
        for note in overlap_notes(images.records, images.digests, split, trained, title):
            progress.say(f"note: {note}.")
    if run is not None:  # bundles need not list what they were trained on
        refuse_trained(images.records, images.digests, trained_on_run(run), run.run.name)
    return images


def title_of(bundle: Bundle) -> str:
    """What a bundle is called in sentences."""
    return f"{bundle.manifest.name} {bundle.manifest.version}"


def truth_of(images: Images, bundle: Bundle) -> Predictions:
    """The right answers in a bundle's classes, beside no answers yet (shape (n, 0)).

    Raises:
        ClassError: the data has a class that the model does not know.
    """
    manifest = bundle.manifest
    return Predictions(
        probabilities=np.empty((len(images.records), 0), np.float32),
        truth=class_indices(images.classes, manifest.codes),
        groups=images.groups,
        labels=manifest.labels,
        melanoma=manifest.melanoma,
    )


class Execution:
    """A bundle's models on labelled images, each run once, with the code that runs on the device.

    Attributes:
        bundle: opened; every model file's digest is checked on the way.
        truth: the right answers, see `truth_of`.
        tensors: what the models are fed, uint8 of shape (n, size, size, 3).
    """

    def __init__(self, bundle: Bundle, images: Images, truth: Predictions | None = None) -> None:
        """Preprocess the images.

        Raises:
            ClassError: the data has a class that the model does not know.
            UnreadableImagesError: images that cannot be decoded.
        """
        self.bundle = bundle
        self.truth = truth_of(images, bundle) if truth is None else truth
        with progress.bar("preprocessing") as update:
            self.tensors = load_tensors(images.files, images.digests, bundle.manifest.input, update)
        self._images = images
        self._answered: dict[str, Predictions] = {}

    def of(self, variant: Variant) -> Predictions:
        """What one of the bundle's variants answers."""
        if variant.name not in self._answered:
            self._answered[variant.name] = self._beside_truth(self._run(variant))
        return self._answered[variant.name]

    @functools.cached_property
    def refused(self) -> NDArray[np.bool_]:
        """Which images the bundle's checks refuse, shape (n,); none where it brings no checks.

        Raises:
            UnreadableImagesError: a header that cannot be read.
        """
        inspector = Inspector.of_bundle(self.bundle)
        if inspector is None:
            return np.zeros(len(self.tensors), bool)
        found = inspections(inspector, self.tensors, self._images.resolutions())
        return np.array([one.refused for one in found])

    def reference(self, run: RunFolder | None) -> tuple[Predictions, float]:
        """What variants are compared with, and its threshold for the first target.

        Args:
            run: whose Keras model is compared with; without one, the bundle's own float32 TFLite
                file is, which conversion judged against it.

        Raises:
            VariantError: see `convert.checking.reference`.
            ClassError: the run is that of another model.
        """
        target = self.truth.targets[0]
        if run is None:
            variant = own_reference(self.bundle)
            return self.of(variant), variant.operating_points[target].threshold
        answers = answers_of_run(run, self.bundle, self.tensors)
        return self._beside_truth(answers), run.run.operating_points[target].threshold

    def _run(self, variant: Variant) -> NDArray[np.float32]:
        model, rows = self.bundle.model(variant), np.arange(len(self.tensors))
        with progress.bar(variant.name, len(rows)) as update:
            return run_images(model, variant.format, self.tensors, rows, update)

    def _beside_truth(self, probabilities: NDArray[np.float32]) -> Predictions:
        return replace(self.truth, probabilities=probabilities)


def executable(variant: Variant) -> bool:
    """Whether the device package reads files of this format, so that it can be judged here."""
    return backends.readable(variant.format)


def unexecuted(variant: Variant, split: str) -> Variant:
    """The entry of a variant that nothing here executes, whatever the manifest says of it."""
    return replace(
        variant,
        metrics={split: {}},
        difference={split: {}},
        verdict="cannot judge",
        reason=f"not executed here: the device package reads no {variant.format} files",
    )


def select(bundle: Bundle, names: Sequence[str] | None) -> list[Variant]:
    """The named variants of a bundle, all of them for None.

    Raises:
        VariantError: one that it does not hold.
    """
    manifest = bundle.manifest
    return [manifest.variant(name) for name in names] if names else list(manifest.variants)
