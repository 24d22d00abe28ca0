"""Why the int8 answers of tflite-runtime and LiteRT differ: shown in one convolution, on x86-64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.bundle import Bundle
from tests.arm import measured
from tests.arm.graph import end_after, operators
from tests.arm.probe import invoke
from tests.arm.rounding import FirstConvolution, round_once, round_twice

pytestmark = pytest.mark.arm

IMAGES = 20


@pytest.fixture(scope="module")
def model(bundle: Path) -> bytes:
    """The int8 variant."""
    opened = Bundle.open(bundle)
    return opened.model(opened.manifest.variant("tflite_int8"))


def answers(
    model: bytes, count: int, tensors: NDArray[np.uint8], folder: Path, *, built_in: bool
) -> NDArray[np.int64]:
    """What the first ``count`` operators make of the tensors."""
    file = folder / "part.tflite"
    file.write_bytes(end_after(model, count))
    found: NDArray[np.int64] = invoke(str(file), tensors, "litert", built_in).astype(np.int64)
    return found


@pytest.mark.parametrize("built_in", [False, True], ids=["xnnpack", "built-in"])
def test_xnnpack_rounds_a_convolution_once_and_the_built_in_kernel_twice(
    model: bytes, tensors: Path, tmp_path: Path, built_in: bool
) -> None:
    images = np.load(tensors)[:IMAGES]
    convolution = FirstConvolution(model)
    inputs = answers(model, convolution.position, images, tmp_path, built_in=built_in)
    given = answers(model, convolution.position + 1, images, tmp_path, built_in=built_in)
    sums = convolution.sums(inputs, given.shape[1])
    once = convolution.clamp(round_once(sums, convolution.factors))
    twice = convolution.clamp(round_twice(sums, convolution.factors))
    mine, other = (twice, once) if built_in else (once, twice)
    np.testing.assert_array_equal(given, mine)
    assert (given != other).any()  # these images hold sums that tell the two apart
    measured.keep("rounding", "first convolution", float((once != twice).mean()))


def test_difference_of_the_kernels_is_written_down_layer_by_layer(
    model: bytes, tensors: Path, tmp_path: Path
) -> None:
    images = np.load(tensors)[:IMAGES]
    rows = []
    for count, name in enumerate(operators(model), start=1):
        xnnpack, built_in = (
            answers(model, count, images, tmp_path, built_in=which) for which in (False, True)
        )
        if name == "DEQUANTIZE":
            break
        steps = np.abs(xnnpack - built_in)
        rows.append([name, float((steps > 0).mean()), int(steps.max())])
    measured.keep("rounding", "layers", rows)
    assert rows[0][0] == "QUANTIZE"
    assert rows[0][1] == 0
