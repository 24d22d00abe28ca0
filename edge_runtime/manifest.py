"""The bundle's manifest: `manifest.json` as frozen dataclasses, schema version 1.

The dataclasses below are the schema; `docs/schemas/manifest.schema.json` says the same to programs
in other languages, and a test holds the two together. A manifest with an unknown key or another
version is refused, because a device must not guess what a newer file means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edge_runtime._strict import (
    RecordError,
    from_json,
    plain,
    shown,
    to_json,
    without_duplicates,
)
from edge_runtime.checks import Checks
from edge_runtime.errors import ManifestError, VariantError
from edge_runtime.listed import BundleFile as BundleFile
from edge_runtime.listed import check_digest, check_path
from edge_runtime.preprocess import InputRule

SCHEMA_VERSION = 1
MANIFEST_FILE = "manifest.json"
LABELS_FILE = "labels.txt"

LARGEST_TOLERANCE = 0.1
"""A `Variant.golden_tolerance` above this would switch the self-test off; 0.03 is in use."""

Verdict = Literal["pass", "fail", "cannot judge"]
"""What the gate says of a variant; only one that passes is served without being asked for."""


@dataclass(frozen=True)
class Label:
    """One class: its code in data, its name for people, and whether it is malignant."""

    code: str
    name: str
    malignant: bool


@dataclass(frozen=True)
class Metric:
    """A figure with its 95% confidence interval; both ends are None where none was computed."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on a probability: refer when the probability reaches it.

    Attributes:
        threshold: 0 to 1.
        target_sensitivity: what it was chosen for, on the validation images.
        sensitivity, specificity: what it gave there.
    """

    threshold: float
    target_sensitivity: float
    sensitivity: float
    specificity: float

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise RecordError(f"threshold is {self.threshold}, expected 0 to 1")


@dataclass(frozen=True)
class Variant:
    """One model file and everything known of it.

    Attributes:
        name: ``<format>_<arithmetic>``, for example ``tflite_int8``.
        file, bytes, sha256: where it is, how large, and the digest of its content.
        format: which kind of interpreter reads it; a device passes over those it has none for.
        quantization: the arithmetic in words.
        operating_points: by target, "melanoma" and "malignant".
        golden: expected class probabilities, one row per golden input.
        golden_tolerance: how far an interpreter's answer may lie from them, 0 to 0.1.
        metrics: figures of this file on held-out images, by split, then by name.
        difference: this file against the Keras model, as a loss (positive is worse), by split.
        verdict, reason: what the gate said, and why.
        float_layers: layers that stayed in float after a repair.
    """

    name: str
    file: str
    bytes: int
    sha256: str
    format: str
    quantization: str
    operating_points: Mapping[str, OperatingPoint]
    golden: tuple[tuple[float, ...], ...]
    golden_tolerance: float
    metrics: Mapping[str, Mapping[str, Metric]]
    difference: Mapping[str, Mapping[str, Metric]]
    verdict: Verdict
    reason: str
    float_layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_path(self.file)
        check_digest(self.sha256)
        if not re.fullmatch(r"[a-z0-9]+_[a-z0-9]+", self.name):
            raise RecordError(f"variant name is {shown(self.name)}, expected <format>_<arithmetic>")
        if self.name.partition("_")[0] != self.format:
            raise RecordError(
                f"format of {plain(self.name)} is {shown(self.format)}, expected as in the name"
            )
        if not 0 <= self.golden_tolerance <= LARGEST_TOLERANCE:
            raise RecordError(
                f"golden_tolerance is {self.golden_tolerance:g}, expected 0 to {LARGEST_TOLERANCE}"
            )


@dataclass(frozen=True)
class Source:
    """Where the model came from: enough to find the run and to cite the data.

    Attributes:
        architecture, weights: what was trained, from which start.
        run: name of the run folder.
        data: name of the training data; ``generated`` says that no patient was photographed.
        licence: of the model file, as an SPDX identifier.
        citations: what has to be cited with it.
        training_images: how many; None of a model that was trained elsewhere, whose ``data`` is
            what it was checked on.
        weights_sha256: of the weights that it was made of, by which the toolkit knows the run
            again; None in bundles that were made before that was written down.
    """

    architecture: str
    weights: str
    run: str
    data: str
    generated: bool
    licence: str
    citations: tuple[str, ...]
    training_images: int | None
    weights_sha256: str | None = None


@dataclass(frozen=True)
class Gate:
    """How the variants were judged.

    Attributes:
        split: the split that decided.
        images, melanomas, melanoma_lesions: how many decided.
        auc_margin, sensitivity_margin: largest loss that passes, as fractions.
        confidence: of the one-sided bound on the loss.
        calibration_images: ids of the training images that calibrated the quantization.
    """

    split: str
    images: int
    melanomas: int
    melanoma_lesions: int
    auc_margin: float
    sensitivity_margin: float
    confidence: float
    calibration_images: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """Everything that a device or an app has to know of a bundle.

    Attributes:
        schema_version: of the manifest; a reader refuses those that it does not know.
        name, version: of the bundle.
        intended_use: what it is for, and what it is not.
        labels: in the order of the model's outputs.
        melanoma: code of the melanoma class, or None where the data has none (benign/malignant).
        input: how a photograph becomes the model's input.
        source: where the model came from.
        gate: how the variants were judged.
        variants: the most preferred first.
        golden_inputs: generated PNG images of the model's input size (never a patient's picture).
        other_files: the remaining files of the bundle, for people and other clients.
        checks: what photographs have to pass; None in bundles made without, or before there were
            any.
    """

    schema_version: int
    name: str
    version: str
    intended_use: str
    labels: tuple[Label, ...]
    melanoma: str | None
    input: InputRule
    source: Source
    gate: Gate
    variants: tuple[Variant, ...]
    golden_inputs: tuple[BundleFile, ...]
    other_files: tuple[BundleFile, ...]
    checks: Checks | None = None

    def __post_init__(self) -> None:
        codes = self.codes
        if len(codes) < 2 or len(set(codes)) != len(codes):
            raise RecordError(
                f"labels are {shown(list(codes))}, expected at least two, all different"
            )
        if self.melanoma is not None and self.melanoma not in codes:
            raise RecordError(f"melanoma is {shown(self.melanoma)}, which is not among the labels")
        if not any(label.malignant for label in self.labels):
            raise RecordError("no label is malignant, expected at least one")
        names = [variant.name for variant in self.variants]
        if not names or len(set(names)) != len(names):
            raise RecordError(f"variants are {shown(names)}, expected at least one, all different")
        if not self.golden_inputs:
            raise RecordError("golden_inputs is empty, expected at least one")
        for variant in self.variants:
            self._check_variant(variant)

    def _check_variant(self, variant: Variant) -> None:
        missing = {*self.targets} - {*variant.operating_points}
        if missing:
            raise RecordError(f"{plain(variant.name)} lacks the operating point for {min(missing)}")
        if len(variant.golden) != len(self.golden_inputs) or any(
            len(row) != len(self.labels) for row in variant.golden
        ):
            raise RecordError(
                f"{plain(variant.name)}.golden does not hold {len(self.golden_inputs)} rows of "
                f"{len(self.labels)} probabilities"
            )

    @property
    def codes(self) -> tuple[str, ...]:
        """Class codes in the order of the model's outputs."""
        return tuple(label.code for label in self.labels)

    @property
    def files(self) -> tuple[BundleFile, ...]:
        """Every file of the bundle whose digest the manifest gives."""
        models = [BundleFile(variant.file, variant.sha256) for variant in self.variants]
        fitted = [self.checks.familiar] if self.checks is not None else []
        return (
            *models, *self.golden_inputs, *self.other_files,
            *(BundleFile(entry.file, entry.sha256) for entry in fitted),
        )  # fmt: skip

    @property
    def targets(self) -> tuple[str, ...]:
        """What has an operating point: the malignant classes together, and melanoma if known."""
        return ("malignant",) if self.melanoma is None else ("melanoma", "malignant")

    def variant(self, name: str) -> Variant:
        """The variant of that name.

        Raises:
            VariantError: the bundle does not hold it.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        held = ", ".join(variant.name for variant in self.variants)
        raise VariantError(f"The bundle holds no variant {name}; it holds {held}.")


def parse_manifest(text: str | bytes) -> Manifest:
    """Read a manifest.

    Raises:
        ManifestError: not JSON, of an unknown version, or not as the schema says.
    """
    try:
        value: Any = json.loads(text, object_pairs_hook=without_duplicates)
    except RecordError as error:
        raise ManifestError(
            f"{MANIFEST_FILE} is not valid: {error}; convert the run again."
        ) from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"{MANIFEST_FILE} is not JSON ({error}); copy the bundle again."
        ) from None
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise ManifestError(
            f"{MANIFEST_FILE} has schema version {shown(version)}, this package reads "
            f"{SCHEMA_VERSION}; install the dermedge-runtime that matches the bundle, or convert "
            "the run again."
        )
    try:
        return from_json(Manifest, value, "manifest")
    except RecordError as error:
        raise ManifestError(
            f"{MANIFEST_FILE} is not valid: {error}; convert the run again."
        ) from None
    except RecursionError:
        raise ManifestError(
            f"{MANIFEST_FILE} is nested too deeply; copy the bundle again."
        ) from None


def format_manifest(manifest: Manifest) -> str:
    """The text of `manifest.json`; `parse_manifest` reads it back to an equal object."""
    return json.dumps(to_json(manifest), indent=1, ensure_ascii=False) + "\n"
