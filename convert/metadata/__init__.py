"""What a model file says of itself, so that it is understood without its bundle.

Every format has its own place for this: TFLite a metadata block and attached label files, ONNX
`metadata_props`, Core ML the description in its specification. A format is one module with a
function ``describe(model, facts) -> bytes`` and one line below.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from edge_runtime.manifest import Label
from edge_runtime.preprocess import InputRule

INPUT_NAME, OUTPUT_NAME = "image", "probabilities"
INPUT_DESCRIPTION = "RGB values, 0 to 255, as they are: normalisation is part of the model."
OUTPUT_DESCRIPTION = "Probabilities of the classes, 0 to 1, which sum to 1."


@dataclass(frozen=True)
class Facts:
    """What is written into a model file.

    Attributes:
        name, version: of the bundle.
        variant: name of the variant.
        description: what the model is, and what it is not for.
        author: who made the file.
        licence: of the model, as an SPDX identifier.
        citations: what has to be cited with it.
        labels: in the order of the outputs.
        input: how an image becomes the input.
    """

    name: str
    version: str
    variant: str
    description: str
    author: str
    licence: str
    citations: tuple[str, ...]
    labels: tuple[Label, ...]
    input: InputRule

    @property
    def codes(self) -> tuple[str, ...]:
        """Class codes in the order of the outputs."""
        return tuple(label.code for label in self.labels)


WRITERS = ("tflite", "onnx", "coreml")
"""Formats, each the name of a module of this package."""


def describe(model: bytes, model_format: str, facts: Facts) -> bytes:
    """The same model with ``facts`` written into it; facts that it holds already are replaced.

    Args:
        model: content of a model file.
        model_format: one of `WRITERS`.
        facts: what to write.
    """
    writer: Callable[[bytes, Facts], bytes] = importlib.import_module(
        f"convert.metadata.{model_format}"
    ).describe
    return writer(model, facts)
