"""How `dermedge check` judges: one rule for what runs here, what a device said, and releases."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from convert.gate.judge import Margins, judge
from edge_runtime.manifest import Variant
from train.metrics import Predictions, evaluate


@dataclass(frozen=True)
class Rule:
    """On what, and by which margins.

    Attributes:
        split: which part of the data.
        margins: the largest losses that pass.
        bootstrap: resamples behind the 95% intervals; 0 gives none.
        seed: of the resampling.
    """

    split: str = "test"
    margins: Margins = field(default_factory=Margins)
    bootstrap: int = 1000
    seed: int = 0

    def judged(
        self, variant: Variant, answers: Predictions, expected: Predictions, threshold: float
    ) -> Variant:
        """The manifest's entry with the figures, the verdict and the reason of these images.

        Args:
            variant: as the manifest has it; its frozen operating points are used.
            answers, expected: of the variant and of the reference, for the same images.
            threshold: the reference's operating point for the first target.

        Raises:
            GateError: the images hold no positive or no negative.
        """
        judgement = judge(
            expected, answers, threshold, self.margins, bootstrap=self.bootstrap, seed=self.seed
        )  # fmt: skip
        metrics = evaluate(
            answers, variant.operating_points, bootstrap=self.bootstrap, seed=self.seed
        )  # fmt: skip
        return replace(
            variant,
            metrics={self.split: metrics},
            difference={self.split: judgement.difference},
            verdict=judgement.verdict,
            reason=judgement.reason,
        )
