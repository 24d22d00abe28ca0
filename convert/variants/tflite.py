"""TFLite files from a SavedModel with a fixed batch of one.

Quantization is TensorFlow's own post-training quantization. In the int8 variant everything but the
softmax is integer: an 8-bit softmax has 256 steps, so that probabilities tie and thresholds slip.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.util import modify_model_io_type

from convert.variants import Exported
from edge_runtime.errors import VariantUnsupportedError

_FLOAT_OPERATORS = ["SOFTMAX"]


def float32(exported: Exported) -> bytes:
    """As trained."""
    return _convert(_converter(exported))


def float16(exported: Exported) -> bytes:
    """Weights stored as 16-bit floats, computed in 32 bits."""
    converter = _converter(exported)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return _convert(converter)


def dynamic(exported: Exported) -> bytes:
    """Weights stored as 8-bit integers, activations in float."""
    converter = _converter(exported)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _convert(converter)


def int8(exported: Exported) -> bytes:
    """Weights and activations as 8-bit integers; uint8 image in, float probabilities out."""

    def images() -> Iterator[list[Any]]:
        for image in exported.calibration:
            yield [image[np.newaxis].astype(np.float32)]

    converter = _converter(exported)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = images
    with refusal_in_words():
        # The debugger is TensorFlow's way to leave chosen operators in float.
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=images,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(
                denylisted_ops=_FLOAT_OPERATORS
            ),
        )
        quantized = debugger.get_nondebug_quantized_model()
        return bytes(modify_model_io_type(quantized, tf.uint8, tf.float32))


def _converter(exported: Exported) -> Any:
    return tf.lite.TFLiteConverter.from_saved_model(str(exported.saved_model))


def _convert(converter: Any) -> bytes:
    with refusal_in_words():
        return bytes(converter.convert())


@contextlib.contextmanager
def refusal_in_words() -> Iterator[None]:
    """Turn what TensorFlow raises for a model it cannot convert into `VariantUnsupportedError`."""
    try:
        yield
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise _unsupported(error) from None
    except Exception as error:  # ConverterError derives from Exception and is not exported
        if type(error).__name__ != "ConverterError":
            raise
        raise _unsupported(error) from None


def _unsupported(error: Exception) -> VariantUnsupportedError:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return VariantUnsupportedError(f"TensorFlow Lite cannot hold this model: {line[:300]}")
