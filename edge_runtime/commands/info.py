"""`dermedge info`: what a bundle says of itself, and what of it would be used here."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_runtime.errors import BackendError, UsageError, VariantError

if TYPE_CHECKING:
    from edge_runtime.bundle import Bundle
    from edge_runtime.manifest import Manifest, Metric, Variant
    from edge_runtime.signature import PublicKey

SUMMARY = "Show what a bundle holds: labels, variants and their figures, verdicts, licence."

_SHOWN_METRICS = ("melanoma_auc", "malignant_auc", "balanced_accuracy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--require-signature", metavar="KEY.pub",
                        help="refuse a bundle that this key has not signed")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the manifest as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the manifest; every file of the bundle is checked against its SHA-256 first."""
    from edge_runtime._strict import to_json
    from edge_runtime._terminal import visible
    from edge_runtime.bundle import Bundle

    if not arguments.bundle:
        raise UsageError("No bundle was named.")
    bundle = Bundle.open(arguments.bundle, require_signature=arguments.require_signature)
    for damage in bundle.damages():
        raise damage
    if arguments.json:
        print(json.dumps(to_json(bundle.manifest), indent=1))
        return 0
    manifest = bundle.manifest
    print(visible(f"{manifest.name} {manifest.version} (schema {manifest.schema_version})"))
    for name, value in _lines(bundle, arguments.require_signature):
        print(visible(f"  {name:<10} {value}"))
    return 0


def _lines(bundle: Bundle, key: PublicKey | None) -> Iterator[tuple[str, str]]:
    """A name and a fact a line."""
    from edge_runtime.signature import state

    manifest = bundle.manifest
    source = manifest.source
    data = source.data + (", generated" if source.generated else "")
    yield "use", manifest.intended_use
    if source.training_images is None:
        yield "trained", f"elsewhere; checked on {data}"
    else:
        yield "trained", f"{source.architecture} on {source.training_images} images of {data}"
    yield "weights", source.weights
    yield "licence", source.licence
    for citation in source.citations:
        yield "cite", citation
    yield "input", _input(manifest)
    for label in manifest.labels:
        marks = " (malignant)" if label.malignant else ""
        marks += " (melanoma)" if label.code == manifest.melanoma else ""
        yield "label", f"{label.code:<8} {label.name}{marks}"
    yield "judged", _gate(manifest)
    for variant in manifest.variants:
        size = f"{variant.bytes:>10,} bytes"
        yield "variant", f"{variant.name:<16} {size}  {variant.verdict}: {variant.reason}"
        yield from _variant(variant)
    yield from _checks(manifest)
    yield "files", "all match their SHA-256"
    yield "signature", state(bundle.manifest_bytes, bundle.signature, key)
    yield "served", _choice(bundle)


def _input(manifest: Manifest) -> str:
    rule = manifest.input
    return (
        f"{rule.size} x {rule.size} RGB bytes: {rule.crop.replace('_', ' ')}, {rule.resample}, "
        f"colours in {rule.profile}"
    )


def _gate(manifest: Manifest) -> str:
    gate = manifest.gate
    return (
        f"on {gate.split}: {gate.images} images, {gate.melanomas} of the judged class from "
        f"{gate.melanoma_lesions} lesions; margins {gate.auc_margin:g} (AUC) and "
        f"{gate.sensitivity_margin:g} (sensitivity)"
    )


def _checks(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What photographs have to pass, or that nothing is checked."""
    checks = manifest.checks
    if checks is None:
        yield "checks", "none: every photograph gets refer or routine; convert the run again"
        return
    flaws = ", ".join(flaw.replace("_", " ") for flaw in checks.limits)
    yield "checks", f"retake: {flaws}, or a side under {checks.shortest_side} pixels"
    yield "", f"uncertain: further than {checks.familiar.threshold:.2f} from the training images"
    answered = ", ".join(f"{code} {share:.1%}" for code, share in checks.answered.items())
    yield "", f"answered of {checks.images} validation images: {answered}"


def _variant(variant: Variant) -> Iterator[tuple[str, str]]:
    """How a variant computes, its figures by split, and where it refers."""
    indent = " " * 4
    yield "", f"{indent}{variant.quantization}"
    if variant.float_layers:
        yield "", f"{indent}in float: {', '.join(variant.float_layers)}"
    for split, metrics in variant.metrics.items():
        shown = [f"{name} {_figure(metrics[name])}" for name in _SHOWN_METRICS if name in metrics]
        if shown:
            yield "", f"{indent}{split}: {', '.join(shown)}"
    for target, point in variant.operating_points.items():
        yield (
            "",
            f"{indent}refers from {target} {point.threshold:.3f}: sensitivity "
            f"{point.sensitivity:.3f}, specificity {point.specificity:.3f} where it was fitted",
        )


def _figure(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"


def _choice(bundle: Bundle) -> str:
    """Which variant `Classifier.open` would take here, and why."""
    from edge_runtime.selection import choose_variant, explain_choice

    try:
        variant, kind = choose_variant(bundle, None, None)
    except (VariantError, BackendError) as error:
        return f"none here: {error}"
    return f"{variant.name} with {kind.name}: {explain_choice(bundle, variant, kind)}"
