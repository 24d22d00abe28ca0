"""Which variant of a bundle is used, and which interpreter runs it."""

from __future__ import annotations

from edge_runtime import backends
from edge_runtime.bundle import Bundle
from edge_runtime.errors import BackendNotInstalledError, VariantError
from edge_runtime.manifest import Variant


def choose_variant(
    bundle: Bundle, variant: str | None, backend: str | None
) -> tuple[Variant, backends.BackendKind]:
    """The named variant, or the first passing one for which there is an interpreter.

    One that its interpreter computes with kernels that were not judged comes after the others.
    """
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
    refusals: list[BackendNotInstalledError] = []
    unjudged: list[tuple[Variant, backends.BackendKind]] = []
    for entry in passing:
        try:
            kind = backends.choose(entry.format, backend)
        except BackendNotInstalledError as error:
            refusals.append(error)
            continue
        if entry.name not in kind.unjudged:
            return entry, kind
        unjudged.append((entry, kind))
    if unjudged:
        return unjudged[0]
    raise refusals[0]


def explain_choice(bundle: Bundle, chosen: Variant, kind: backends.BackendKind) -> str:
    """Why `choose_variant` took ``chosen`` where none was named, and what it passed over."""
    passed_over = []
    for entry in bundle.manifest.variants:
        if entry is chosen:
            break
        why = f"no interpreter for {entry.format}" if entry.verdict == "pass" else entry.verdict
        if entry.verdict == "pass" and entry.name in kind.unjudged:
            why = f"{kind.name} rounds otherwise than what was judged"
        passed_over.append(f"{entry.name} ({why})")
    before = f"; before it stand {', '.join(passed_over)}" if passed_over else ""
    return f"the first that passed the gate and that an installed interpreter reads{before}"
