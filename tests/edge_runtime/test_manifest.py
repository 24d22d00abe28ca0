from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import ManifestError, VariantError
from edge_runtime.manifest import format_manifest, parse_manifest
from tests.edge_runtime.changing import (
    PATHS_OUT_OF_THE_BUNDLE,
    Change,
    Document,
    altered,
    drop,
    put,
)
from tests.edge_runtime.making import assert_one_sentence

# ---------------------------------------------------------------- reading and writing


def test_manifest_survives_writing_and_reading(bundle: Path):
    manifest = parse_manifest((bundle / "manifest.json").read_bytes())
    again = parse_manifest(format_manifest(manifest))
    assert again == manifest
    assert format_manifest(again) == format_manifest(manifest)
    assert (bundle / "manifest.json").read_text("utf-8") == format_manifest(manifest)


def test_manifest_says_what_the_bundle_was_made_of(bundle: Path):
    manifest = parse_manifest((bundle / "manifest.json").read_text("utf-8"))
    assert manifest.codes == ("bkl", "mel", "nv")
    assert [label.malignant for label in manifest.labels] == [False, True, False]
    assert manifest.melanoma == "mel"
    assert manifest.targets == ("melanoma", "malignant")
    assert manifest.input.size == 32
    assert {variant.name for variant in manifest.variants} >= {"tflite_f32", "tflite_int8"}
    for variant in manifest.variants:
        assert variant.bytes == (bundle / variant.file).stat().st_size
        assert np.abs(np.sum(variant.golden, axis=1) - 1).max() < 1e-3


def test_what_is_optional_may_be_left_out(document: Document):
    def leave_out(own: Document) -> None:
        for variant in own["variants"]:
            del variant["float_layers"]
        for key in ("crop", "resample", "jpeg_draft", "profile", "colour", "dtype"):
            del own["input"][key]

    manifest = parse_manifest(altered(document, leave_out))
    assert manifest.variants[0].float_layers == ()
    assert manifest.input.jpeg_draft == 2


