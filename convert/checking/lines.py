"""What a device answered: the lines that `dermedge classify --json` wrote there."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from convert.checking.execution import title_of
from edge_runtime.bundle import Bundle
from edge_runtime.decision import Decision
from edge_runtime.errors import DataError, DataNotFoundError
from edge_runtime.manifest import Variant

SUM_TOLERANCE = 1e-3
"""How far the sum of the probabilities may lie from 1; a softmax in 16 bits stays within 5e-4."""

DECISIONS: tuple[Decision, ...] = get_args(Decision)
"""That a line may hold; one of a newer runtime is not guessed at."""

_SHOWN = 12
"""Digits of a SHA-256 in a message."""


@dataclass(frozen=True)
class Answer:
    """One image that the device classified.

    Attributes:
        line: where in the file, from 1.
        file: the image, as it was called on the device.
        variant: which of the bundle's.
        probabilities: in the order of the bundle's labels.
        decision: what the device made of them and of the photograph.
    """

    line: int
    file: str
    variant: str
    probabilities: tuple[float, ...]
    decision: Decision


@dataclass(frozen=True)
class Refusal:
    """One image that the device could not use."""

    line: int
    file: str


def read_lines(path: Path, bundle: Bundle) -> list[Answer | Refusal]:
    """Every line of a file of answers, all of which the bundle's own files gave.

    Only the keys that are needed are looked at; a newer runtime may write more.

    Raises:
        DataNotFoundError: the file cannot be read.
        DataError: it is empty, a line is not as `dermedge classify --json` writes it, or another
            model answered; names the line.
    """
    try:
        with path.open("rb") as file:
            read = [_Line(number, path.name, bundle).parse(text) for number, text in _filled(file)]
    except OSError as error:
        raise DataNotFoundError(
            f"{path} cannot be read ({error.strerror}); name the file that "
            "`dermedge classify --json` wrote."
        ) from None
    if not read:
        raise DataError(
            f"{path.name} is empty, expected a line an image; write it with "
            "`dermedge classify IMAGE... --model BUNDLE --json`."
        )
    return read


def _filled(file: Any) -> Iterator[tuple[int, bytes]]:
    return ((number, text) for number, text in enumerate(file, 1) if text.strip())


@dataclass(frozen=True)
class _Line:
    """One line on its way from text to an answer."""

    number: int
    name: str
    bundle: Bundle

    def parse(self, text: bytes) -> Answer | Refusal:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"is not JSON ({error}); copy the file again, or classify again") \
                from None  # fmt: skip
        if not isinstance(value, dict):
            raise self._wrong(f"holds {_kind(value)}, expected an object for each image")
        file = value.get("file")
        if not isinstance(file, str) or not file:
            raise self._wrong("names no file, so its image cannot be found among the labelled ones")
        if value.get("error") is not None:
            return Refusal(self.number, file)
        variant = self._variant(value.get("model"))
        probabilities = self._probabilities(value.get("probabilities"))
        decision = self._decision(value.get("decision"))
        return Answer(self.number, file, variant.name, probabilities, decision)

    def _variant(self, model: object) -> Variant:
        keys = ("name", "version", "variant", "sha256")
        told = [model.get(key) for key in keys] if isinstance(model, dict) else []
        if not told or not all(isinstance(word, str) for word in told):
            raise self._wrong(
                "does not say which model answered, expected its name, version, variant and sha256"
            )
        name, version, variant, digest = map(str, told)
        manifest = self.bundle.manifest
        held = {entry.name: entry for entry in manifest.variants}
        if name == manifest.name and variant not in held:
            raise self._wrong(
                f"was answered by the variant {variant}, the bundle holds {', '.join(held)}"
            )
        if name != manifest.name or digest != held[variant].sha256:
            expected = f" {variant} (SHA-256 {held[variant].sha256[:_SHOWN]}...)" \
                if variant in held else ""  # fmt: skip
            raise self._wrong(
                f"was answered by {variant} (SHA-256 {digest[:_SHOWN]}...) of the bundle {name} "
                f"{version}, not by{expected} of this bundle, {title_of(self.bundle)}; name the "
                "bundle that was on the device"
            )
        return held[variant]

    def _probabilities(self, told: object) -> tuple[float, ...]:
        codes = self.bundle.manifest.codes
        if not isinstance(told, dict):
            raise self._wrong("holds neither probabilities nor an error")
        if set(told) != set(codes):
            raise self._wrong(
                f"has probabilities of {', '.join(map(str, told)) or 'no class'}, expected those "
                f"of {', '.join(codes)}"
            )
        for code, value in told.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) \
                    or not 0 <= value <= 1:  # fmt: skip
                raise self._wrong(f"says {value!r} of {code}, expected a probability, 0 to 1")
        probabilities = tuple(float(told[code]) for code in codes)
        if not math.isclose(total := math.fsum(probabilities), 1, abs_tol=SUM_TOLERANCE):
            raise self._wrong(f"has probabilities that add up to {total:.4f}, expected 1")
        return probabilities

    def _decision(self, told: object) -> Decision:
        for known in DECISIONS:
            if told == known:
                return known
        raise self._wrong(f"says the decision {told!r}, expected one of {', '.join(DECISIONS)}")

    def _wrong(self, what: str) -> DataError:
        return DataError(f"Line {self.number} of {self.name} {what}.")


def _kind(value: object) -> str:
    return {list: "a list", str: "text", type(None): "nothing"}.get(type(value), "a number")
