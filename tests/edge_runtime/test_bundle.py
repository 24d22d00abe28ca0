from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime import Bundle, Classifier
from edge_runtime._files import sha256
from edge_runtime.errors import (
    BundleError,
    BundleNotFoundError,
    IntegrityError,
    ManifestError,
    ModelMismatchError,
)
from tests.edge_runtime.changing import Document, edit_manifest, read_manifest, replace_file
from tests.edge_runtime.making import assert_one_sentence

MODEL = "tflite_int8.tflite"


def test_bundle_is_known_by_the_digest_of_its_manifest(bundle: Path):
    opened = Bundle.open(str(bundle))
    assert opened.folder == bundle
    assert opened.sha256 == sha256((bundle / "manifest.json").read_bytes())
    assert opened.manifest.name == "test"


def test_every_file_is_listed_and_read_as_it_is(bundle: Path):
    opened = Bundle.open(bundle)
    manifest = opened.manifest
    listed = {"manifest.json"}
    for entry in (*manifest.variants, *manifest.golden_inputs, *manifest.other_files):
        assert opened.read(entry.file, entry.sha256) == (bundle / entry.file).read_bytes()
        listed.add(entry.file)
    assert manifest.checks is not None
    familiar = manifest.checks.familiar
    assert opened.read(familiar.file, familiar.sha256) == (bundle / familiar.file).read_bytes()
    listed.add(familiar.file)
    there = {file.relative_to(bundle).as_posix() for file in bundle.rglob("*") if file.is_file()}
    assert there == listed


# ---------------------------------------------------------------- no bundle


@pytest.mark.parametrize("make", ["nothing", "file", "empty folder", "manifest is a folder"])
def test_what_is_no_bundle_is_refused(make: str, tmp_path: Path):
    place = tmp_path / "place"
    if make == "file":
        place.write_text("x")
    elif make != "nothing":
        place.mkdir()
    if make == "manifest is a folder":
        (place / "manifest.json").mkdir()
    with pytest.raises(BundleNotFoundError) as caught:
        Classifier.open(place)
    assert_one_sentence(caught.value, str(place), "manifest.json", "dermedge convert")


@pytest.mark.parametrize("path", ["x" * 300, "nul\0l"])
def test_what_is_no_path_is_refused(path: str):
    with pytest.raises(BundleNotFoundError, match="dermedge convert"):
        Classifier.open(path)


def test_unknown_version_is_refused(own_bundle: Path):
    edit_manifest(own_bundle, lambda document: document.update(schema_version=2))
    with pytest.raises(ManifestError) as caught:
        Classifier.open(own_bundle)
    assert_one_sentence(caught.value, "schema version 2, this package reads 1")


