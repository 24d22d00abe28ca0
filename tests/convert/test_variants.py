"""Every variant holds the model that it was made of, in the arithmetic that its name says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.variants import VARIANTS, Exported, chosen
from edge_runtime import backends
from edge_runtime.bundle import Bundle
from edge_runtime.errors import UsageError, VariantUnsupportedError
from edge_runtime.preprocess import load_input
from train.run import RunFolder

TFLITE = [name for name, kind in VARIANTS.items() if kind.format == "tflite"]
ONNX = [name for name, kind in VARIANTS.items() if kind.format == "onnx"]
Answers = Callable[[str], NDArray[np.float32]]


@pytest.fixture(scope="module")
def inputs(images: list[Path], run_folder: RunFolder) -> NDArray[np.uint8]:
    """A hundred of the generated images as the model's input."""
    return np.stack([load_input(path, run_folder.run.input) for path in images[:100]])


@pytest.fixture(scope="module")
def keras_answers(run_folder: RunFolder, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the Keras model says of them."""
    return np.asarray(run_folder.model().predict(inputs.astype(np.float32), verbose=0))


@pytest.fixture(scope="module")
def answers(bundle: Path, inputs: NDArray[np.uint8]) -> Answers:
    """What a variant says of them, by the device's interpreter."""
    opened = Bundle.open(bundle)

    def of(name: str) -> NDArray[np.float32]:
        variant = opened.manifest.variant(name)
        kind = backends.choose(variant.format)
        interpreter = backends.load(kind, opened.model(variant), threads=1)
        return np.stack([interpreter.run(image) for image in inputs])

    return of


# What is in the bundle


def test_bundle_holds_every_variant_and_prefers_int8(bundle: Path) -> None:
    variants = Bundle.open(bundle).manifest.variants
    assert {variant.name for variant in variants} == set(VARIANTS) == {*TFLITE, *ONNX}
    assert len(variants) == 6
    assert variants[0].name == "tflite_int8"
    for variant in variants:
        kind = VARIANTS[variant.name]
        assert (variant.file, variant.format) == (kind.file, kind.format)
        assert (bundle / variant.file).stat().st_size == variant.bytes


def test_names_follow_the_grammar_and_ranks_are_an_order() -> None:
    for name, kind in VARIANTS.items():
        assert kind.name == name
        assert re.fullmatch(r"(tflite|onnx)_(f32|f16|dynamic|int8)", name)
        assert name.startswith(kind.format)
    assert sorted(kind.rank for kind in VARIANTS.values()) == list(range(len(VARIANTS)))


def test_smaller_numbers_make_smaller_files(bundle: Path) -> None:
    size = {variant.name: variant.bytes for variant in Bundle.open(bundle).manifest.variants}
    assert size["tflite_f16"] < 0.6 * size["tflite_f32"]
    assert size["tflite_int8"] < 0.4 * size["tflite_f32"]
    assert size["tflite_dynamic"] < 0.4 * size["tflite_f32"]
    assert size["onnx_int8"] < 0.4 * size["onnx_f32"]


# What they answer


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("tflite_f32", 1e-5), ("onnx_f32", 1e-5), ("tflite_f16", 5e-3), ("tflite_dynamic", 0.05),
        ("tflite_int8", 0.1), ("onnx_int8", 0.1),
    ],
)  # fmt: skip
def test_variant_answers_as_the_keras_model_does(
    name: str, tolerance: float, answers: Answers, keras_answers: NDArray[np.float32]
) -> None:
    found = answers(name)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, keras_answers, atol=tolerance)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    assert len(set(found.argmax(axis=1))) == 3  # the images tell a working model from a stuck one
    exact = name.endswith("f32")
    assert (np.abs(found - keras_answers).max() < 1e-5) == exact  # the others really are others


# How they compute


def interpreter_of(bundle: Path, name: str) -> object:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(bundle / f"{name}.tflite"))
    interpreter.allocate_tensors()
    return interpreter


