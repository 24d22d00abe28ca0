"""How to convert, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from convert.calibration import DEFAULT_IMAGES
from convert.evidence import Held, Images
from convert.gate.judge import Margins
from convert.variants import LayerError, VariantKind, chosen
from edge_runtime._strict import shown
from edge_runtime.errors import UsageError
from edge_runtime.manifest import Metric, Variant, Verdict
from train.metrics import Predictions


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
        licence: of the model files, as an SPDX identifier; the data's unless given.
        seed: of the calibration draw and of the intervals.
        bootstrap: resamples behind the 95% intervals.
        ladder: look for a repair where a variant does not pass; see `convert.ladder`.
        pictures: show photographs on which a variant disagrees, in the bundle's report.
        remarks: Markdown for the model card, of whoever made the model.
    """

    variants: tuple[VariantKind, ...] = field(default_factory=lambda: chosen(None))
    margins: Margins = field(default_factory=Margins)
    calibration_images: int = DEFAULT_IMAGES
    accept_unproven: bool = False
    allow_failing: bool = False
    name: str | None = None
    version: str = "0.1.0"
    licence: str | None = None
    seed: int = 0
    bootstrap: int = 1000
    ladder: bool = True
    pictures: bool = True
    remarks: str = ""

    def __post_init__(self) -> None:
        """Refuse what no manifest or card can show.

        Raises:
            UsageError: a name, version or licence is empty, or holds what cannot be printed.
        """
        for name in ("name", "version", "licence"):
            value = getattr(self, name)
            if value is not None and not (value.strip() and value.isprintable()):
                raise UsageError(
                    f"The {name} of the bundle is {shown(value)}, expected words on one line."
                )


@dataclass(frozen=True)
class Rung:
    """One try at a variant: which layers stayed in float, and what the gate said on validation.

    Attributes:
        float_layers: as `LayerError.layer`; none in the first try.
        model: content of the file.
        verdict, reason, difference: of the gate.
        median_ms: of one inference on one thread of this machine; NaN until it is measured.
    """

    float_layers: tuple[str, ...]
    model: bytes = field(repr=False)
    verdict: Verdict
    reason: str
    difference: Mapping[str, Metric]
    median_ms: float = math.nan


@dataclass(frozen=True)
class Outcome:
    """What became of one variant.

    Attributes:
        kind: which variant.
        entry: its line in the manifest; None where the format cannot hold the model.
        model: content of its file, empty where there is none.
        reason: why there is no entry.
        median_ms: of one inference on one thread of this machine; NaN where it was not executed,
            and until it is measured.
        kept: whether it is in the bundle.
        answers: what it answered on the held-out images, by split; empty where it was not executed.
        rungs: every try, the plain form first; empty where it was not executed.
        layer_errors: of its plain quantized form, the worst first (by effect where that was
            measured); empty where it has none.
        because: why it was made though nobody asked for it.
    """

    kind: VariantKind
    entry: Variant | None
    model: bytes = b""
    reason: str = ""
    median_ms: float = math.nan
    kept: bool = False
    answers: Mapping[str, Predictions] = field(default_factory=dict)
    rungs: tuple[Rung, ...] = ()
    layer_errors: tuple[LayerError, ...] = ()
    because: str = ""


@dataclass(frozen=True)
class Material:
    """What the bundle's report is made of, beside the manifest.

    Attributes:
        outcomes: of every variant, those that are not in the bundle as well.
        held: the Keras model's answers, by split ("val", "test").
        images: every image of the run; `Held.rows` and ``calibration`` are indices into it.
        calibration: the training images that calibrated the quantization.
    """

    outcomes: tuple[Outcome, ...]
    held: Mapping[str, Held]
    images: Images
    calibration: tuple[int, ...]


@dataclass(frozen=True)
class Conversion:
    """The outcome of a conversion; ``bundle`` is None where nothing was worth keeping."""

    outcomes: tuple[Outcome, ...]
    bundle: Path | None
