"""A model file says by itself what it takes, what it gives, and what it is not for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import encode, number_types
from flatbuffers.table import Table

from convert.metadata import WRITERS, describe
from convert.metadata.archive import unzipped, zipped
from convert.metadata.facts import facts_of
from convert.metadata.flatbuffer import parse_model, table_bytes
from convert.outcome import Options
from convert.variants import VARIANTS, VariantKind
from edge_runtime import Classifier
from edge_runtime._files import sha256
from edge_runtime.bundle import Bundle
from train.run import RunFolder

TFLITE = [name for name, kind in VARIANTS.items() if kind.format == "tflite"]
ONNX = [name for name, kind in VARIANTS.items() if kind.format == "onnx"]


# A reader of FlatBuffers of its own, which knows nothing of the writer.


def text(table: Table, slot: int) -> str:
    offset = table.Offset(4 + 2 * slot)
    return table.String(table.Pos + offset).decode() if offset else ""


def child(table: Table, slot: int) -> Table:
    return Table(table.Bytes, table.Indirect(table.Pos + table.Offset(4 + 2 * slot)))


def children(table: Table, slot: int) -> list[Table]:
    offset = table.Offset(4 + 2 * slot)
    start, length = table.Vector(offset), table.VectorLen(offset)
    return [Table(table.Bytes, table.Indirect(start + 4 * index)) for index in range(length)]


def floats(table: Table, slot: int) -> list[float]:
    return table.GetVectorAsNumpy(number_types.Float32Flags, table.Offset(4 + 2 * slot)).tolist()


def scalar(table: Table, slot: int, flags: type) -> int:
    return int(table.Get(flags, table.Pos + table.Offset(4 + 2 * slot)))


def block_of(content: bytes) -> Table:
    model = schema.Model.GetRootAs(content, 0)
    entries = {model.Metadata(i).Name(): model.Metadata(i) for i in range(model.MetadataLength())}
    data = model.Buffers(entries[b"TFLITE_METADATA"].Buffer()).DataAsNumpy().tobytes()
    assert data[4:8] == b"M001"
    return Table(bytearray(data), encode.Get(number_types.UOffsetTFlags.packer_type, data, 0))


# TFLite


@pytest.mark.parametrize("name", TFLITE)
def test_tflite_file_names_itself_its_licence_and_its_purpose(
    name: str, bundle: Path, run_folder: RunFolder
) -> None:
    block = block_of((bundle / VARIANTS[name].file).read_bytes())
    assert text(block, 0) == f"test ({name})"
    assert text(block, 1).startswith("plain_cnn for 3 classes, trained on 380 generated images of ")
    assert "Not a medical device" in text(block, 1)
    assert (text(block, 2), text(block, 5)) == ("0.1.0", run_folder.run.data.licence)


@pytest.mark.parametrize("name", TFLITE)
def test_tflite_file_says_that_bytes_go_in_as_they_are(name: str, bundle: Path) -> None:
    (graph,) = children(block_of((bundle / VARIANTS[name].file).read_bytes()), 3)
    (image,) = children(graph, 2)
    content = child(image, 3)
    assert scalar(content, 0, number_types.Uint8Flags) == 2  # ImageProperties
    properties = child(content, 1)
    assert scalar(properties, 0, number_types.Int8Flags) == 1  # RGB
    size = child(properties, 1)
    assert [scalar(size, slot, number_types.Uint32Flags) for slot in (0, 1)] == [32, 32]
    (unit,) = children(image, 4)
    assert scalar(unit, 0, number_types.Uint8Flags) == 1  # NormalizationOptions
    (mean,), (deviation,) = (floats(child(unit, 1), slot) for slot in (0, 1))
    scale, zero_point = 1.0, 0
    if name == "tflite_int8":  # bytes are read by a scale and a zero point, which have to cancel
        parsed = parse_model((bundle / VARIANTS[name].file).read_bytes()).subgraphs[0]
        known = parsed.tensors[parsed.inputs[0]].quantization
        scale, zero_point = float(known.scale[0]), int(known.zeroPoint[0])
        assert zero_point == 127
    every = np.arange(256)
    fed = np.round((every - mean) / deviation / scale + zero_point)
    np.testing.assert_array_equal(fed, every)
    assert [floats(child(image, 5), slot) for slot in (0, 1)] == [[255.0], [0.0]]


@pytest.mark.parametrize("name", TFLITE)
def test_tflite_file_brings_its_labels(name: str, bundle: Path, run_folder: RunFolder) -> None:
    content = (bundle / VARIANTS[name].file).read_bytes()
    (graph,) = children(block_of(content), 3)
    (scores,) = children(graph, 3)
    assert [floats(child(scores, 5), slot) for slot in (0, 1)] == [[1.0], [0.0]]
    named = {text(file, 0): text(file, 3) for file in children(scores, 6)}
    assert named == {"labels.txt": "", "labels_en.txt": "en"}
    for file in children(scores, 6):
        assert scalar(file, 2, number_types.Int8Flags) == 2  # TENSOR_AXIS_LABELS
    files = unzipped(content)
    assert files["labels.txt"] == (bundle / "labels.txt").read_bytes()
    names = [label.name for label in run_folder.run.labels]
    assert files["labels_en.txt"].decode().splitlines() == names


@pytest.mark.parametrize("name", TFLITE)
def test_weights_are_untouched_and_aligned_as_the_schema_asks(name: str, bundle: Path) -> None:
    content = (bundle / VARIANTS[name].file).read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    filled = [
        buffer._tab.Vector(buffer._tab.Offset(4))
        for buffer in map(model.Buffers, range(model.BuffersLength()))
        if buffer.DataLength()
    ]
    assert len(filled) > 10
    assert {place % 16 for place in filled} == {0}


# ONNX


@pytest.mark.parametrize("name", ONNX)
def test_onnx_file_says_the_same_as_properties(
    name: str, bundle: Path, run_folder: RunFolder
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(bundle / VARIANTS[name].file)
    found = session.get_modelmeta().custom_metadata_map
    assert (found["name"], found["version"], found["variant"]) == ("test", "0.1.0", name)
    assert found["licence"] == run_folder.run.data.licence
    assert "Not a medical device" in found["description"]
    assert json.loads(found["labels"]) == ["bkl", "mel", "nv"]
    assert json.loads(found["malignant"]) == ["mel"]
    assert json.loads(found["input"])["size"] == 32
    assert found["input_description"].startswith("RGB values, 0 to 255")
    assert [one.name for one in session.get_inputs()] == ["image"]
    assert [one.name for one in session.get_outputs()] == ["probabilities"]


# Every format


@pytest.mark.parametrize("kind", VARIANTS.values(), ids=list(VARIANTS))
def test_every_format_has_a_writer(kind: VariantKind) -> None:
    assert kind.format in WRITERS


@pytest.mark.parametrize("name", [*TFLITE, *ONNX])
def test_manifest_speaks_of_the_file_with_its_metadata(name: str, bundle: Path) -> None:
    variant = Bundle.open(bundle).manifest.variant(name)
    content = (bundle / variant.file).read_bytes()
    assert (len(content), sha256(content)) == (variant.bytes, variant.sha256)
    classifier = Classifier.open(bundle, name)
    assert classifier.self_test() <= variant.golden_tolerance


@pytest.mark.parametrize("name", ["tflite_int8", "onnx_f32"])
def test_facts_are_replaced_and_do_not_pile_up(
    name: str, bundle: Path, run_folder: RunFolder
) -> None:
    kind = VARIANTS[name]
    content = (bundle / kind.file).read_bytes()
    facts = facts_of(run_folder, kind, Options(name="test"))
    assert describe(content, kind.format, facts) == content
    other = describe(content, kind.format, replace(facts, version="0.2.0"))
    assert other != content
    assert len(other) == len(content)


def test_text_beyond_ascii_and_citations_are_kept(bundle: Path, run_folder: RunFolder) -> None:
    facts = facts_of(run_folder, VARIANTS["tflite_f32"], Options(name="Muttermäler"))
    content = (bundle / "tflite_f32.tflite").read_bytes()
    described = describe(content, "tflite", replace(facts, citations=("Tschandl 2018", "Müller")))
    block = block_of(described)
    assert text(block, 0) == "Muttermäler (tflite_f32)"
    assert text(block, 1).endswith("Cite: Tschandl 2018 Cite: Müller")
    assert len(parse_model(described).subgraphs) == 1


def test_empty_fields_are_left_out_and_slots_keep_their_places() -> None:
    content = table_bytes({0: "", 2: np.int32(7), 3: []}, b"TEST")
    root = Table(bytearray(content), encode.Get(number_types.UOffsetTFlags.packer_type, content, 0))
    assert [root.Offset(4 + 2 * slot) != 0 for slot in range(4)] == [False, False, True, False]
    assert scalar(root, 2, number_types.Int32Flags) == 7


def test_archive_depends_on_its_files_alone() -> None:
    assert zipped({"b": b"2", "a": b"1"}) == zipped({"a": b"1", "b": b"2"})
    assert unzipped(b"a model before it" + zipped({"a": b"1"})) == {"a": b"1"}
