"""How kernels bring a 32-bit sum back to 8 bits: the one step in which they differ.

A convolution's sum ``a`` becomes ``round(a * m) + zero point``, where ``m`` is the product of the
input's and the weights' scale over the output's. XNNPACK multiplies in float32 and rounds once, to
the nearest and halves to even. TensorFlow Lite's own kernels hold ``m`` as a 31-bit fraction and a
shift (as gemmlowp does), and round twice: after the multiplication, and after the shift. A sum that
the first rounding lifts onto a half is lifted a whole step by the second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from tests.arm.graph import read_graph

_RELU, _RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6


def round_once(sums: NDArray[np.int64], factors: NDArray[np.float64]) -> NDArray[np.int64]:
    """XNNPACK's way (its "fp32" requantization)."""
    products = sums.astype(np.float32) * factors.astype(np.float32)
    return np.rint(products).astype(np.int64)


def round_twice(sums: NDArray[np.int64], factors: NDArray[np.float64]) -> NDArray[np.int64]:
    """gemmlowp's way: SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT."""
    fractions, exponents = np.frexp(factors)
    products = sums * np.rint(fractions * 2.0**31).astype(np.int64)
    nudged = products + np.where(products >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    shifts = -exponents.astype(np.int64)
    rest = high & ((1 << shifts) - 1)
    return (high >> shifts) + (rest > ((1 << shifts) - 1 >> 1) + (high < 0))


class FirstConvolution:
    """The first convolution of an int8 file, done by hand up to the rounding."""

    def __init__(self, model: bytes) -> None:
        read = read_graph(model)
        graph = read.subgraphs[0]
        self.position = next(
            place
            for place, operator in enumerate(graph.operators)
            if operator.builtinOptionsType == schema.BuiltinOptions.Conv2DOptions
        )
        operator = graph.operators[self.position]
        source, weights, bias = (graph.tensors[index] for index in operator.inputs)
        result = graph.tensors[operator.outputs[0]]

        def values(tensor: Any, dtype: type) -> NDArray[np.int64]:
            content = bytes(read.buffers[tensor.buffer].data)
            return np.frombuffer(content, dtype).reshape(tensor.shape).astype(np.int64)

        self._weights, self._bias = values(weights, np.int8), values(bias, np.int32)
        self._options = operator.builtinOptions
        self._zero = int(source.quantization.zeroPoint[0])
        scales = [np.asarray(each.quantization.scale) for each in (source, weights, result)]
        self.factors: NDArray[np.float64] = (
            scales[0].astype(np.float64) * scales[1].astype(np.float64) / scales[2]
        )
        self._result_zero = int(result.quantization.zeroPoint[0])
        activation = self._options.fusedActivationFunction
        self._lowest = self._result_zero if activation in (_RELU, _RELU6) else -128
        six = self._result_zero + round(6 / float(scales[2][0]))
        self._highest = min(127, six) if activation == _RELU6 else 127

    def sums(self, inputs: NDArray[np.int64], side: int) -> NDArray[np.int64]:
        """Exact sums (n, side, side, channels) of 8-bit inputs (n, height, height, channels)."""
        stride = self._options.strideH
        height, width = self._weights.shape[1:3]
        missing = max((side - 1) * stride + height - inputs.shape[1], 0)
        same = self._options.padding == schema.Padding.SAME
        before = missing // 2 if same else 0
        around = ((0, 0), (before, missing - before), (before, missing - before), (0, 0))
        padded = np.pad(inputs - self._zero, around)
        reach = (side - 1) * stride + 1
        total = np.zeros((len(inputs), side, side, len(self._bias)), np.int64) + self._bias
        for row in range(height):
            for column in range(width):
                part = padded[:, row : row + reach : stride, column : column + reach : stride]
                total += part @ self._weights[:, row, column, :].T
        return total

    def clamp(self, rounded: NDArray[np.int64]) -> NDArray[np.int64]:
        """The 8-bit output: zero point added, and cut to what the activation lets through."""
        clamped: NDArray[np.int64] = np.clip(
            rounded + self._result_zero, self._lowest, self._highest
        )
        return clamped
