"""What is evaluated: a run's Keras model, or a variant of a bundle, opened in the same form."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle import Bundle
from edge_runtime.checks import Inspector
from edge_runtime.errors import ModelMismatchError, RunError, UsageError
from edge_runtime.manifest import MANIFEST_FILE, Label, OperatingPoint
from edge_runtime.preprocess import InputRule
from train import progress
from train.evaluation.execution import run_images
from train.evaluation.trained_on import TrainedOn, trained_on_bundle, trained_on_run
from train.run import MODEL_FILE, RUN_FILE, RunFolder

Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Subject:
    """A model that can be evaluated.

    Attributes:
        name: of the run or of the bundle.
        kind: which of the two.
        variant: name of the bundle's variant; None for a run.
        sha256: of the model file.
        labels: in the order of its answers.
        melanoma: code of the melanoma class, or None.
        input: how an image becomes its input.
        points: frozen operating points by target.
        trained_on: what is known of the images it has seen.
        answer: from uint8 tensors (n, size, size, 3) to probabilities (n, classes).
        run: the run folder, if it is a run.
        notes: what a reader of the figures has to know.
        inspector: what photographs have to pass, where a bundle brings checks.
    """

    name: str
    kind: Literal["run", "bundle"]
    variant: str | None
    sha256: str
    labels: tuple[Label, ...]
    melanoma: str | None
    input: InputRule
    points: Mapping[str, OperatingPoint]
    trained_on: TrainedOn
    answer: Answer
    run: RunFolder | None = None
    notes: tuple[str, ...] = ()
    inspector: Inspector | None = None

    @property
    def codes(self) -> tuple[str, ...]:
        """Class codes in the order of the answers."""
        return tuple(label.code for label in self.labels)

    @property
    def title(self) -> str:
        """What reports call it."""
        return self.name if self.variant is None else f"{self.name} ({self.variant})"

    @property
    def malignant(self) -> NDArray[np.bool_]:
        """Which classes are malignant, shape (classes,)."""
        return np.array([label.malignant for label in self.labels])


def open_subject(path: str | os.PathLike[str], variant: str | None = None) -> Subject:
    """Open a run or a bundle; its model is loaded when it is first asked.

    Args:
        path: a run folder or a bundle.
        variant: which variant of a bundle; by default the first that passed the gate.

    Raises:
        RunError: neither a run nor a bundle, or a damaged run.
        BundleError: a damaged bundle, or one without that variant.
        UsageError: a variant of a run was asked for.
    """
    folder = Path(path)
    if (folder / MANIFEST_FILE).is_file():
        return _bundle(Bundle.open(folder), variant)
    if not (folder / RUN_FILE).is_file():
        raise RunError(
            f"{os.fspath(path)} is neither a run (no {RUN_FILE}) nor a bundle (no "
            f"{MANIFEST_FILE}); name what `dermedge train` or `dermedge convert` wrote."
        )
    if variant is not None:
        raise UsageError(f"{folder.name} is a run, which has no variants; leave --variant out.")
    return _run(RunFolder.open(folder))


def _run(folder: RunFolder) -> Subject:
    run = folder.run

    def answer(tensors: NDArray[np.uint8]) -> NDArray[np.float32]:
        from train import backend

        backend.prepare()
        from train.pipeline import predictor

        return _finite(predictor(folder.model())(tensors, np.arange(len(tensors))))

    return Subject(
        run.name, "run", None, run.files[MODEL_FILE], run.labels, run.melanoma, run.input,
        run.operating_points, trained_on_run(folder), answer, run=folder,
    )  # fmt: skip


def _bundle(bundle: Bundle, name: str | None) -> Subject:
    manifest = bundle.manifest
    passing = [variant for variant in manifest.variants if variant.verdict == "pass"]
    variant = manifest.variant(name) if name else (passing or manifest.variants)[0]
    notes = []
    if variant.verdict != "pass":
        notes.append(f"the gate's verdict on {variant.name} was: {variant.verdict}")

    def answer(tensors: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = np.arange(len(tensors))
        with progress.bar(variant.name, len(tensors)) as update:
            return run_images(bundle.model(variant), variant.format, tensors, rows, update)

    return Subject(
        manifest.name, "bundle", variant.name, variant.sha256, manifest.labels, manifest.melanoma,
        manifest.input, variant.operating_points, trained_on_bundle(bundle), answer,
        notes=tuple(notes), inspector=Inspector.of_bundle(bundle),
    )  # fmt: skip


def _finite(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(probabilities).all():
        raise ModelMismatchError(
            "The model answers with numbers that are not finite; train it again."
        )
    return probabilities