def test_manifest_cut_short_is_refused(own_bundle: Path):
    content = (own_bundle / "manifest.json").read_bytes()
    (own_bundle / "manifest.json").write_bytes(content[: len(content) // 2])
    with pytest.raises(ManifestError) as caught:
        Classifier.open(own_bundle)
    assert_one_sentence(caught.value, "manifest.json is not JSON")


# ---------------------------------------------------------------- altered files


def flip_a_bit(file: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("file", [MODEL, "golden/0.png", "golden/1.png", "labels.txt"])
def test_altered_file_is_refused(own_bundle: Path, file: str):
    flip_a_bit(own_bundle / file)
    with pytest.raises(IntegrityError) as caught:
        Classifier.open(own_bundle, "tflite_int8")
    assert_one_sentence(caught.value, file, "own_bundle", "was altered")


@pytest.mark.parametrize("file", [MODEL, "golden/0.png", "labels.txt"])
def test_missing_file_is_refused(own_bundle: Path, file: str):
    (own_bundle / file).unlink()
    with pytest.raises(IntegrityError) as caught:
        Classifier.open(own_bundle, "tflite_int8")
    assert_one_sentence(caught.value, file, "cannot be read (No such file or directory)")


def test_truncated_and_prolonged_model_files_are_refused(own_bundle: Path):
    content = (own_bundle / MODEL).read_bytes()
    for other in (content[:-1], content + b"\0", b""):
        (own_bundle / MODEL).write_bytes(other)
        with pytest.raises(IntegrityError, match="was altered"):
            Classifier.open(own_bundle, "tflite_int8")


def test_file_that_is_not_needed_may_be_missing(own_bundle: Path, images: list[Path]):
    (own_bundle / "MODEL_CARD.md").unlink()
    for file in own_bundle.glob("onnx_*"):
        file.unlink()
    assert Classifier.open(own_bundle, "tflite_int8").classify(images[0]).label


def test_folder_in_place_of_a_file_is_refused(own_bundle: Path):
    (own_bundle / MODEL).unlink()
    (own_bundle / MODEL).mkdir()
    with pytest.raises(IntegrityError) as caught:
        Classifier.open(own_bundle, "tflite_int8")
    assert_one_sentence(caught.value, MODEL, "cannot be read")


# ---------------------------------------------------------------- links


def test_link_that_leads_out_of_the_bundle_is_refused(own_bundle: Path, tmp_path: Path):
    outside = tmp_path / "outside.tflite"
    shutil.move(own_bundle / MODEL, outside)  # the very bytes that the manifest names
    (own_bundle / MODEL).symlink_to(outside)
    with pytest.raises(IntegrityError) as caught:
        Classifier.open(own_bundle, "tflite_int8")
    assert_one_sentence(caught.value, f"{MODEL} leads out of the bundle")


def test_linked_folder_that_leads_out_of_the_bundle_is_refused(own_bundle: Path, tmp_path: Path):
    shutil.move(own_bundle / "golden", tmp_path / "golden")
    (own_bundle / "golden").symlink_to("../golden")
    with pytest.raises(IntegrityError, match="leads out of the bundle"):
        Classifier.open(own_bundle)


def test_link_in_a_circle_is_refused(own_bundle: Path):
    (own_bundle / MODEL).unlink()
    (own_bundle / MODEL).symlink_to(MODEL)
    with pytest.raises(IntegrityError) as caught:
        Classifier.open(own_bundle, "tflite_int8")
    assert_one_sentence(caught.value, MODEL, "cannot be read")


def test_link_within_the_bundle_and_a_link_to_the_bundle_are_followed(
    own_bundle: Path, tmp_path: Path, images: list[Path]
):
    shutil.move(own_bundle / MODEL, own_bundle / "golden" / "model")
    (own_bundle / MODEL).symlink_to("golden/model")
    (tmp_path / "current").symlink_to(own_bundle.name)
    assert Classifier.open(tmp_path / "current", "tflite_int8").classify(images[0]).label


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize("text", ["mel\nbkl\nnv\n", "bkl\nmel\n", "bkl\nmel\nnv\nvasc\n", ""])
def test_labels_file_that_does_not_match_the_manifest_is_refused(own_bundle: Path, text: str):
    replace_file(own_bundle, "labels.txt", text.encode())
    with pytest.raises(IntegrityError) as caught:
        Classifier.open(own_bundle)
    assert_one_sentence(caught.value, "labels.txt says", "the manifest says bkl, mel, nv")


def test_bundle_that_lists_no_labels_file_is_refused(own_bundle: Path):
    def forget(document: Document) -> None:
        document["other_files"] = [
            entry for entry in document["other_files"] if entry["file"] != "labels.txt"
        ]

    edit_manifest(own_bundle, forget)
    with pytest.raises(IntegrityError) as caught:
        Classifier.open(own_bundle)
    assert_one_sentence(caught.value, "lists no labels.txt")


def more_labels(document: Document) -> None:
    """A fourth class, everywhere where the manifest speaks of classes."""
    document["labels"].append({"code": "vasc", "name": "vascular lesion", "malignant": False})
    for variant in document["variants"]:
        for row in variant["golden"]:
            row.append(0.0)


def fewer_labels(document: Document) -> None:
    """Only two of the three classes."""
    del document["labels"][2]
    for variant in document["variants"]:
        for row in variant["golden"]:
            del row[2]


@pytest.mark.parametrize("variant", ["tflite_int8", "onnx_f32"])
@pytest.mark.parametrize(
    ("change", "labels", "count"),
    [(more_labels, b"bkl\nmel\nnv\nvasc\n", 4), (fewer_labels, b"bkl\nmel\n", 2)],
)
def test_model_with_another_number_of_classes_is_refused(
    own_bundle: Path, variant: str, change: Callable[[Document], None], labels: bytes, count: int
):
    edit_manifest(own_bundle, change)
    replace_file(own_bundle, "labels.txt", labels)
    with pytest.raises(ModelMismatchError) as caught:
        Classifier.open(own_bundle, variant)
    assert_one_sentence(caught.value, variant, "gives 3 classes", f"{count} labels")


@pytest.mark.parametrize("variant", ["tflite_int8", "onnx_f32"])
def test_model_of_another_input_size_is_refused(own_bundle: Path, variant: str):
    edit_manifest(own_bundle, lambda document: document["input"].update(size=64))
    with pytest.raises(ModelMismatchError) as caught:
        Classifier.open(own_bundle, variant)
    assert_one_sentence(caught.value, "takes (1, 32, 32, 3)", "(1, 64, 64, 3)")


def test_other_models_bytes_under_a_right_digest_are_refused(own_bundle: Path):
    replace_file(own_bundle, MODEL, (own_bundle / "onnx_f32.onnx").read_bytes())
    with pytest.raises(ModelMismatchError) as caught:
        Classifier.open(own_bundle, "tflite_int8")
    assert_one_sentence(caught.value, "cannot load this model file")


# ---------------------------------------------------------------- checked bytes are the used bytes


def test_nothing_is_read_again_after_opening(own_bundle: Path, images: list[Path]):
    expected = Classifier.open(own_bundle).classify(images[0]).probabilities
    classifier = Classifier.open(own_bundle)
    shutil.rmtree(own_bundle)
    assert classifier.classify(images[0]).probabilities == expected
    (many,) = classifier.classify_many(images[:1])  # which loads further interpreters
    assert many.probabilities == expected  # type: ignore[union-attr]


def test_every_file_of_the_bundle_is_opened_once(bundle: Path, images: list[Path]):
    code = """
import collections, json, os, sys
bundle, variants, *images = sys.argv[1:]
opened = collections.Counter()
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, os.PathLike)):
        path = os.path.relpath(arguments[0], bundle)
        if not path.startswith(".."):
            opened[path] += 1
sys.addaudithook(note)
from edge_runtime import Classifier
for variant in variants.split():
    opened.clear()
    classifier = Classifier.open(bundle, variant)
    classifier.classify(images[0])
    list(classifier.classify_many(images))
    print(json.dumps(opened))
"""
    variants = read_manifest(bundle)["variants"]
    names = " ".join(variant["name"] for variant in variants)
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle.resolve()), names, *map(str, images[:8])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for variant, line in zip(variants, done.stdout.splitlines(), strict=True):
        expected = [
            "manifest.json", "labels.txt", variant["file"], "golden/0.png", "golden/1.png",
            "familiar.npy",
        ]  # fmt: skip
        assert json.loads(line) == dict.fromkeys(expected, 1)


def test_every_refusal_of_a_bundle_is_one_class_to_catch(own_bundle: Path, tmp_path: Path):
    with pytest.raises(BundleError):
        Bundle.open(tmp_path / "none")
    flip_a_bit(own_bundle / "labels.txt")
    with pytest.raises(BundleError):
        Bundle.open(own_bundle)
