"""How to convert, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from convert.calibration import DEFAULT_IMAGES
from convert.gate.judge import Margins
from convert.variants import VariantKind, chosen
from edge_runtime.manifest import Variant


@dataclass(frozen=True)
class Options:
    """How to convert.

    Attributes:
        variants: which ones; see `convert.variants`.
        margins: the largest losses that pass.
        calibration_images: how many training images the quantizer sees.
        accept_unproven: keep variants that cannot be judged, marked as such.
        allow_failing: keep failing variants, marked as such.
        name, version: of the bundle; the name is the run's unless given.
        seed: of the calibration draw and of the intervals.
        bootstrap: resamples behind the 95% intervals.
    """

    variants: tuple[VariantKind, ...] = field(default_factory=lambda: chosen(None))
    margins: Margins = field(default_factory=Margins)
    calibration_images: int = DEFAULT_IMAGES
    accept_unproven: bool = False
    allow_failing: bool = False
    name: str | None = None
    version: str = "0.1.0"
    seed: int = 0
    bootstrap: int = 1000


@dataclass(frozen=True)
class Outcome:
    """What became of one variant.

    Attributes:
        kind: which variant.
        entry: its line in the manifest; None where the format cannot hold the model.
        model: content of its file, empty where there is none.
        reason: why there is no entry.
        median_ms: of one inference on one thread of this machine.
        kept: whether it is in the bundle.
    """

    kind: VariantKind
    entry: Variant | None
    model: bytes = b""
    reason: str = ""
    median_ms: float = 0.0
    kept: bool = False


@dataclass(frozen=True)
class Conversion:
    """The outcome of a conversion; ``bundle`` is None where nothing was worth keeping."""

    outcomes: tuple[Outcome, ...]
    bundle: Path | None
