"""TFLite files in floats, or with 8-bit weights alone, from a SavedModel with a batch of one."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from convert.variants import Exported
from edge_runtime.errors import VariantUnsupportedError


def float32(exported: Exported) -> bytes:
    """As trained."""
    return _convert(converter(exported))


def float16(exported: Exported) -> bytes:
    """Weights stored as 16-bit floats, computed in 32 bits."""
    made = converter(exported)
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    made.target_spec.supported_types = [tf.float16]
    return _convert(made)


def dynamic(exported: Exported) -> bytes:
    """Weights stored as 8-bit integers, activations in float."""
    made = converter(exported)
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    return _convert(made)


def converter(exported: Exported) -> Any:
    """TensorFlow's converter of a model, its options not set."""
    made = copy.copy(_loaded(exported))
    made.target_spec = tf.lite.TargetSpec()  # the only option that is an object
    return made


@functools.lru_cache(maxsize=1)  # loading takes longer than some conversions
def _loaded(exported: Exported) -> Any:
    return tf.lite.TFLiteConverter.from_saved_model(str(exported.saved_model))


def _convert(made: Any) -> bytes:
    with refusal_in_words():
        return bytes(made.convert())


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
