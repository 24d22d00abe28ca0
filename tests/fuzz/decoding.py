"""The first target: the bytes of an image file become an input tensor, or are refused.

One thing is let pass: libtiff, inside Pillow, writes a line to standard error for a damaged TIFF.
Pillow has no switch for it, and a library must not redirect its host's standard error.
"""

from __future__ import annotations

import numpy as np

from edge_runtime.errors import ImageError
from edge_runtime.formats import sniff
from edge_runtime.image import decode
from edge_runtime.preprocess import InputRule, to_input
from tests.fuzz.mutating import mutate_image as mutate
from tests.fuzz.watching import Violation, one_sentence, watched

__all__ = ["LARGEST", "REACHED", "check", "mutate"]

REACHED = "decoded"
"""The outcome of an input that came through to the end: there is a tensor."""

MAX_PIXELS = 1_000_000
"""A limit that keeps an input cheap; an image over it has to be refused as cheaply."""

LARGEST = 32 * 1024
"""Longer inputs are cut off."""

_RULE = InputRule(size=16)


def check(content: bytes) -> str:
    """Decode ``content`` twice and check all that must hold; `REACHED`, or the error's class.

    Raises:
        Violation: it does not.
        Exception: one that is no `ImageError` came out of decoding.
    """
    first = _outcome(content)
    second = _outcome(content)
    if first != second:
        raise Violation(f"two decodings differ: {first[0]} and {second[0]}")
    return first[0]


def _outcome(content: bytes) -> tuple[str, bytes]:
    """The outcome, and the tensor's bytes and notes or the error's message."""
    with watched(native_remarks=sniff(content) == "TIFF"):
        try:
            decoded = decode(content, smallest_draft=_RULE.smallest_draft, max_pixels=MAX_PIXELS)
            tensor = to_input(decoded.pixels, _RULE)
        except ImageError as error:
            one_sentence(error)
            return type(error).__name__, str(error).encode()
    if tensor.shape != _RULE.shape or tensor.dtype != np.uint8:
        raise Violation(f"a tensor of shape {tensor.shape} and dtype {tensor.dtype}")
    if not 0 < decoded.width * decoded.height <= MAX_PIXELS or decoded.pixels.mode != "RGB":
        raise Violation(f"{decoded.width} x {decoded.height} pixels, {decoded.pixels.mode}")
    return REACHED, tensor.tobytes() + repr(decoded.notes).encode()