def test_variant_is_found_by_its_name(bundle: Path):
    manifest = parse_manifest((bundle / "manifest.json").read_bytes())
    assert manifest.variant("tflite_f32").file == "tflite_f32.tflite"
    with pytest.raises(VariantError) as caught:
        manifest.variant("tflite_int4")
    assert_one_sentence(caught.value, "tflite_int4", "it holds", "tflite_int8", "onnx_f32")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "place"),
    [
        # keys
        (put("extra", value=1), "manifest has an unknown key 'extra'"),
        (put("variants", 0, "speed", value=1), "manifest.variants[0] has an unknown key 'speed'"),
        (put("input", "mean", value=0), "manifest.input has an unknown key 'mean'"),
        (drop("intended_use"), "manifest lacks the key 'intended_use'"),
        (drop("labels", 1, "malignant"), "manifest.labels[1] lacks the key 'malignant'"),
        (drop("variants", 1, "golden"), "manifest.variants[1] lacks the key 'golden'"),
        # kinds of values
        (put("name", value=3), "manifest.name is 3, expected text"),
        (put("name", value=None), "manifest.name is None, expected text"),
        (put("labels", value={}), "manifest.labels is {}, expected a list"),
        (put("labels", value="mel"), "manifest.labels is 'mel', expected a list"),
        (put("labels", 0, value="mel"), "manifest.labels[0] is 'mel', expected an object"),
        (put("labels", 0, "malignant", value=1), "malignant is 1, expected true or false"),
        (put("input", "size", value=32.0), "manifest.input.size is 32.0, expected a whole number"),
        (put("input", "size", value=True), "manifest.input.size is True, expected a whole number"),
        (put("input", "size", value="32"), "manifest.input.size is '32', expected a whole number"),
        (put("input", "crop", value="none"), "manifest.input.crop is 'none', expected one of"),
        (put("input", "colour", value=["RGB"]), "input.colour is ['RGB'], expected one of"),
        (put("gate", "confidence", value=True), "gate.confidence is True, expected a finite"),
        (put("gate", "confidence", value="0.95"), "manifest.gate.confidence is '0.95', expected a"),
        (put("source", "citations", value="x"), "source.citations is 'x', expected a list"),
        (put("source", "citations", value=[1]), "manifest.source.citations[0] is 1, expected text"),
        (put("variants", 0, "verdict", value="ok"), "variants[0].verdict is 'ok', expected"),
        (put("variants", 0, "metrics", value=[]), "variants[0].metrics is [], expected an"),
        (
            put("variants", 0, "metrics", "val", "accuracy", "value", value=None),
            "manifest.variants[0].metrics.val.accuracy.value is None, expected a finite number",
        ),
        # numbers
        (put("gate", "confidence", value=math.nan), "manifest.gate.confidence is nan"),
        (put("gate", "confidence", value=math.inf), "manifest.gate.confidence is inf"),
        (put("gate", "confidence", value=10**400), "manifest.gate.confidence is 1000000000"),
        (put("variants", 0, "golden", 0, 1, value=math.nan), "variants[0].golden[0][1] is"),
        (
            put("variants", 2, "operating_points", "melanoma", "threshold", value=1.01),
            "manifest.variants[2].operating_points.melanoma: threshold is 1.01, expected 0 to 1",
        ),
        *(
            (put("variants", 0, "golden_tolerance", value=value), "golden_tolerance is ")
            for value in (1, 0.1001, -0.001)
        ),
        (put("input", "profile", value="none"), "manifest.input.profile is 'none', expected one"),
        (put("input", "size", value=8), "manifest.input: input size is 8, expected 16 to 1024"),
        (put("input", "jpeg_draft", value=-1), "input: jpeg_draft is -1, expected 0 to 16"),
        # what has to fit together
        (put("labels", 0, "code", value="mel"), "labels are ['mel', 'mel', 'nv'], expected"),
        (put("labels", value=[{"code": "mel", "name": "m", "malignant": True}]), "at least two"),
        (put("labels", 1, "malignant", value=False), "no label is malignant"),
        (put("melanoma", value="melanoma"), "melanoma is 'melanoma', which is not among"),
        (put("variants", value=[]), "variants are [], expected at least one"),
        (put("variants", 0, "name", value="tflite_f32"), "expected at least one, all different"),
        (put("variants", 0, "name", value="int8"), "manifest.variants[0]: variant name is 'int8'"),
        (drop("variants", 0, "operating_points", "malignant"), "lacks the operating point for mal"),
        (drop("variants", 0, "operating_points", "melanoma"), "lacks the operating point for mel"),
        (drop("variants", 0, "golden", 1), "golden does not hold 2 rows of 3 probabilities"),
        (drop("variants", 0, "golden", 0, 2), "golden does not hold 2 rows of 3 probabilities"),
        (drop("golden_inputs", 0), "golden does not hold 1 rows of 3 probabilities"),
        (put("golden_inputs", value=[]), "golden_inputs is empty"),
        # files
        *(
            (put("variants", 0, "file", value=path), "manifest.variants[0]: file is ")
            for path in PATHS_OUT_OF_THE_BUNDLE
        ),
        (put("golden_inputs", 1, "file", value="/etc/x"), "golden_inputs[1]: file is '/etc"),
        (put("other_files", 0, "file", value="../x"), "manifest.other_files[0]: file is '../x'"),
        (put("variants", 0, "sha256", value="ab"), "variants[0]: sha256 is 'ab', expected"),
        (put("variants", 0, "sha256", value="A" * 64), "expected 64 lower-case hexadecimal digits"),
        (put("variants", 0, "sha256", value="a" * 64 + "\n"), "manifest.variants[0]: sha256 is"),
        (put("other_files", 0, "sha256", value="g" * 64), "manifest.other_files[0]: sha256 is"),
    ],
)  # fmt: skip
def test_manifest_that_breaks_its_schema_is_refused_by_place(
    document: Document, change: Change, place: str
):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(altered(document, change))
    assert_one_sentence(caught.value, "manifest.json is not valid", place)