@pytest.mark.parametrize("name", TFLITE)
def test_tflite_takes_one_image_and_gives_floats(name: str, bundle: Path) -> None:
    interpreter = interpreter_of(bundle, name)
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    expected = np.uint8 if name == "tflite_int8" else np.float32
    assert (source["dtype"], result["dtype"]) == (expected, np.float32)
    assert source["shape_signature"].tolist() == [1, 32, 32, 3]
    assert result["shape_signature"].tolist() == [1, 3]


def test_int8_is_integer_throughout_but_for_the_softmax(bundle: Path) -> None:
    interpreter = interpreter_of(bundle, "tflite_int8")
    dtype = {one["index"]: np.dtype(one["dtype"]) for one in interpreter.get_tensor_details()}
    operators: Counter[str] = Counter()
    for operator in interpreter._get_ops_details():
        name, kinds = operator["op_name"], {dtype[index] for index in operator["outputs"]}
        operators[name] += 1
        if name == "SOFTMAX":
            assert {dtype[index] for index in operator["inputs"]} == kinds == {np.dtype("f4")}
        elif name not in ("DEQUANTIZE", "DELEGATE"):
            assert kinds <= {np.dtype("i1"), np.dtype("u1")}, name
    assert operators["SOFTMAX"] == 1
    assert operators["CONV_2D"] == 5
    assert operators["DEQUANTIZE"] == 1


def test_int8_probabilities_are_not_of_256_steps(
    bundle: Path, images: list[Path], run_folder: RunFolder
) -> None:
    content = (bundle / "tflite_int8.tflite").read_bytes()
    interpreter = backends.load(backends.choose("tflite"), content, threads=1)
    found = [interpreter.run(load_input(path, run_folder.run.input)) for path in images]
    assert len(np.unique(found)) > 256
    steps = np.stack(found).astype(np.float64) * 256
    assert np.abs(steps - np.round(steps)).max() > 0.1


def test_onnx_int8_quantizes_weights_and_activations_and_not_the_softmax(bundle: Path) -> None:
    import onnx

    graph = onnx.load(bundle / "onnx_int8.onnx").graph
    producers = {output: node for node in graph.node for output in node.output}
    (softmax,) = (node for node in graph.node if node.op_type == "Softmax")
    assert softmax.output[0] == graph.output[0].name
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 5
    for node in convolutions:
        sources = [producers[name].op_type for name in node.input[:2]]
        assert sources == ["DequantizeLinear", "DequantizeLinear"]
    stored = Counter(tensor.data_type for tensor in graph.initializer)
    assert stored[onnx.TensorProto.INT8] >= 5


@pytest.mark.parametrize("name", ONNX)
def test_onnx_takes_one_image_of_floats(name: str, bundle: Path) -> None:
    import onnx

    graph = onnx.load(bundle / f"{name}.onnx").graph
    (source,) = graph.input
    assert source.name == "image"
    assert source.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [axis.dim_value for axis in source.type.tensor_type.shape.dim] == [1, 32, 32, 3]


# The registry


def test_unknown_variant_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="no variant 'tflite_int4'; choose among tflite_f32, "):
        chosen("onnx_f32,tflite_int4")
    with pytest.raises(UsageError, match="no variant ' , '"):
        chosen(" , ")


def test_chosen_variants_come_in_the_order_of_the_registry() -> None:
    assert [kind.name for kind in chosen(" onnx_f32,tflite_int8 ")] == ["tflite_int8", "onnx_f32"]
    assert [kind.name for kind in chosen(None)] == list(VARIANTS)


@pytest.mark.parametrize("name", ["tflite_f32", "tflite_int8"])
def test_model_that_a_format_cannot_hold_is_refused_in_a_sentence(
    name: str, tmp_path: Path
) -> None:
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)])
        def __call__(self, image: tf.Tensor) -> tf.Tensor:
            return tf.nn.softmax(tf.linalg.svd(image[..., 0], compute_uv=False))

    module = Module()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__)
    exported = Exported(None, tmp_path, 8, np.zeros((2, 8, 8, 3), np.uint8), ("mel", "nv"))
    with pytest.raises(VariantUnsupportedError, match="TensorFlow Lite cannot hold this") as told:
        VARIANTS[name].convert(exported)
    assert "\n" not in str(told.value)
