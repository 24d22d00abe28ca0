"""Every variant holds the model that it was made of, in the arithmetic that its name says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.conversion import convert
from convert.outcome import Options
from convert.variants import DEFAULT_VARIANTS, VARIANTS, Exported, chosen
from convert.variants import onnx as converters
from convert.variants.tflite_int16x8 import softmax_in_float
from edge_runtime import backends
from edge_runtime.bundle import Bundle
from edge_runtime.errors import MissingExtraError, UsageError, VariantUnsupportedError
from edge_runtime.preprocess import load_input
from tests.conftest import EXECUTABLE
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


def test_bundle_holds_every_variant_that_runs_here_and_prefers_int8(bundle: Path) -> None:
    variants = Bundle.open(bundle).manifest.variants
    assert {variant.name for variant in variants} == {*EXECUTABLE} == {*TFLITE, *ONNX}
    assert len(variants) == 8
    assert variants[0].name == "tflite_int8"
    for variant in variants:
        kind = VARIANTS[variant.name]
        assert (variant.file, variant.format) == (kind.file, kind.format)
        assert (bundle / variant.file).stat().st_size == variant.bytes


def test_names_follow_the_grammar_and_ranks_are_an_order() -> None:
    for name, kind in VARIANTS.items():
        assert kind.name == name
        assert re.fullmatch(r"(tflite|onnx|coreml)_(f32|f16|dynamic|int8|int16x8)", name)
        assert name.startswith(f"{kind.format}_")
        assert kind.executable == (kind.format != "coreml")
    assert sorted(kind.rank for kind in VARIANTS.values()) == list(range(len(VARIANTS)))


def test_smaller_numbers_make_smaller_files(bundle: Path) -> None:
    size = {variant.name: variant.bytes for variant in Bundle.open(bundle).manifest.variants}
    assert size["tflite_f16"] < 0.6 * size["tflite_f32"]
    assert size["tflite_int8"] < 0.4 * size["tflite_f32"]
    assert size["tflite_dynamic"] < 0.4 * size["tflite_f32"]
    assert size["tflite_int16x8"] < 0.4 * size["tflite_f32"]
    assert size["onnx_int8"] < 0.4 * size["onnx_f32"]
    assert size["onnx_f16"] < 0.6 * size["onnx_f32"]


# What they answer


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("tflite_f32", 1e-5), ("onnx_f32", 1e-5), ("tflite_f16", 5e-3), ("tflite_dynamic", 0.05),
        ("tflite_int8", 0.1), ("tflite_int16x8", 0.05), ("onnx_f16", 5e-3), ("onnx_int8", 0.1),
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


def interpreter_of(bundle: Path, name: str) -> Any:
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


HEAD = ["MEAN", "FULLY_CONNECTED", "SOFTMAX"]


def test_int8_is_integer_throughout_but_for_the_head(bundle: Path) -> None:
    interpreter = interpreter_of(bundle, "tflite_int8")
    dtype = {one["index"]: np.dtype(one["dtype"]) for one in interpreter.get_tensor_details()}
    operators: Counter[str] = Counter()
    for operator in interpreter._get_ops_details():
        name, kinds = operator["op_name"], {dtype[index] for index in operator["outputs"]}
        operators[name] += 1
        if name in HEAD:
            assert kinds == {np.dtype("f4")}
        elif name not in ("DEQUANTIZE", "DELEGATE"):
            assert kinds <= {np.dtype("i1"), np.dtype("u1")}, name
    del operators["DELEGATE"]
    once = dict.fromkeys(("QUANTIZE", "DEQUANTIZE", *HEAD), 1)
    assert operators == once | {"CONV_2D": 5, "MAX_POOL_2D": 3}  # no normalisation among them


def test_int8_reads_bytes_by_the_scale_and_zero_point_of_the_normalisation(
    bundle: Path, run_folder: RunFolder
) -> None:
    (source,) = interpreter_of(bundle, "tflite_int8").get_input_details()
    layer = run_folder.model().get_layer("normalisation")
    scale, zero_point = source["quantization"]
    assert scale == pytest.approx(layer.scale, rel=1e-6)
    assert zero_point == pytest.approx(-layer.offset / layer.scale, abs=0.5)  # to whole steps


def test_int16x8_is_integer_throughout_but_for_the_softmax(bundle: Path) -> None:
    interpreter = interpreter_of(bundle, "tflite_int16x8")
    dtype = {one["index"]: np.dtype(one["dtype"]) for one in interpreter.get_tensor_details()}
    operators = [
        (one["op_name"], {dtype[index] for index in one["outputs"]})
        for one in interpreter._get_ops_details()
        if one["op_name"] != "DELEGATE"
    ]
    names = [name for name, _ in operators]
    assert (names[0], names[-2:]) == ("QUANTIZE", ["DEQUANTIZE", "SOFTMAX"])
    assert names.count("CONV_2D") == 5
    assert {frozenset(kinds) for _, kinds in operators[:-2]} == {frozenset([np.dtype("i2")])}
    assert [kinds for _, kinds in operators[-2:]] == [{np.dtype("f4")}] * 2


@pytest.mark.parametrize("name", EXECUTABLE)
def test_probabilities_are_not_of_few_steps(name: str, answers: Answers) -> None:
    found = answers(name)
    assert len(np.unique(found)) > 0.9 * found.size  # no ties
    for steps in (256, 2048, 32768):  # of 8-bit, 16-bit float and 16-bit softmaxes
        apart = np.abs(found.astype(np.float64) * steps - np.round(found * steps))
        assert apart.max() > 0.1


def test_onnx_f16_computes_in_16_bits_but_for_the_softmax(bundle: Path) -> None:
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(bundle / "onnx_f16.onnx")).graph
    kind = {one.name: one.type.tensor_type.elem_type for one in graph.value_info}
    (softmax,) = (node for node in graph.node if node.op_type == "Softmax")
    assert softmax.output[0] == graph.output[0].name
    assert kind[softmax.input[0]] == onnx.TensorProto.FLOAT
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 5
    assert {kind[node.output[0]] for node in convolutions} == {onnx.TensorProto.FLOAT16}


def test_onnx_int8_quantizes_weights_and_activations_and_neither_end(bundle: Path) -> None:
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
    takers = {name: node.op_type for node in graph.node for name in node.input}
    assert takers[graph.input[0].name] == "Mul"
    assert producers[softmax.input[0]].op_type == "Gemm"
    between = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert "Mul" not in {producers[node.input[0]].op_type for node in between}
    assert "Gemm" not in {producers[node.input[0]].op_type for node in between}
    stored = Counter(tensor.data_type for tensor in graph.initializer)
    assert stored[onnx.TensorProto.INT8] >= 5
    floats = [one for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT]
    assert [len(one.dims) for one in floats if one.name in producers[softmax.input[0]].input] == [
        2, 1,
    ]  # fmt: skip


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
    with pytest.raises(UsageError, match=r"no variant ' , '.*, coreml_f16, or all\."):
        chosen(" , ")


def test_chosen_variants_come_in_the_order_of_the_registry() -> None:
    assert [kind.name for kind in chosen(" onnx_f32,tflite_int8 ")] == ["tflite_int8", "onnx_f32"]
    assert [kind.name for kind in chosen(None)] == list(DEFAULT_VARIANTS)
    assert set(VARIANTS) - set(DEFAULT_VARIANTS) == {"tflite_int16x8", "coreml_f16"}


def test_variant_whose_package_is_missing_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("convert.variants.find_spec", lambda name: None)
    for names in ("coreml_f16", "all"):
        with pytest.raises(MissingExtraError, match=r'pip install "dermedge\[coreml\]", or leave'):
            chosen(names)


# What a format cannot hold


def test_hard_swish_has_no_int16_form_and_is_refused_by_name(tmp_path: Path) -> None:
    import keras

    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(4, 3)(image)
    x = keras.layers.Activation("hard_swish")(x)
    x = keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x)
    signature = [keras.InputSpec(shape=(1, 16, 16, 3), dtype="float32", name="image")]
    model.export(tmp_path, format="tf_saved_model", input_signature=signature, verbose=False)
    pictures = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    exported = Exported(model, tmp_path, 16, pictures, ("mel", "nv"))
    with pytest.raises(VariantUnsupportedError, match="HARD_SWISH"):
        VARIANTS["tflite_int16x8"].convert(exported)
    assert VARIANTS["tflite_int8"].convert(exported)


def without_numbers(model: Any) -> None:
    from onnx import TensorProto

    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            tensor.raw_data = np.full(list(tensor.dims), np.nan, np.float32).tobytes()


def of_the_future(model: Any) -> None:
    model.opset_import[0].version = 999


@pytest.mark.parametrize(
    ("spoil", "reason"), [(without_numbers, "not finite"), (of_the_future, "cannot load")]
)
def test_file_that_the_device_cannot_use_is_left_out_and_the_others_go_on(
    spoil: Callable[[Any], None], reason: str, run_folder: RunFolder, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import onnx

    def spoilt(exported: Exported) -> bytes:
        model = onnx.load_from_string(converters.float32(exported))
        spoil(model)
        return bytes(model.SerializeToString())

    monkeypatch.setattr(converters, "float16", spoilt)
    options = Options(variants=chosen("tflite_f32,onnx_f16"), bootstrap=0, calibration_images=30)
    conversion = convert(run_folder, tmp_path / "bundle", options)
    assert [outcome.kept for outcome in conversion.outcomes] == [True, False]
    assert reason in conversion.outcomes[1].reason


def test_file_that_does_not_end_in_a_softmax_is_not_rearranged(bundle: Path) -> None:
    with pytest.raises(VariantUnsupportedError, match="expected one as the last layer"):
        softmax_in_float((bundle / "tflite_int8.tflite").read_bytes())


@pytest.mark.parametrize("name", ["tflite_f32", "tflite_int8", "tflite_int16x8"])
def test_model_that_a_format_cannot_hold_is_refused_in_a_sentence(
    name: str, tmp_path: Path
) -> None:
    import keras
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)])
        def __call__(self, image: tf.Tensor) -> tf.Tensor:
            return tf.nn.softmax(tf.linalg.svd(image[..., 0], compute_uv=False))

    module = Module()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__)
    image = keras.Input((8, 8, 3))  # of a model without a normalisation of its own
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    exported = Exported(model, tmp_path, 8, np.zeros((2, 8, 8, 3), np.uint8), ("mel", "nv"))
    with pytest.raises(VariantUnsupportedError, match="TensorFlow Lite cannot hold this") as told:
        VARIANTS[name].convert(exported)
    assert "\n" not in str(told.value)
