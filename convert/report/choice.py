"""Which variant to take for what, read from what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from convert.outcome import Outcome
from convert.trial import JUDGED_ON
from edge_runtime.manifest import Variant

CLOSEST = "mean_probability_difference"


@dataclass(frozen=True)
class Choice:
    """A purpose, the variant for it, and the reason in words."""

    purpose: str
    variant: str
    because: str


def choices(outcomes: Sequence[Outcome]) -> tuple[Choice, ...]:
    """A variant for every purpose that one in the bundle serves; none where nothing passed.

    Args:
        outcomes: of every variant; only those in the bundle that passed are chosen, and Core ML
            packages, which nothing but Apple's own software executes.
    """
    held = sorted((one for one in outcomes if one.kept), key=lambda one: one.kind.rank)
    passing = [one for one in held if _entry(one).verdict == "pass"]
    found = [*_devices(passing), *_apps(held, passing)]
    close = [one for one in passing if CLOSEST in _entry(one).difference.get(JUDGED_ON, {})]
    if close:
        best = min(close, key=_apart)
        found.append(
            Choice(
                "the Keras model's answers, as exactly as a file can have them",
                best.kind.name,
                f"its probabilities differ by {_apart(best):.2g} on average, the least",
            )
        )
    return tuple(found)


def _devices(passing: Sequence[Outcome]) -> list[Choice]:
    if not passing:
        return []
    smallest = min(passing, key=lambda one: _entry(one).bytes)
    found = [
        Choice(
            "a Raspberry Pi or another device with dermedge-runtime",
            passing[0].kind.name,
            "it takes this one by itself: the first that passed, in the order that devices prefer",
        ),
        Choice(
            "little storage, or a slow download",
            smallest.kind.name,
            f"the smallest that passed: {_entry(smallest).bytes:,} bytes",
        ),
    ]
    timed = [one for one in passing if math.isfinite(one.median_ms)]
    if timed:
        fastest = min(timed, key=lambda one: one.median_ms)
        found.append(
            Choice(
                "many images in little time",
                fastest.kind.name,
                f"the fastest that passed, on the machine that converted: {fastest.median_ms:.2f} "
                "ms; measure on the device itself (dermedge bench) before you rely on it",
            )
        )
    return found


def _apps(held: Sequence[Outcome], passing: Sequence[Outcome]) -> list[Choice]:
    found = []
    for model_format, purpose in (
        ("tflite", "an Android app (LiteRT, MediaPipe)"),
        ("onnx", "a web page (ONNX Runtime Web)"),
    ):
        fit = next((one for one in passing if one.kind.format == model_format), None)
        if fit is not None:
            because = f"the first {model_format.upper()} file that passed, in the same order"
            found.append(Choice(purpose, fit.kind.name, because.replace("TFLITE", "TFLite")))
    for one in held:
        if one.kind.format == "coreml":
            because = "not executed here, so not judged: check it on a Mac with the golden inputs"
            found.append(Choice("an iOS app (Core ML)", one.kind.name, because))
    return found


def _entry(outcome: Outcome) -> Variant:
    assert outcome.entry is not None  # only variants with a file are kept
    return outcome.entry


def _apart(outcome: Outcome) -> float:
    return _entry(outcome).difference[JUDGED_ON][CLOSEST].value
