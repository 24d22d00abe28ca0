"""`dermedge info`: what a bundle says of itself."""

from __future__ import annotations

import argparse

from edge_runtime.errors import UsageError

SUMMARY = "Show what a bundle holds: labels, variants, verdicts, licence."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--json", action="store_true", help="the manifest as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the manifest; every file of the bundle is checked against its SHA-256 first."""
    from edge_runtime.bundle import Bundle
    from edge_runtime.manifest import format_manifest

    if not arguments.bundle:
        raise UsageError("No bundle was named.")
    bundle = Bundle.open(arguments.bundle)
    manifest = bundle.manifest
    for variant in manifest.variants:
        bundle.model(variant)
    for entry in (*manifest.golden_inputs, *manifest.other_files):
        bundle.read(entry.file, entry.sha256)
    if arguments.json:
        print(format_manifest(manifest), end="")
        return 0
    source = manifest.source
    print(f"{manifest.name} {manifest.version} (schema {manifest.schema_version})")
    print(f"  use        {manifest.intended_use}")
    print(f"  trained    {source.architecture} on {source.training_images} images of {source.data}"
          f"{', generated' if source.generated else ''}")  # fmt: skip
    print(f"  weights    {source.weights}")
    print(f"  licence    {source.licence}")
    for citation in source.citations:
        print(f"  cite       {citation}")
    print(f"  input      {manifest.input.size} x {manifest.input.size} RGB bytes")
    for label in manifest.labels:
        marks = " (malignant)" if label.malignant else ""
        marks += " (melanoma)" if label.code == manifest.melanoma else ""
        print(f"  label      {label.code:<8} {label.name}{marks}")
    for variant in manifest.variants:
        size = f"{variant.bytes:>10,} bytes"
        print(f"  variant    {variant.name:<16} {size}  {variant.verdict}: {variant.reason}")
    print("  files      all match their SHA-256")
    return 0
