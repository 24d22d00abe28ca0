from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_runtime import Classifier, backends
from edge_runtime.bundle import Bundle
from edge_runtime.errors import BackendNotInstalledError, ModelMismatchError, SelfTestError
from edge_runtime.selection import choose_variant, explain_choice
from tests.edge_runtime.changing import (
    edit_manifest,
    read_manifest,
    replace_file,
    set_verdicts,
    variant,
)
from tests.edge_runtime.making import assert_one_sentence

VARIANTS = (
    "tflite_f32", "tflite_f16", "tflite_dynamic", "tflite_int8", "tflite_int16x8",
    "onnx_f32", "onnx_f16", "onnx_int8",
)  # fmt: skip
KINDS = {kind.name: kind for kind in backends.BACKENDS}
TFLITE_RUNTIME_IS_HERE = KINDS["tflite-runtime"].installed


# ---------------------------------------------------------------- right answers


def test_bundle_holds_the_variants_that_are_tested_here(bundle: Path):
    assert {entry["name"] for entry in read_manifest(bundle)["variants"]} == set(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_answers_its_golden_inputs_as_expected(bundle: Path, name: str):
    classifier = Classifier.open(bundle, name)
    expected = "onnxruntime" if name.startswith("onnx") else "litert"
    assert classifier.backend_kind.name == expected
    assert classifier.self_test() <= classifier.variant.golden_tolerance
    assert len(set(classifier.variant.golden)) == 2  # two unlike answers


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_agree_on_images(bundle: Path, images: list[Path], name: str):
    reference, classifier = Classifier.open(bundle, "tflite_f32"), Classifier.open(bundle, name)
    tolerance = 1e-3 if name.endswith(("f32", "f16")) else 0.15
    for file in images[:12]:
        tensor = classifier.input_tensor(file)
        expected, found = reference.probabilities(tensor), classifier.probabilities(tensor)
        assert found.shape == (3,)
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() <= tolerance


@pytest.mark.parametrize("name", ["tflite_int8", "onnx_int8"])
@pytest.mark.parametrize("threads", [1, 2])
def test_number_of_threads_does_not_change_the_answer(
    bundle: Path, images: list[Path], name: str, threads: int
):
    default, other = Classifier.open(bundle, name), Classifier.open(bundle, name, threads=threads)
    tensor = default.input_tensor(images[0])
    assert np.abs(default.probabilities(tensor) - other.probabilities(tensor)).max() < 1e-6


# ---------------------------------------------------------------- choosing


def test_first_installed_backend_of_the_format_is_chosen():
    assert backends.choose("tflite").name == "litert"
    assert backends.choose("onnx").name == "onnxruntime"
    assert backends.choose("tflite", "litert").name == "litert"


def test_unknown_backend_is_refused(bundle: Path):
    with pytest.raises(BackendNotInstalledError) as caught:
        Classifier.open(bundle, backend="tensorrt")
    assert_one_sentence(caught.value, "no backend tensorrt", "litert, tflite-runtime, onnxruntime")


@pytest.mark.parametrize(
    ("name", "backend", "fitting"),
    [
        ("tflite_f32", "onnxruntime", "litert or tflite-runtime"),
        ("onnx_f32", "litert", "onnxruntime"),
    ],
)
def test_backend_that_does_not_read_the_variant_is_refused(
    bundle: Path, name: str, backend: str, fitting: str
):
    with pytest.raises(BackendNotInstalledError) as caught:
        Classifier.open(bundle, name, backend=backend)
    assert_one_sentence(caught.value, f"{backend} does not read", f"choose {fitting}")


@pytest.mark.skipif(TFLITE_RUNTIME_IS_HERE, reason="tflite-runtime is installed here")
def test_backend_that_is_not_installed_is_named_with_its_remedy(bundle: Path):
    with pytest.raises(BackendNotInstalledError) as caught:
        Classifier.open(bundle, "tflite_f32", backend="tflite-runtime")
    assert_one_sentence(caught.value, 'pip install "dermedge-runtime[tflite-runtime]"')


def test_missing_packages_are_named_with_their_remedies(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    for kind in backends.BACKENDS:
        monkeypatch.setitem(sys.modules, kind.package, None)  # as if it were not installed
    with pytest.raises(BackendNotInstalledError) as caught:
        Classifier.open(bundle, "onnx_f32")
    assert_one_sentence(
        caught.value,
        "No interpreter for onnx files",
        '`pip install "dermedge-runtime[onnxruntime]"`',
    )
    with pytest.raises(BackendNotInstalledError) as caught:
        Classifier.open(bundle, "tflite_f32")
    assert_one_sentence(
        caught.value, '`pip install "ai-edge-litert"` or `pip install "dermedge-runtime[tflite-'
    )


def test_preferred_variant_that_no_interpreter_reads_is_passed_over(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    assert Classifier.open(bundle).variant.format == "tflite"
    assert Classifier.open(bundle, backend="onnxruntime").variant.format == "onnx"
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    classifier = Classifier.open(bundle)
    assert classifier.variant.format == "onnx"
    assert classifier.variant.verdict == "pass"


@pytest.mark.skipif(TFLITE_RUNTIME_IS_HERE, reason="tflite-runtime is installed here")
def test_package_that_does_not_import_is_named_with_its_remedy(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text("raise ImportError('libfoo.so.1: cannot open')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("tflite_runtime", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)  # so that it is taken out again afterwards
        del sys.modules[name]
    with pytest.raises(BackendNotInstalledError) as caught:
        Classifier.open(bundle, "tflite_f32", backend="tflite-runtime")
    assert_one_sentence(
        caught.value, "tflite_runtime does not import here (libfoo.so.1", "reinstall"
    )


def test_usable_cores_are_at_least_one():
    assert 1 <= backends.usable_cores() <= 4096


# ---------------------------------------------------------------- files that are no such model


@pytest.mark.parametrize("name", ["tflite_int8", "onnx_int8"])
@pytest.mark.parametrize("garbage", ["text", "empty", "half", "zeros"])
def test_garbage_under_a_right_digest_is_refused(own_bundle: Path, name: str, garbage: str):
    file = variant(read_manifest(own_bundle), name)["file"]
    whole = (own_bundle / file).read_bytes()
    content = {
        "text": b"this is not a model", "empty": b"", "half": whole[: len(whole) // 2],
        "zeros": bytes(1000),
    }[garbage]  # fmt: skip
    replace_file(own_bundle, file, content)
    with pytest.raises(ModelMismatchError) as caught:
        Classifier.open(own_bundle, name)
    assert_one_sentence(caught.value, "cannot load this model file")


def onnx_model(output: list[int | str], *, kind: int = TensorProto.FLOAT, inputs: int = 1) -> bytes:
    """A small ONNX file whose output has the given shape and type."""
    names = [f"input{index}" for index in range(inputs)]
    sources = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 32, 32, 3]) for name in names
    ]
    result = helper.make_tensor_value_info("result", kind, output)
    axes = [1, 2, 3] if len(output) == 1 else [1, 2]
    nodes = [
        helper.make_node("ReduceMean", names[:1], ["mean"], axes=axes, keepdims=len(output) > 2),
        helper.make_node("Cast", ["mean"], ["result"], to=kind),
    ]
    graph = helper.make_graph(nodes, "graph", sources, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def test_onnx_model_that_fits_is_loaded():
    backend = backends.load(KINDS["onnxruntime"], onnx_model([1, 3]), 1)
    assert backend.input_shape == (1, 32, 32, 3)
    assert backend.classes == 3
    picture = np.full((32, 32, 3), [0, 100, 255], np.uint8)
    assert (backend.run(picture) == [0, 100, 255]).all()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (onnx_model([1]), r"shape \(1,\), expected \(1, classes\)"),
        (onnx_model([1, 1, 1, 3]), r"shape \(1, 1, 1, 3\)"),
        (onnx_model([1, 3], kind=TensorProto.DOUBLE), r"gives tensor\(double\)"),
        (onnx_model([1, 3], inputs=2), "cannot load this model file"),
    ],
    ids=["one number", "a map", "double", "two inputs"],
)
def test_onnx_model_that_is_no_image_classifier_is_refused(model: bytes, words: str):
    with pytest.raises(ModelMismatchError, match=words) as caught:
        backends.load(KINDS["onnxruntime"], model, 1)
    assert_one_sentence(caught.value)


def tflite_model(axes: list[int], dtype: str) -> bytes:
    """A small TFLite file that averages its input over ``axes``."""
    import tensorflow as tf

    class Mean(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([1, 32, 32, 3], tf.float32)])
        def __call__(self, picture):
            return tf.cast(tf.reduce_mean(picture, axes), dtype)

    mean = Mean()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [mean.__call__.get_concrete_function()], mean
    )
    content: bytes = converter.convert()
    return content


