"""What a photograph has to pass before a model's answer is a decision, and who checks it.

The records below travel in a bundle's manifest; `convert.checks` fits them on the run's images.
`Inspector` applies them on the device. What that costs does not grow with the photograph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edge_runtime import appearance, quality
from edge_runtime._strict import RecordError, shown
from edge_runtime.listed import check_digest, check_path
from edge_runtime.square import square_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_runtime.bundle import Bundle


@dataclass(frozen=True)
class Limit:
    """Where a figure of quality begins to mean `retake`.

    Attributes:
        threshold: of the figure that tells the flaw, see `edge_runtime.quality.Flaw`.
        refused: share of the good validation images that it refuses.
        severity: of the damage that it was fitted to find, 1 to 5.
        found: share of the images damaged at that severity that it refuses.
    """

    threshold: float
    refused: float
    severity: int
    found: float


@dataclass(frozen=True)
class Familiar:
    """What the training images look like, and how far from that a photograph may be.

    Attributes:
        file, sha256: their mean and whitening matrix, float32 of shape (d + 1, d) for d features.
        features: which description was fitted.
        threshold: of the distance; beyond it the decision is `uncertain`.
        refused: share of the validation images that it refuses.
    """

    file: str
    sha256: str
    features: Literal["appearance_1"]
    threshold: float
    refused: float

    def __post_init__(self) -> None:
        check_path(self.file)
        check_digest(self.sha256)


@dataclass(frozen=True)
class Checks:
    """What photographs have to pass.

    Attributes:
        shortest_side: fewest pixels of the shorter side.
        limits: by `edge_runtime.quality.Flaw`.
        familiar: what the training images look like.
        images: how many validation images the shares were counted on.
        answered: share of the validation images of each class that pass everything, by code.
    """

    shortest_side: int
    limits: Mapping[str, Limit]
    familiar: Familiar
    images: int
    answered: Mapping[str, float]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.limits) - set(quality.READINGS))
        if unknown:
            raise RecordError(f"limits has an unknown key {shown(unknown[0])}")


@dataclass(frozen=True)
class Inspection:
    """What was found of one photograph.

    Attributes:
        figures: of its quality.
        unfamiliarity: its distance from the training images, which is about 1 for one of them.
        retake: why it cannot be judged, in words; empty where it can.
        uncertain: why the model does not know its like; empty where it does.
    """

    figures: quality.Figures
    unfamiliarity: float
    retake: tuple[str, ...]
    uncertain: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether the model's answer is no decision."""
        return bool(self.retake or self.uncertain)


class Inspector:
    """Applies a bundle's checks; safe to use from several threads."""

    def __init__(self, checks: Checks, familiar: NDArray[np.float32]) -> None:
        """Use `Inspector.of_bundle`; ``familiar`` is what `appearance.read_familiar` gives."""
        self.checks, self._familiar = checks, familiar
        self._limits = {flaw: limit.threshold for flaw, limit in checks.limits.items()}

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Inspector | None:
        """The checks that a bundle brings, or None where it brings none.

        Raises:
            IntegrityError: its file is missing, altered, or not as expected.
        """
        checks = bundle.manifest.checks
        if checks is None:
            return None
        entry = checks.familiar
        content = bundle.read(entry.file, entry.sha256)
        return cls(checks, appearance.read_familiar(content, entry.file))

    def inspect(self, tensor: NDArray[np.uint8], width: int, height: int) -> Inspection:
        """Look at a photograph.

        Args:
            tensor: what the model is fed, uint8 of shape (size, size, 3).
            width, height: of the photograph, in pixels.
        """
        square = square_of(tensor)
        figures = quality.figures(square)
        small = quality.too_small(width, height, self.checks.shortest_side)
        retake = [small] if small else []
        for flaw in quality.flaws(figures, self._limits):
            retake.append(quality.reason_of(flaw, figures, self._limits[flaw]))
        away = appearance.distance(appearance.features(square), self._familiar)
        limit = self.checks.familiar.threshold
        uncertain = (
            (f"the picture is unlike those that the model was trained on (distance {away:.2f}, "
             f"above {limit:.2f}), so its answer means little",)
            if away > limit else ()
        )  # fmt: skip
        return Inspection(figures, away, tuple(retake), uncertain)
