"""Two conversions of one model give one ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

from convert.variants import Exported
from convert.variants import onnx as converters
from edge_runtime.backends.onnxruntime import load

SIZE = 16
CODES = ("mel", "nv")


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    """A network with constants that tf2onnx folds and merges."""
    x = image = keras.Input((SIZE, SIZE, 3), name="image")
    for _ in range(4):
        x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
        x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(len(CODES), activation="softmax")(x))
    pictures = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    return Exported(model, tmp_path, SIZE, pictures, CODES)


def converted_anew(exported: Exported) -> tuple[bytes, bytes]:
    converters.float32.cache_clear()
    return converters.float32(exported), converters.int8(exported)


def test_conversions_of_one_model_are_one_file(exported: Exported) -> None:
    """tf2onnx goes through sets of objects, whose order is another one in every conversion."""
    files = {converted_anew(exported) for _ in range(3)}
    assert len(files) == 1


def test_renamed_file_answers_as_keras(exported: Exported) -> None:
    backend = load(converted_anew(exported)[0], threads=1)
    for picture in exported.calibration:
        expected = exported.model(picture[np.newaxis].astype(np.float32), training=False)[0]
        np.testing.assert_allclose(backend.run(picture), expected, atol=1e-5)


def graph_of(*nodes: Any) -> Any:
    end = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    unused, top = (
        onnx.helper.make_tensor(f"{name}__7", onnx.TensorProto.FLOAT, [], [1.0])
        for name in ("unused", "top")
    )
    return onnx.helper.make_graph(list(nodes), "graph", end[:1], end[1:], [unused, top])


def test_input_that_is_left_out_stays_out_and_a_constant_that_none_reads_goes() -> None:
    graph = graph_of(onnx.helper.make_node("Clip", ["x", "", "top__7"], ["y"], name="clip__12"))
    converters._rename(graph)
    (node,), (constant,) = graph.node, graph.initializer
    assert (node.name, constant.name) == ("clip", "clip/input_2")
    assert list(node.input) == ["x", "", "clip/input_2"]
    assert list(node.output) == ["y"]


def test_graph_that_holds_others_is_left_as_it_is() -> None:
    branch = graph_of(onnx.helper.make_node("Identity", ["top__7"], ["y"], name="inner__1"))
    graph = graph_of(
        onnx.helper.make_node(
            "If", ["x"], ["y"], name="if__3", then_branch=branch, else_branch=branch
        )
    )
    before = graph.SerializeToString()
    converters._rename(graph)
    assert graph.SerializeToString() == before
