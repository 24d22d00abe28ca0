"""Which variant of a bundle is used, and which interpreter runs it."""

from __future__ import annotations

from edge_runtime import backends
from edge_runtime.bundle import Bundle
from edge_runtime.errors import BackendNotInstalledError, VariantError
from edge_runtime.manifest import Variant


def choose_variant(
    bundle: Bundle, variant: str | None, backend: str | None
) -> tuple[Variant, backends.BackendKind]:
    """The named variant, or the first passing one for which there is an interpreter."""
    manifest = bundle.manifest
    if variant is not None:
        named = manifest.variant(variant)
        return named, backends.choose(named.format, backend)
    passing = [entry for entry in manifest.variants if entry.verdict == "pass"]
    if not passing:
        held = ", ".join(f"{entry.name} ({entry.verdict})" for entry in manifest.variants)
        raise VariantError(
            f"No variant of this bundle has passed the gate; it holds {held}. "
            "Name one to use it all the same."
        )
    refusal: Exception | None = None
    for entry in passing:
        try:
            return entry, backends.choose(entry.format, backend)
        except BackendNotInstalledError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def explain_choice(bundle: Bundle, chosen: Variant) -> str:
    """Why `choose_variant` took ``chosen`` where none was named, and what it passed over."""
    passed_over = []
    for entry in bundle.manifest.variants:
        if entry is chosen:
            break
        why = f"no interpreter for {entry.format}" if entry.verdict == "pass" else entry.verdict
        passed_over.append(f"{entry.name} ({why})")
    before = f"; before it stand {', '.join(passed_over)}" if passed_over else ""
    return f"the first that passed the gate and that an installed interpreter reads{before}"