@pytest.mark.parametrize("version", [0, 2, "1", None, True, [], {"a": 1}, math.nan])
def test_other_schema_version_is_refused_before_anything_else(document: Document, version: object):
    def change(own: Document) -> None:
        own["schema_version"] = version
        own["a key of another version"] = 1

    with pytest.raises(ManifestError) as caught:
        parse_manifest(altered(document, change))
    assert_one_sentence(caught.value, f"has schema version {version!r}, this package reads 1")


@pytest.mark.parametrize("text", ["[]", "1", "null", '"x"', "{}"])
def test_json_without_a_version_is_refused(text: str):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)
    assert_one_sentence(caught.value, "schema version None")


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "{'a': 1}", '{"schema_version": 1,}', "text", b"\xff\xfe\xff", b"\x80abc",
        "[" * 100_000, '{"a":' * 100_000, "9" * 10_000,
    ],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_what_is_not_json_is_refused(text: str | bytes):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)
    assert_one_sentence(caught.value, "manifest.json is not JSON")


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ('{"size": ', "size"), ('"file": "tflite_int8.tflite"', "file"),
        ('"schema_version": 1', "schema_version"),
    ],
)  # fmt: skip
def test_key_that_stands_twice_is_refused(document: Document, place: str, key: str):
    text = altered(document, lambda own: None)
    assert text.count(place) == 1
    doubled = text.replace(place, place.replace("{", f'{{"{key}": 64, ') if "{" in place else
                           f'{place}, {place}')  # fmt: skip
    with pytest.raises(ManifestError) as caught:
        parse_manifest(doubled)
    assert_one_sentence(caught.value, f"the key {key!r} stands there twice")


def test_many_keys_are_read_at_once_though_one_stands_twice():
    keys = ", ".join(f'"{index}": 0' for index in range(50_000))
    started = time.perf_counter()
    with pytest.raises(ManifestError, match="'last' stands there twice"):
        parse_manifest(f'{{{keys}, "last": 0, "last": 1}}')
    assert time.perf_counter() - started < 5  # it took minutes when every key was counted


@pytest.mark.parametrize(
    "change",
    [
        put("name", value="\ud800"), put("labels", 0, "code", value="mel\udfff"),
        put("variants", 0, "file", value="golden/\ud83d.tflite"),
        put("variants", 0, "metrics", "\ud800", value={}),
    ],
)  # fmt: skip
def test_half_a_character_is_refused(document: Document, change: Change):
    text = altered(document, change)
    assert "\\ud" in text  # JSON can hold it; no file name, label file or terminal can
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)
    assert_one_sentence(caught.value, "expected Unicode text")
    with pytest.raises(ManifestError):
        parse_manifest(
            json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "surrogatepass")
        )


LONG, RED = "x" * 5000, "\x1b[31mred\n"


@pytest.mark.parametrize(
    "change",
    [
        change
        for text in (LONG, RED)
        for change in (
            put("schema_version", value=[text] * 50), put(text, value=1),
            put("input", "crop", value=text), put("melanoma", value=text),
            put("variants", 0, "name", value=text), put("variants", 0, "format", value=text),
            put("variants", 0, "sha256", value=text), put("variants", 0, "file", value="/" + text),
            put("variants", 0, "metrics", text, value=1),
        )
    ]
    + [put("labels", value=[{"code": "x", "name": "x", "malignant": True}] * 500)],
)  # fmt: skip
def test_what_a_message_quotes_is_shortened_and_printable(document: Document, change: Change):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(altered(document, change))
    assert_one_sentence(caught.value)
    assert str(caught.value).isprintable()


def test_deep_nesting_is_refused(document: Document):
    nested: list[Any] = []
    for _ in range(500):
        nested = [nested]
    with pytest.raises(ManifestError) as caught:
        parse_manifest(altered(document, put("variants", 0, "golden", value=nested)))
    assert_one_sentence(caught.value, "manifest.variants[0].golden[0][0] is [[[")
