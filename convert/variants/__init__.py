"""The variants of a model, by name: ``<format>_<arithmetic>``.

    format      tflite, onnx, coreml
    arithmetic  f32      32-bit floats, as trained
                f16      weights stored as 16-bit floats; onnx and coreml compute in them, too
                dynamic  weights stored as 8-bit integers, activations in float
                int8     weights and activations as 8-bit integers
                int16x8  activations as 16-bit integers, weights as 8-bit integers

The logits come out as 32-bit floats in every variant, and the softmax computes in them; the 8-bit
ones leave normalisation and head in floats, see `convert.variants.ends`. A variant is one function
``(Exported) -> bytes`` and one line below; one that can leave layers in float returns a `Quantizer`
instead.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_runtime import backends
from edge_runtime._terminal import quiet_stderr
from edge_runtime.errors import MissingExtraError, UsageError

EVERY_VARIANT = "all"
"""What `chosen` takes for every line of the registry."""

_FILE_ENDINGS = {"coreml": "mlpackage.zip"}  # of formats that are not called as their files end


@dataclass(frozen=True, eq=False)
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
class LayerError:
    """What quantization does to one layer, its inputs being right.

    Attributes:
        layer: the Keras layers that the operator computes, joined with " + ".
        tensor: name of its output in the model file; unique.
        error: root mean square error of its output in quantization steps; rounding alone gives
            about 0.29 (a uniform error's standard deviation, 1/sqrt(12)). What its weights lose is
            counted as it is before the activation, which may clip some of it.
        effect: mean Kullback-Leibler divergence of the probabilities, in nats, when this layer
            alone is in 8 bits; None where it was not measured.
    """

    layer: str
    tensor: str
    error: float
    effect: float | None = None


class Quantizer(Protocol):
    """A quantization that can be done again with some layers left in float."""

    def model(self, float_tensors: Sequence[str] = ()) -> bytes:
        """The content of the model file; the layers with these output tensors compute in float."""

    def layer_errors(self) -> tuple[LayerError, ...]:
        """The error of every layer of the plain form, the largest first."""

    def layer_effects(self, errors: Sequence[LayerError]) -> tuple[LayerError, ...]:
        """The same with the effect of every layer, the largest first."""


class Converted:
    """A model in the form of a variant.

    Args:
        made: the content of a model file, or what makes it.
    """

    def __init__(self, made: bytes | Quantizer) -> None:
        self._made = made

    def model(self, float_tensors: Sequence[str] = ()) -> bytes:
        """The content of the model file.

        Args:
            float_tensors: `LayerError.tensor` of the layers that stay in float.

        Raises:
            VariantUnsupportedError: this format cannot hold the model.
        """
        if isinstance(self._made, bytes):
            return self._made
        with _converting():
            return self._made.model(float_tensors)

    def layer_errors(self) -> tuple[LayerError, ...]:
        """The error of every layer, the largest first; empty where the form has none."""
        if isinstance(self._made, bytes):
            return ()
        with _converting():
            return self._made.layer_errors()

    def layer_effects(self, errors: Sequence[LayerError]) -> tuple[LayerError, ...]:
        """The same with the effect of every layer, the largest first; some seconds to minutes."""
        if isinstance(self._made, bytes):
            return tuple(errors)
        with _converting():
            return self._made.layer_effects(errors)


@contextlib.contextmanager
def _converting() -> Iterator[None]:
    """Keep the converters' chatter, and deprecations between their own packages, to ourselves."""
    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


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
        needs: import name of a package that an extra of the format's name installs.
        on_request: made only when it is named, or as a fallback.
        fallback: name of the variant that is tried where this one does not pass.
    """

    name: str
    format: str
    quantization: str
    converter: str
    tolerance: float
    rank: int
    needs: str = ""
    on_request: bool = False
    fallback: str = ""

    @property
    def file(self) -> str:
        """Name of the model file in a bundle."""
        return f"{self.name}.{_FILE_ENDINGS.get(self.format, self.format)}"

    @property
    def executable(self) -> bool:
        """Whether the device package has an interpreter for it, so that it can be judged."""
        return backends.readable(self.format)

    def convert(self, exported: Exported) -> Converted:
        """Convert a model.

        Raises:
            VariantUnsupportedError: this format cannot hold the model.
        """
        module, function = self.converter.split(":")
        converter: Callable[[Exported], bytes | Quantizer] = getattr(
            importlib.import_module(f"convert.variants.{module}"), function
        )
        with _converting():
            return Converted(converter(exported))


_KINDS = (
    VariantKind("tflite_f32", "tflite", "none (32-bit floats)", "tflite:float32", 1e-3, 2),
    VariantKind("tflite_f16", "tflite", "16-bit float weights", "tflite:float16", 5e-3, 1),
    VariantKind(
        "tflite_dynamic", "tflite", "8-bit weights, float activations", "tflite:dynamic", 0.02, 3
    ),
    VariantKind(
        "tflite_int8", "tflite", "8-bit weights and activations", "tflite_int8:Int8Quantizer",
        0.03, 0, fallback="tflite_int16x8",
    ),
    VariantKind(
        "tflite_int16x8", "tflite", "8-bit weights, 16-bit activations", "tflite_int16x8:int16x8",
        0.01, 7, on_request=True,  # it has no fast kernels
        fallback="tflite_f16",
    ),
    VariantKind("onnx_f32", "onnx", "none (32-bit floats)", "onnx:float32", 1e-3, 5),
    VariantKind(
        "onnx_f16", "onnx", "16-bit float weights and activations", "onnx:float16", 0.01, 6
    ),
    VariantKind(
        "onnx_int8", "onnx", "8-bit weights and activations (QDQ)", "onnx:int8", 0.03, 4,
        fallback="onnx_f16",
    ),
    VariantKind(
        "coreml_f16", "coreml", "16-bit float weights and activations", "coreml:float16", 0.01, 8,
        needs="coremltools", on_request=True,
    ),
)  # fmt: skip

VARIANTS: Mapping[str, VariantKind] = {kind.name: kind for kind in _KINDS}
"""Every variant, in the order in which tables show them."""

DEFAULT_VARIANTS = tuple(kind.name for kind in _KINDS if not kind.on_request)
"""What is made unless variants are named."""


def chosen(names: str | None) -> tuple[VariantKind, ...]:
    """The variants that a comma-separated list names, "all" of them, or for None the default.

    Raises:
        UsageError: an unknown name.
        MissingExtraError: a named variant needs a package that is not installed.
    """
    if names is None:
        wanted = list(DEFAULT_VARIANTS)
    elif names.strip() == EVERY_VARIANT:
        wanted = list(VARIANTS)
    else:
        wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in VARIANTS]
    if unknown or not wanted:
        raise UsageError(
            f"There is no variant {unknown[0] if unknown else names!r}; choose among "
            f"{', '.join(VARIANTS)}, or {EVERY_VARIANT}."
        )
    kinds = tuple(kind for kind in _KINDS if kind.name in wanted)
    for kind in kinds:
        if kind.needs and find_spec(kind.needs) is None:
            raise MissingExtraError(
                f"{kind.name} needs {kind.needs}; run "
                f'pip install "dermedge[{kind.format}]", or leave it out.'
            )
    return kinds
