"""One model file tried: executed as the device does, judged, and written down for the manifest."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.evidence import Held, Images, predictions
from convert.gate.judge import Judgement, judge
from convert.metadata import describe
from convert.metadata.facts import facts_of
from convert.outcome import Options, Outcome, Rung
from convert.variants import VariantKind
from edge_runtime._files import sha256
from edge_runtime.manifest import Metric, OperatingPoint, Variant, Verdict
from train import progress
from train.evaluation.execution import open_model, run_images
from train.metrics import Predictions, evaluate, operating_points
from train.run import RunFolder

JUDGED_ON, REPORTED_ON = "val", "test"
_OF_TARGETS = (
    "auc", "average_precision", "sensitivity", "specificity", "sensitivity_of_decision",
    "specificity_of_decision", "brier",
)  # fmt: skip
HEADLINE = frozenset(
    ("accuracy", "balanced_accuracy", "macro_f1", "precision", "recall", "ece", "ece_by_chance")
) | {f"{target}_{name}" for target in ("melanoma", "malignant") for name in _OF_TARGETS}
"""The figures that a manifest gives for every variant; `dermedge evaluate` has them all."""
UNEXECUTED = (
    "no runtime here can execute {format} files, so only their structure was checked; operating "
    "points and golden answers are the Keras model's"
)
"""Why a variant that the device package has no interpreter for cannot be judged."""


@dataclass(frozen=True)
class Bench:
    """What every variant of a run is tried on.

    Attributes:
        run: where the model comes from.
        images: of the run.
        held: the held-out splits, with the Keras model's answers.
        golden: generated inputs, uint8 of shape (size, size, 3).
        golden_answers: the Keras model's answers to them, shape (inputs, classes).
        options: how to convert.
    """

    run: RunFolder
    images: Images
    held: Mapping[str, Held]
    golden: tuple[NDArray[np.uint8], ...]
    golden_answers: NDArray[np.float32]
    options: Options

    @property
    def executions(self) -> int:
        """How many images a variant that needs no repair answers."""
        return sum(len(part.rows) for part in self.held.values())

    @property
    def threshold(self) -> float:
        """The Keras model's operating point for the first target."""
        target = self.held[JUDGED_ON].reference.targets[0]
        return self.run.run.operating_points[target].threshold

    def judge(self, split: str, answers: Predictions) -> Judgement:
        """What the gate says of a variant's answers.

        Raises:
            GateError: the split has no positive or no negative image, or the variant answers one
                with no number.
        """
        reference, options = self.held[split].reference, self.options
        return judge(
            reference, answers, self.threshold, options.margins, bootstrap=options.bootstrap,
            seed=options.seed,
        )  # fmt: skip

    def difference(self, split: str, answers: Predictions) -> dict[str, Metric]:
        """A variant's answers against the model's; empty for a split that can show no loss."""
        reference = self.held[split].reference
        if not reference.decidable(reference.targets[0]):
            return {}
        return self.judge(split, answers).difference

    @functools.cached_property
    def copy_passes(self) -> bool:
        """Whether the images could tell that a variant is good: an exact copy of the model is."""
        return self.judge(JUDGED_ON, self.held[JUDGED_ON].reference).verdict == "pass"


@dataclass(frozen=True)
class Trial:
    """A model file and what the gate says of it on validation.

    Attributes:
        model: content of the file, with its metadata.
        answers: on the validation images; None where nothing here can execute the format.
        judgement: of the gate.
        float_layers: layers that stayed in float.
    """

    model: bytes
    answers: Predictions | None
    judgement: Judgement
    float_layers: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Of the gate."""
        return self.judgement.verdict

    @property
    def rung(self) -> Rung:
        """The trial as a line of the report."""
        return Rung(
            float_layers=self.float_layers,
            model=self.model,
            verdict=self.verdict,
            reason=self.judgement.reason,
            difference=self.judgement.difference,
        )


def tried(
    kind: VariantKind, content: bytes, bench: Bench, float_layers: tuple[str, ...] = ()
) -> Trial:
    """Execute a model file on the validation images and judge it.

    Args:
        kind: which variant.
        content: of the model file, as the converter left it.
        bench: what it is tried on.
        float_layers: layers that the converter left in float.

    Raises:
        ModelMismatchError: the device's interpreter cannot load the file, or answers no numbers.
    """
    model = describe(content, kind.format, facts_of(bench.run, kind, bench.options))
    if not kind.executable:
        unknown = Judgement("cannot judge", UNEXECUTED.format(format=kind.format), {})
        return Trial(model, None, unknown, float_layers)
    answers = _answers(kind, model, bench, JUDGED_ON)
    return Trial(model, answers, bench.judge(JUDGED_ON, answers), float_layers)


def outcome_of(kind: VariantKind, trial: Trial, bench: Bench) -> Outcome:
    """The manifest's entry for a trial, and the test images' figures in it.

    Raises:
        ModelMismatchError: the interpreter answers no numbers on a test image.
    """
    answers: dict[str, Predictions] = {}
    differences = {JUDGED_ON: trial.judgement.difference}
    points: Mapping[str, OperatingPoint] = bench.run.run.operating_points
    golden = bench.golden_answers
    if trial.answers is not None:
        answers = {
            JUDGED_ON: trial.answers,
            REPORTED_ON: _answers(kind, trial.model, bench, REPORTED_ON),
        }
        differences[REPORTED_ON] = bench.difference(REPORTED_ON, answers[REPORTED_ON])
        points = operating_points(trial.answers, bench.run.run.config.sensitivity)
        interpreter = open_model(trial.model, kind.format)
        golden = np.stack([interpreter.run(image) for image in bench.golden])
    options = bench.options
    metrics = {
        split: evaluate(
            part, points, bootstrap=options.bootstrap, seed=options.seed, each_class=False
        )
        for split, part in answers.items()
    }
    entry = Variant(
        name=kind.name,
        file=kind.file,
        bytes=len(trial.model),
        sha256=sha256(trial.model),
        format=kind.format,
        quantization=kind.quantization,
        operating_points=points,
        golden=tuple(tuple(map(_decimal, row)) for row in golden),
        golden_tolerance=kind.tolerance,
        metrics={split: _headline(metrics.get(split, {})) for split in (JUDGED_ON, REPORTED_ON)},
        difference={split: differences.get(split, {}) for split in (JUDGED_ON, REPORTED_ON)},
        verdict=trial.verdict,
        reason=trial.judgement.reason,
        float_layers=trial.float_layers,
    )
    return Outcome(kind, entry, trial.model, kept=_kept(trial.verdict, options), answers=answers)


def _answers(kind: VariantKind, model: bytes, bench: Bench, split: str) -> Predictions:
    rows = bench.held[split].rows
    with progress.bar(f"{kind.name}, {split}", len(rows)) as update:
        probabilities = run_images(model, kind.format, bench.images.tensors, rows, update)
    chosen = [bench.images.rows[index] for index in rows]
    record = bench.run.run
    return predictions(probabilities, chosen, record.labels, record.melanoma)


def _kept(verdict: Verdict, options: Options) -> bool:
    return (
        verdict == "pass"
        or (verdict == "cannot judge" and options.accept_unproven)
        or (verdict == "fail" and options.allow_failing)
    )


def _headline(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    return {name: metric for name, metric in metrics.items() if name in HEADLINE}


def _decimal(value: np.float32) -> float:
    return float(str(value))
