"""TFLite with 8-bit weights and activations; the layers that suffer can be left in float.

The network is fitted to the calibration images first (`convert.variants.tflite_fitting`).
Quantization is TensorFlow's own post-training quantization, through its quantization debugger: the
public way to leave chosen operators in float, and to see what quantization does to each of them.
Both ends of the network are always left in float (`convert.variants.ends`): normalisation becomes
the scale and zero point of the bytes that come in, and an 8-bit softmax would have 256 steps, so
that probabilities tie and thresholds slip.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.util import modify_model_io_type

from convert.variants import Exported, LayerError, ends
from convert.variants.tflite import converter, float32, refusal_in_words
from convert.variants.tflite_fitting import Fitted
from train.evaluation.execution import run_images

_FLOAT_OPERATORS = ["SOFTMAX"]
_IMAGES_FOR_ERRORS = 10  # TensorFlow runs them through slow reference kernels
_IMAGES_FOR_EFFECTS = 50  # of one layer at a time; times the number of layers
_LEAST = 1e-7  # smaller probabilities count as this in a logarithm


class Int8Quantizer:
    """uint8 image in, float probabilities out, 8-bit integers between; calibrated once.

    Raises:
        VariantUnsupportedError: TensorFlow cannot convert the model.
    """

    def __init__(self, exported: Exported) -> None:
        self._exported = exported
        self._layer = ends.normalisation(exported.model)
        with refusal_in_words(), _saved(exported, self._layer) as saved:
            made = converter(replace(exported, saved_model=saved))
            made.optimizations = [tf.lite.Optimize.DEFAULT]
            made.representative_dataset = self._images(len(exported.calibration))
            self._debugger = tf.lite.experimental.QuantizationDebugger(
                converter=made,
                debug_dataset=self._images(_IMAGES_FOR_ERRORS),
                debug_options=tf.lite.experimental.QuantizationDebugOptions(
                    denylisted_ops=_FLOAT_OPERATORS
                ),
            )
            calibrated = bytes(self._debugger.calibrated_model)
            self._head = ends.tflite_head(calibrated)
            images = (image for (image,) in self._images(len(exported.calibration))())
            self._fitted = Fitted(calibrated, images)

    def model(self, float_tensors: Sequence[str] = ()) -> bytes:
        """The content of the file; layers with these output tensors stay in float.

        Raises:
            VariantUnsupportedError: TensorFlow cannot convert the model.
        """
        with refusal_in_words():
            quantized = mlir_quantize(
                self._fitted.model(float_tensors),
                denylisted_ops=_FLOAT_OPERATORS,
                denylisted_nodes=[*self._head, *float_tensors],
            )
            if ends.takes_floats(quantized):  # the first layer is one of those left in float
                scale, offset = (1.0, 0.0) if self._layer is None else (
                    self._layer.scale, self._layer.offset
                )  # fmt: skip
                return ends.fed_bytes(quantized, scale, round(-offset / scale))
            return bytes(modify_model_io_type(quantized, tf.uint8, tf.float32))

    def layer_errors(self) -> tuple[LayerError, ...]:
        """The error of every layer when all are in 8 bits, on some of the calibration images."""
        with refusal_in_words():
            self._debugger.calibrated_model = self._fitted.model()
            self._debugger.options = self._debugger.options  # makes the model that it runs anew
            self._debugger.run()
        statistics = io.StringIO()
        self._debugger.layer_statistics_dump(statistics)
        statistics.seek(0)
        rows = csv.DictReader(statistics)
        weights = self._fitted.weight_errors
        errors = (
            _layer_error(row, weights.get(row["tensor_name"], 0.0))
            for row in rows
            if row["tensor_name"] not in self._head
        )
        return tuple(sorted(errors, key=lambda one: (-one.error, one.tensor)))

    def layer_effects(self, errors: Sequence[LayerError]) -> tuple[LayerError, ...]:
        """The same layers with `LayerError.effect`, the largest first.

        One layer at a time is in 8 bits, its inputs and output with it, and all others in float;
        what the probabilities then lose is that layer's doing.
        """
        expected = self._logarithms(float32(self._exported))
        tensors = [one.tensor for one in errors]
        effects = []
        for one in errors:
            others = [tensor for tensor in tensors if tensor != one.tensor]
            given = self._logarithms(self.model(others))
            effects.append(float((np.exp(expected) * (expected - given)).sum(axis=1).mean()))
        found = [replace(one, effect=effect) for one, effect in zip(errors, effects, strict=True)]
        return tuple(sorted(found, key=lambda one: (-(one.effect or 0.0), one.tensor)))

    def _logarithms(self, model: bytes) -> NDArray[np.float64]:
        """Of the probabilities for some calibration images, shape (images, classes)."""
        rows = np.arange(min(_IMAGES_FOR_EFFECTS, len(self._exported.calibration)))
        answers = run_images(model, "tflite", self._exported.calibration, rows)
        return np.log(np.maximum(answers.astype(np.float64), _LEAST))

    def _images(self, count: int) -> Any:
        """Calibration images as the network's first layer gets them.

        Two corner pixels of the first one are black and white: with all values from 0 to 255 met,
        bytes come in as they are.
        """

        def images() -> Iterator[list[Any]]:
            for number, image in enumerate(self._exported.calibration[:count]):
                fed = image[np.newaxis].astype(np.float32)
                if number == 0:
                    fed[0, 0, 0], fed[0, 0, -1] = 0, 255
                yield [fed if self._layer is None else fed * self._layer.scale + self._layer.offset]

        return images


@contextlib.contextmanager
def _saved(exported: Exported, normalisation: Any) -> Iterator[Path]:
    """The SavedModel to convert: of the network behind its normalisation, where it has one."""
    if normalisation is None:
        yield exported.saved_model
        return
    import keras

    name = exported.model.name  # given, or it would be numbered, and two files of a model differ
    network = keras.Model(normalisation.output, exported.model.output, name=name)
    shape = (1, exported.size, exported.size, 3)
    signature = [keras.InputSpec(shape=shape, dtype="float32", name="image")]
    with tempfile.TemporaryDirectory(prefix="dermedge-") as scratch:
        network.export(
            scratch, format="tf_saved_model", input_signature=signature, verbose=False
        )  # fmt: skip
        yield Path(scratch)


def _layer_error(row: dict[str, str], by_weights: float) -> LayerError:
    """The debugger compares with the fitted weights in floats; what these lose comes on top."""
    tensor, step = row["tensor_name"], float(row["scale"])
    error = math.sqrt(float(row["mean_squared_error"]) + by_weights) / step
    return LayerError(_words(tensor, row["op_name"]), tensor, error)


def _words(tensor: str, operator: str) -> str:
    """The Keras layers in a tensor's name, which joins paths "model/layer/..." by semicolons.

    The export gives model and layers a suffix, "_1", which is taken off again.
    """
    layers: list[str] = []
    for path in tensor.split(";"):
        model, _, rest = path.partition("/")
        layer = rest.split("/")[0]
        suffix = re.search(r"_\d+$", model)
        if suffix:
            layer = layer.removesuffix(suffix.group())
        if layer and layer not in layers:
            layers.append(layer)
    return f"{' + '.join(layers) or tensor} ({operator.lower()})"
