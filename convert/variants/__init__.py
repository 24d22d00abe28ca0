"""The variants of a model, by name: ``<format>_<arithmetic>``.

    format      tflite, onnx
    arithmetic  f32      32-bit floats, as trained
                f16      weights stored as 16-bit floats
                dynamic  weights stored as 8-bit integers, activations in float
                int8     weights and activations as 8-bit integers; softmax in float

A variant is one function ``(Exported) -> bytes`` and one line below.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_runtime._quiet import quiet_stderr
from edge_runtime.errors import UsageError


@dataclass(frozen=True)
class Exported:
    """A model on its way out.

    Attributes:
        model: the Keras model.
        saved_model: the same as a TensorFlow SavedModel with a fixed batch of one.
        size: side of the input in pixels.
        calibration: uint8 images of the training part, shape (n, size, size, 3).
        labels: class codes in the order of the outputs.
    """

    model: Any
    saved_model: Path
    size: int
    calibration: NDArray[np.uint8]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class VariantKind:
    """A line of the registry.

    Attributes:
        name, format: see the top of this module.
        quantization: the arithmetic in words.
        converter: "module:function" within this package.
        tolerance: how far an interpreter's golden answers may lie from those recorded here; wide
            enough for another processor's rounding, far below a wrong kernel's error.
        rank: the lower, the more a device should prefer it among those that pass.
    """

    name: str
    format: Literal["tflite", "onnx"]
    quantization: str
    converter: str
    tolerance: float
    rank: int

    @property
    def file(self) -> str:
        """Name of the model file in a bundle."""
        return f"{self.name}.{self.format}"

    def convert(self, exported: Exported) -> bytes:
        """The content of the model file.

        Raises:
            VariantUnsupportedError: this format cannot hold the model.
        """
        module, function = self.converter.split(":")
        converter: Callable[[Exported], bytes] = getattr(
            importlib.import_module(f"convert.variants.{module}"), function
        )
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations between the converters' own packages
            return converter(exported)


_KINDS = (
    VariantKind("tflite_f32", "tflite", "none (32-bit floats)", "tflite:float32", 1e-3, 2),
    VariantKind("tflite_f16", "tflite", "16-bit float weights", "tflite:float16", 5e-3, 1),
    VariantKind(
        "tflite_dynamic", "tflite", "8-bit weights, float activations", "tflite:dynamic", 0.02, 3
    ),
    VariantKind(
        "tflite_int8", "tflite", "8-bit weights and activations", "tflite:int8", 0.03, 0
    ),
    VariantKind("onnx_f32", "onnx", "none (32-bit floats)", "onnx:float32", 1e-3, 5),
    VariantKind("onnx_int8", "onnx", "8-bit weights and activations (QDQ)", "onnx:int8", 0.03, 4),
)  # fmt: skip

VARIANTS: Mapping[str, VariantKind] = {kind.name: kind for kind in _KINDS}
"""Every variant, in the order in which tables show them."""


def chosen(names: str | None) -> tuple[VariantKind, ...]:
    """The variants that a comma-separated list names; all of them for None.

    Raises:
        UsageError: an unknown name.
    """
    if names is None:
        return _KINDS
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in VARIANTS]
    if unknown or not wanted:
        raise UsageError(
            f"There is no variant {unknown[0] if unknown else names!r}; choose among "
            f"{', '.join(VARIANTS)}."
        )
    return tuple(kind for kind in _KINDS if kind.name in wanted)