def test_tflite_model_that_fits_is_loaded():
    backend = backends.load(KINDS["litert"], tflite_model([1, 2], "float32"), 1)
    assert backend.input_shape == (1, 32, 32, 3)
    assert backend.classes == 3
    picture = np.full((32, 32, 3), [0, 100, 255], np.uint8)
    assert (backend.run(picture) == [0, 100, 255]).all()


@pytest.mark.parametrize(
    ("axes", "dtype", "words"),
    [
        ([0, 1, 2, 3], "float32", r"output has the shape \(\), expected \(1, classes\)"),
        ([1], "float32", r"output has the shape \(1, 32, 3\)"),
        ([1, 2], "int32", "gives int32, expected uint8 or float32 in and float32"),
    ],
)
def test_tflite_model_that_is_no_image_classifier_is_refused(
    axes: list[int], dtype: str, words: str
):
    with pytest.raises(ModelMismatchError, match=words) as caught:
        backends.load(KINDS["litert"], tflite_model(axes, dtype), 1)
    assert_one_sentence(caught.value)


# ---------------------------------------------------------------- the self-test


@pytest.mark.parametrize("name", ["tflite_int8", "onnx_f32"])
def test_wrong_answers_to_the_golden_inputs_are_refused(own_bundle: Path, name: str):
    def swap(document):
        rows = variant(document, name)["golden"]
        rows.reverse()

    edit_manifest(own_bundle, swap)
    with pytest.raises(SelfTestError) as caught:
        Classifier.open(own_bundle, name)
    assert_one_sentence(caught.value, name, "answers the golden inputs", "wrongly", "allowed are")


