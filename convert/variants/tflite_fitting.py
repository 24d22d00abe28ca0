"""A calibrated TFLite model made ready for 8 bits: weights, biases and ranges fitted to images.

TensorFlow's quantizer takes the ranges that it finds in the file, gives each output channel of a
convolution a scale by its largest weight, and rounds to the nearest. All of it is left to do so:
what is changed is the file that it gets, whose weights are integers times that scale already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from convert.metadata.flatbuffer import model_bytes, operator_kind, parse_model
from convert.variants.ranges import least_error_range
from convert.variants.rounding import Moments, Rounded, rounded

_CONVOLUTION = schema.BuiltinOperator.CONV_2D
_DEPTHWISE = schema.BuiltinOperator.DEPTHWISE_CONV_2D

_PLACES_OF_AN_IMAGE = 64
"""Of every layer, where its filters are looked at in every image."""
_VALUES_OF_AN_IMAGE = 1000
"""Of every activation."""
_SEED = 0


class Fitted:
    """A calibrated model, and what its layers are to become in 8 bits.

    Args:
        calibrated: content of the file, in floats, with the ranges of its activations.
        images: inputs of the file, each of shape (1, size, size, 3).
    """

    def __init__(self, calibrated: bytes, images: Iterable[NDArray[np.float32]]) -> None:
        self._calibrated = calibrated
        self._layers, self._ranges = _measured(calibrated, images)

    @property
    def weight_errors(self) -> dict[str, float]:
        """Mean square error of layers by the rounding of their weights, by name of their output."""
        return {name: found.error for name, (_, found) in self._layers.items()}

    def model(self, float_tensors: Collection[str] = ()) -> bytes:
        """The file that the quantizer is to get.

        Args:
            float_tensors: names of the outputs of layers that stay in float, and as they are.
        """
        parsed = parse_model(self._calibrated)
        graph = parsed.subgraphs[0]
        for name, (layer, found) in self._layers.items():
            if name in float_tensors:
                continue
            filters = layer.as_kept(found.filters)
            bias = _values(parsed, layer.bias) + found.shift
            for tensor, values in ((layer.filters, filters), (layer.bias, bias)):
                stored = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
                parsed.buffers[graph.tensors[tensor].buffer].data = stored
        for tensor, (low, high) in self._ranges.items():
            known = graph.tensors[tensor].quantization
            known.min, known.max = np.array([low], np.float32), np.array([high], np.float32)
        return model_bytes(parsed)


@dataclass(frozen=True)
class _Layer:
    """A convolution whose filters can be fitted.

    Attributes:
        source, filters, bias: numbers of its tensors.
        shape: of the filters as the file keeps them.
        depthwise: whether every input channel has filters of its own.
        strides: down and across.
        same: whether the borders are padded, so that nothing is lost but to the strides.
    """

    source: int
    filters: int
    bias: int
    shape: tuple[int, int, int, int]
    depthwise: bool
    strides: tuple[int, int]
    same: bool

    def as_rows(self, kept: NDArray[np.float32]) -> NDArray[np.float32]:
        """The filters, a row each."""
        if self.depthwise:
            return kept.reshape(-1, self.shape[3]).T
        return kept.reshape(self.shape[0], -1)

    def as_kept(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The filters as the file keeps them."""
        return (rows.T if self.depthwise else rows).reshape(self.shape)

    def patches(self, source: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """What the filters are laid over in some places.

        Args:
            source: the layer's input, shape (1, height, width, channels).
            rng: draws the places.

        Returns:
            shape (filters, places, weights of a filter) of a depthwise layer, else
            (1, places, weights of a filter).
        """
        _, rows, columns, _ = self.shape
        image = source[0]
        if self.same:
            image = np.pad(image, (
                _padding(image.shape[0], rows, self.strides[0]),
                _padding(image.shape[1], columns, self.strides[1]),
                (0, 0),
            ))  # fmt: skip
        windows = np.lib.stride_tricks.sliding_window_view(image, (rows, columns), axis=(0, 1))
        windows = windows[:: self.strides[0], :: self.strides[1]]
        height, width, channels = windows.shape[:3]
        drawn = rng.permutation(height * width)[:_PLACES_OF_AN_IMAGE]
        found = windows[drawn // width, drawn % width]  # places, channels, rows, columns
        if self.depthwise:
            found = found.reshape(len(drawn), channels, -1).transpose(1, 0, 2)
            return np.repeat(found, self.shape[3] // channels, axis=0)
        return found.transpose(0, 2, 3, 1).reshape(1, len(drawn), -1)


def _padding(length: int, reach: int, stride: int) -> tuple[int, int]:
    whole = max((-(-length // stride) - 1) * stride + reach - length, 0)
    return whole // 2, whole - whole // 2


def _measured(
    calibrated: bytes, images: Iterable[NDArray[np.float32]]
) -> tuple[dict[str, tuple[_Layer, Rounded]], dict[int, tuple[float, float]]]:
    """Layers by name of their output, and ranges by number of the tensor."""
    parsed = parse_model(calibrated)
    layers = dict(_layers(parsed))
    limits = dict(_limits(parsed))
    moments = {
        name: Moments(layer.shape[3] if layer.depthwise else 1, _inputs(layer))
        for name, layer in layers.items()
    }
    values: dict[int, list[NDArray[np.float32]]] = {tensor: [] for tensor in limits}
    rng = np.random.default_rng(_SEED)
    interpreter = Interpreter(
        model_content=calibrated, experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )  # fmt: skip
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    for image in images:
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        for name, layer in layers.items():
            moments[name].add(layer.patches(interpreter.get_tensor(layer.source), rng))
        for tensor in limits:
            found = interpreter.get_tensor(tensor).ravel()
            drawn = rng.integers(0, len(found), min(len(found), _VALUES_OF_AN_IMAGE))
            values[tensor].append(found[drawn])
    fitted = {
        name: (layer, rounded(layer.as_rows(_values(parsed, layer.filters)), moments[name]))
        for name, layer in layers.items()
    }
    return fitted, {
        tensor: least_error_range(np.concatenate(values[tensor]), *limits[tensor])
        for tensor in limits
    }


def _inputs(layer: _Layer) -> int:
    _, rows, columns, channels = layer.shape
    return rows * columns * (1 if layer.depthwise else channels)


def _layers(parsed: Any) -> Iterator[tuple[str, _Layer]]:
    """The convolutions with filters and a bias of their own, by name of their output."""
    graph = parsed.subgraphs[0]
    taken = [int(tensor) for made in graph.operators for tensor in made.inputs]
    held = [int(tensor.buffer) for tensor in graph.tensors]
    for made in graph.operators:
        kind = operator_kind(parsed, made)
        if kind not in (_CONVOLUTION, _DEPTHWISE) or len(made.inputs) < 3 or made.inputs[2] < 0:
            continue
        source, filters, bias = map(int, made.inputs)
        options = made.builtinOptions
        count, rows, columns, depth = map(int, graph.tensors[filters].shape)
        channels = int(graph.tensors[source].shape[3])
        whole = depth % channels == 0 if kind == _DEPTHWISE else depth == channels
        own = all(
            taken.count(one) == held.count(graph.tensors[one].buffer) == 1
            and parsed.buffers[graph.tensors[one].buffer].data is not None
            for one in (filters, bias)
        )
        spread = (options.dilationHFactor, options.dilationWFactor) != (1, 1)
        if not (whole and own) or spread:
            continue
        yield graph.tensors[made.outputs[0]].name.decode(), _Layer(
            source, filters, bias, (count, rows, columns, depth), kind == _DEPTHWISE,
            (options.strideH, options.strideW), options.padding == schema.Padding.SAME,
        )  # fmt: skip


def _limits(parsed: Any) -> Iterator[tuple[int, tuple[float, float]]]:
    """What the calibration has seen of every operator's output that has a range."""
    graph = parsed.subgraphs[0]
    for made in graph.operators:
        for tensor in map(int, made.outputs):
            known = graph.tensors[tensor].quantization
            if known is None or known.min is None or not len(known.min):
                continue
            if known.min[0] < known.max[0]:
                yield tensor, (float(known.min[0]), float(known.max[0]))


def _values(parsed: Any, tensor: int) -> NDArray[np.float32]:
    known = parsed.subgraphs[0].tensors[tensor]
    stored = bytes(parsed.buffers[known.buffer].data)
    return np.frombuffer(stored, np.float32).reshape(known.shape)
