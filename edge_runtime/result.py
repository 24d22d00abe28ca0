"""What comes out for one image: a `Result`, or a `Failure` that names the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_runtime._strict import to_json
from edge_runtime.decision import Decision
from edge_runtime.errors import DermedgeError


@dataclass(frozen=True)
class ModelId:
    """Which model answered: enough to find the very file again.

    Attributes:
        name, version: of the bundle.
        variant: which of its model files.
        sha256: of that file.
    """

    name: str
    version: str
    variant: str
    sha256: str


@dataclass(frozen=True)
class Quality:
    """Figures of the image as it was taken.

    Attributes:
        width, height: in pixels, upright.
        brightness: mean grey value of the model's input square, 0 to 255.
        contrast: standard deviation of its grey values.
        sharpness, light, burnt, glare, spread, off_centre, lesion: see
            `edge_runtime.quality.Figures`; None where nothing was checked.
    """

    width: int
    height: int
    brightness: float
    contrast: float
    sharpness: float | None = None
    light: float | None = None
    burnt: float | None = None
    glare: float | None = None
    spread: float | None = None
    off_centre: float | None = None
    lesion: float | None = None


@dataclass(frozen=True)
class Timing:
    """Milliseconds of each stage.

    Attributes:
        read: the file; 0 for input that came as bytes or pixels.
        decode: to upright RGB pixels.
        preprocess: to the model's input.
        inference: the model alone.
        total: all of it, from the call to the result.
        checks: of the photograph; 0 without them.
    """

    read: float
    decode: float
    preprocess: float
    inference: float
    total: float
    checks: float = 0.0


@dataclass(frozen=True)
class Result:
    """The answer for one image.

    Attributes:
        file: the path as it was given, or None for input without one.
        label: the most probable class.
        probabilities: calibrated, by class code.
        melanoma_probability: None where the model has no melanoma class.
        malignant_probability: sum over the malignant classes.
        decision, reasons: what to do, and why in words; see `edge_runtime.decision`.
        quality: figures of the photograph, for whoever wants to know more than the reasons say.
        model: which file answered.
        timing_ms: milliseconds of each stage.
        notes: harmless oddities of the file, in words.
        unfamiliarity: distance from the training images, about 1 for one of them; None where
            nothing was checked.
    """

    file: str | None
    label: str
    probabilities: Mapping[str, float]
    melanoma_probability: float | None
    malignant_probability: float
    decision: Decision
    reasons: tuple[str, ...]
    quality: Quality
    model: ModelId
    timing_ms: Timing
    notes: tuple[str, ...] = ()
    unfamiliarity: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready types, with the keys of `docs/schemas/result.schema.json`."""
        value: dict[str, Any] = to_json(self)
        return value


@dataclass(frozen=True)
class Failure:
    """An image that could not be classified."""

    file: str | None
    error: DermedgeError

    def to_dict(self) -> dict[str, Any]:
        """``file`` and ``error`` (``type``, ``message``)."""
        return {
            "file": self.file,
            "error": {"type": type(self.error).__name__, "message": str(self.error)},
        }
