"""Two conversions of one model give one ONNX file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from onnxruntime import InferenceSession

from convert.variants import Exported
from convert.variants import onnx as converters
from convert.variants.onnx_names import rename
from edge_runtime.backends.onnxruntime import load
from edge_runtime.errors import VariantUnsupportedError

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


def network_of(folder: Path, *layers: Any) -> Exported:
    x = image = keras.Input((SIZE, SIZE, 3), name="image")
    for layer in (*layers, keras.layers.GlobalAveragePooling2D()):
        x = layer(x)
    model = keras.Model(image, keras.layers.Dense(len(CODES), activation="softmax")(x))
    return Exported(model, folder, SIZE, np.zeros((2, SIZE, SIZE, 3), np.uint8), CODES)


def test_operator_that_onnx_lacks_is_refused_in_a_sentence(tmp_path: Path) -> None:
    gelu = network_of(tmp_path, keras.layers.Conv2D(4, 3, activation="gelu"))
    for convert in (converters.float32, converters.int8):
        with pytest.raises(VariantUnsupportedError, match="Erfc") as told:
            convert(gelu)
        assert "\n" not in str(told.value)


def test_what_onnx_runtime_raises_while_it_quantizes_is_a_sentence(exported: Exported) -> None:
    """Its exceptions are no RuntimeErrors; this one is about images of another size."""
    cut = replace(exported, calibration=exported.calibration[:, 1:])
    with pytest.raises(VariantUnsupportedError, match="ONNX Runtime cannot quantize it: ") as told:
        converters.int8(cut)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("within", [False, True])
def test_adapted_normalisation_is_part_of_the_file(within: bool, tmp_path: Path) -> None:
    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(0).uniform(0, 255, (50, SIZE, SIZE, 3)))
    first = keras.Sequential([layer]) if within else layer
    exported = network_of(tmp_path, first, keras.layers.Conv2D(4, 3))
    picture = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    expected = exported.model(picture[np.newaxis].astype(np.float32), training=False)[0]
    answered = load(converters.float32(exported), threads=1).run(picture)
    np.testing.assert_allclose(answered, expected, atol=1e-5)


def graph_of(*nodes: Any) -> Any:
    end = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    unused, top = (
        onnx.helper.make_tensor(f"{name}__7", onnx.TensorProto.FLOAT, [], [1.0])
        for name in ("unused", "top")
    )
    return onnx.helper.make_graph(list(nodes), "graph", end[:1], end[1:], [unused, top])


def test_input_that_is_left_out_stays_out_and_a_constant_that_none_reads_goes() -> None:
    graph = graph_of(onnx.helper.make_node("Clip", ["x", "", "top__7"], ["y"], name="clip__12"))
    rename(graph)
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
    rename(graph)
    assert graph.SerializeToString() == before


FLOAT = onnx.TensorProto.FLOAT


def answer(model: Any) -> list[float]:
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {entry.name: np.array([3], np.float32) for entry in session.get_inputs()}
    return [float(value[0]) for value in session.run(None, given)]


@pytest.mark.parametrize(
    ("nodes", "inputs", "outputs"),
    [
        ("Add image k image__5, Mul image__5 image y", "image", "y"),
        ("Add x k y__5, Mul y__5 x y", "x", "y"),
        ("Add x k y", "x", "y k"),
        ("Add x k y", "x k", "y"),
        ("Add a0/input_1 k y", "a0/input_1", "y"),
        ("Add x x a1/input_1, Add a1/input_1 k y", "x", "y"),
        ("Mul t x y, Add x k t", "x", "y"),
    ],
)
def test_names_that_meet_change_no_answer(nodes: str, inputs: str, outputs: str) -> None:
    """Operators are written as their type, their inputs and their output."""
    made = [
        onnx.helper.make_node(kind, given, [result], name=f"a{index}")
        for index, (kind, *given, result) in enumerate(map(str.split, nodes.split(",")))
    ]
    ends = [
        [onnx.helper.make_tensor_value_info(name, FLOAT, [1]) for name in names.split()]
        for names in (inputs, outputs)
    ]
    constant = onnx.helper.make_tensor("k", FLOAT, [1], [2.0])
    opset = [onnx.helper.make_opsetid("", converters.OPSET)]
    plain = onnx.helper.make_graph(sorted(made, key=lambda node: "t" in node.input), "g", *ends)
    plain.initializer.append(constant)
    expected = answer(onnx.helper.make_model(plain, opset_imports=opset, ir_version=8))
    graph = onnx.helper.make_graph(made, "g", *ends)
    graph.initializer.append(constant)
    rename(graph)
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    assert answer(model) == expected


def test_order_of_the_operators_does_not_matter() -> None:
    nodes = [
        onnx.helper.make_node("Neg", ["x"], ["left__3"], name="left__9"),
        onnx.helper.make_node("Abs", ["x"], ["right__4"], name="right__1"),
    ]
    last = onnx.helper.make_node("Add", ["left__3", "right__4"], ["y"], name="sum")
    one, other = graph_of(*nodes, last), graph_of(*reversed(nodes), last)
    rename(one)
    rename(other)
    assert one.SerializeToString() == other.SerializeToString()
    assert [node.name for node in one.node] == ["left", "right", "sum"]