def test_difference_just_over_the_tolerance_is_refused_and_just_under_it_is_not(own_bundle: Path):
    def shift(by: float):
        def change(document):
            entry = variant(document, "tflite_f32")
            entry["golden_tolerance"] = 0.01
            entry["golden"][1][0] += by

        return change

    edit_manifest(own_bundle, shift(0.009))
    assert Classifier.open(own_bundle, "tflite_f32").self_test() == pytest.approx(0.009, abs=1e-4)
    edit_manifest(own_bundle, shift(0.002))
    with pytest.raises(SelfTestError, match=r"differs by 0\.011, allowed are 0\.01;"):
        Classifier.open(own_bundle, "tflite_f32")


def test_other_weights_in_the_model_file_are_found_out(own_bundle: Path):
    content = bytearray((own_bundle / "tflite_f32.tflite").read_bytes())
    weights = np.frombuffer(content, np.uint8)
    middle = len(content) // 2 & ~3
    weights[middle : middle + 200_000 : 4] ^= 0x55  # low bits and high bits of floats
    weights[middle + 2 : middle + 200_000 : 4] ^= 0x7F
    replace_file(own_bundle, "tflite_f32.tflite", bytes(content))
    with pytest.raises((SelfTestError, ModelMismatchError)):
        Classifier.open(own_bundle, "tflite_f32")


def test_variants_that_tflite_runtime_rounds_otherwise_come_after_the_others(
    own_bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its 8-bit kernels were not judged, and deep networks answer otherwise by them."""
    older = KINDS["tflite-runtime"]
    monkeypatch.setattr(backends, "choose", lambda *_: older)
    bundle = Bundle.open(own_bundle)
    chosen, kind = choose_variant(bundle, None, None)
    assert chosen.name in ("tflite_f16", "tflite_f32")
    assert bundle.manifest.variants[0].name == "tflite_int8"
    assert "tflite_int8 (tflite-runtime rounds otherwise than what was judged)" in explain_choice(
        bundle, chosen, kind
    )
    assert choose_variant(bundle, "tflite_int8", None)[0].name == "tflite_int8"
    set_verdicts(own_bundle, tflite_int8="pass")
    assert choose_variant(Bundle.open(own_bundle), None, None)[0].name == "tflite_int8"
