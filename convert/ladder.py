"""The ladder of repairs: more and more layers in float, then another arithmetic.

A variant that does not pass as it is gets further tries:

1. the layers whose quantization moves the answers most, one by one, stay in float: a few at first,
   then more;
2. where that does not help, the variant's fallback is made instead (int8, then 16-bit activations,
   then 16-bit floats; `VariantKind.fallback`).

Validation judges every try, and the first that passes is taken. Each try is another chance for a
bad file to pass by luck; docs/gate.md has how small one such chance is, and the test images, which
are looked at once and after all tries, show what came of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from convert.outcome import Outcome
from convert.trial import Bench, Trial, outcome_of, tried
from convert.variants import LayerError, Quantizer, VariantKind
from edge_runtime.errors import ModelMismatchError, VariantUnsupportedError
from train import progress

SHARES = (0.05, 0.1, 0.2, 0.4)
"""Shares of the layers that stay in float, rounded down, one try after the other."""


def climbed(kind: VariantKind, converted: Quantizer, bench: Bench) -> Outcome:
    """Try a variant, and repair it where it does not pass.

    Args:
        kind: the variant.
        converted: the model in its form.
        bench: what it is tried on.

    Returns:
        the outcome of the first try that passes. Where none does, that of the plain form: a repair
        that does not help is not worth its float layers. A repair that cannot be made or executed
        is the last that is tried.

    Raises:
        VariantUnsupportedError: the format cannot hold the plain form.
        ModelMismatchError: the device's interpreter cannot load that, or answers no numbers.
    """
    plain = tried(kind, converted.model(), bench)
    errors = converted.layer_errors()
    trials = [plain]
    if bench.options.ladder and plain.verdict != "pass" and errors and bench.copy_passes:
        progress.say(f"{kind.name}: {plain.verdict}; looking for the layers that cause it")
        try:
            errors = converted.layer_effects(errors)
            for trial in _repairs(kind, converted, errors, bench):
                progress.say(
                    f"{kind.name} with {len(trial.float_layers)} of {len(errors)} layers in float: "
                    f"{trial.verdict}; {trial.judgement.reason}"
                )
                trials.append(trial)
                if trial.verdict == "pass":
                    break
        except (VariantUnsupportedError, ModelMismatchError) as error:
            progress.say(f"{kind.name}: no further repair; {error}")
    outcome = None
    if len(trials) > 1 and trials[-1].verdict == "pass":
        try:
            outcome = outcome_of(kind, _explained(trials[-1], plain, len(errors)), bench)
        except ModelMismatchError as error:
            progress.say(f"{kind.name}: the repair is not taken; {error}")
    outcome = outcome or outcome_of(kind, plain, bench)
    rungs = tuple(one.rung for one in trials if one.answers is not None)
    return replace(outcome, rungs=rungs, layer_errors=errors)


def fallback_of(outcome: Outcome, bench: Bench) -> str | None:
    """Name of the variant to make in the place of one that did not pass; None for none."""
    entry = outcome.entry
    if not bench.options.ladder or not outcome.kind.fallback or not bench.copy_passes:
        return None
    return None if entry is not None and entry.verdict == "pass" else outcome.kind.fallback


def _repairs(
    kind: VariantKind, converted: Quantizer, errors: Sequence[LayerError], bench: Bench
) -> Iterator[Trial]:
    for count in _counts(len(errors)):
        worst = errors[:count]
        content = converted.model([one.tensor for one in worst])
        yield tried(kind, content, bench, tuple(one.layer for one in worst))


def _counts(layers: int) -> list[int]:
    return sorted({max(1, math.floor(share * layers)) for share in SHARES})


def _explained(taken: Trial, plain: Trial, layers: int) -> Trial:
    why = (
        f"{taken.judgement.reason}; {len(taken.float_layers)} of {layers} layers are in float, "
        f"since with none the gate says {plain.verdict} ({plain.judgement.reason})"
    )
    return replace(taken, judgement=replace(taken.judgement, reason=why))
