"""Material for a bundle's report, by hand: a run's real answers, disturbed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from convert.evidence import Held
from convert.gate.judge import Margins, judge
from convert.golden import golden_images
from convert.outcome import Material, Options, Outcome, Rung
from convert.packing import pack
from convert.trial import HEADLINE
from convert.variants import VARIANTS, LayerError
from edge_runtime._files import sha256
from edge_runtime.bundle import Bundle
from edge_runtime.manifest import Gate, Metric, Variant
from tests.page import Page
from train.metrics import Predictions, evaluate, operating_points
from train.run import RunFolder

EVIL = "<script>alert(1)</script>"
UNEXECUTED = "no runtime here can execute coreml files"
LAYERS = tuple(
    LayerError(
        f"stage{place}_conv + stage{place}_bn (conv_2d)", f"model/stage{place};1", error,
        effect=0.05 / (1 + place),
    )
    for place, error in enumerate([0.61, 4.25, *(0.29 + 0.001 * k for k in range(28, 0, -1))])
)  # fmt: skip
Render = Callable[..., str]


def disturbed(answers: Predictions, noise: float, seed: int = 0) -> Predictions:
    """The same answers with noise on the logits."""
    rng = np.random.default_rng(seed)
    logits = np.log(np.clip(answers.probabilities, 1e-6, 1)) + noise * rng.normal(
        size=answers.probabilities.shape
    )
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return replace(answers, probabilities=probabilities)


def outcome(
    name: str, held: dict[str, Held], noise: float, *, size: int, speed: float = 1.0,
    kept: bool | None = None, threshold: float = 0.5,
) -> Outcome:  # fmt: skip
    """A variant that answers with noise, judged and measured as a conversion does it."""
    kind = VARIANTS[name]
    answers = {split: disturbed(part.reference, noise) for split, part in held.items()}
    points = operating_points(answers["val"], 0.9)
    judged = {
        split: judge(part.reference, answers[split], threshold, Margins(), bootstrap=0)
        for split, part in held.items()
    }
    measured = {
        split: evaluate(part, points, bootstrap=0, seed=0) for split, part in answers.items()
    }
    entry = Variant(
        name=name, file=kind.file, bytes=size, sha256=sha256(name.encode()), format=kind.format,
        quantization=kind.quantization, operating_points=points,
        golden=((0.2, 0.3, 0.5), (0.5, 0.3, 0.2)), golden_tolerance=kind.tolerance,
        metrics={
            split: {
                key: Metric(metric.value, metric.value - 0.02, metric.value + 0.02)
                for key, metric in metrics.items()
                if key in HEADLINE
            }
            for split, metrics in measured.items()
        },
        difference={split: judgement.difference for split, judgement in judged.items()},
        verdict=judged["val"].verdict, reason=judged["val"].reason,
    )  # fmt: skip
    rung = Rung((), bytes(size), entry.verdict, entry.reason, judged["val"].difference, speed)
    passed = entry.verdict == "pass"
    return Outcome(
        kind, entry, name.encode(), median_ms=speed, kept=passed if kept is None else kept,
        answers=answers, rungs=(rung,),
    )  # fmt: skip


def unexecuted(run: RunFolder) -> Outcome:
    kind = VARIANTS["coreml_f16"]
    entry = Variant(
        name=kind.name, file=kind.file, bytes=70_001, sha256=sha256(b"coreml"), format="coreml",
        quantization=kind.quantization, operating_points=run.run.operating_points,
        golden=((0.2, 0.3, 0.5), (0.5, 0.3, 0.2)), golden_tolerance=kind.tolerance,
        metrics={"val": {}, "test": {}}, difference={"val": {}, "test": {}},
        verdict="cannot judge", reason=UNEXECUTED,
    )  # fmt: skip
    return Outcome(kind, entry, b"coreml", median_ms=math.nan, kept=True)


def gate_of(material: Material) -> Gate:
    reference = material.held["val"].reference
    positive = reference.positive("melanoma")
    ids = tuple(material.images.rows[at].image_id for at in material.calibration)
    lesions = len(set(reference.groups[positive].tolist()))
    return Gate("val", len(positive), int(positive.sum()), lesions, 0.01, 0.05, 0.95, ids)


def packed(run: RunFolder, material: Material, out: Path, *, pictures: bool = True) -> Bundle:
    options = Options(name="by-hand", bootstrap=0, seed=5, pictures=pictures)
    pack(out, run, material, golden_images(run.run.input.size), gate_of(material), options)
    return Bundle.open(out)


def section(text: str, name: str) -> str:
    """The words of one section."""
    return Page(source(text, name)).text


def source(text: str, name: str) -> str:
    return text[text.index(f'<section id="{name}"') :].split("</section>")[0]
