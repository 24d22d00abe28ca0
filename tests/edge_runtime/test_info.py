"""`dermedge info` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime import Classifier
from tests.conftest import Command
from tests.edge_runtime.changing import set_verdicts
from tests.edge_runtime.test_commands import assert_one_line


def test_info_tells_what_the_bundle_holds(dermedge: Command, bundle: Path):
    done = dermedge("info", bundle, check=0)
    for words in (
        "test 0.1.0 (schema 1)", "Not a medical device", "generated", "CC0-1.0", "32 x 32",
        "melanoma (malignant) (melanoma)", "tflite_int8", "onnx_f32", "all match their SHA-256",
        "centre square, bilinear, colours in srgb", "test: melanoma_auc 0.", "  signature  none",
        "refers from melanoma 0.", "judged     on val: ",
    ):  # fmt: skip
        assert words in done.stdout
    assert done.stderr == ""


def test_info_says_which_variant_would_be_served_and_why(dermedge: Command, own_bundle: Path):
    set_verdicts(own_bundle, tflite_f32="pass", onnx_f32="pass")
    served = dermedge("info", own_bundle, check=0).stdout.splitlines()[-1]
    chosen = Classifier.open(own_bundle)
    assert served.startswith(f"  served     {chosen.variant.name} with {chosen.backend_kind.name}")
    assert "the first that passed the gate" in served
    assert "before it stand tflite_int8 (fail)" in served
    set_verdicts(own_bundle)
    served = dermedge("info", own_bundle, check=0).stdout.splitlines()[-1]
    assert served.startswith("  served     none here: No variant of this bundle has passed")


def test_info_as_json_is_the_manifest(dermedge: Command, bundle: Path):
    done = dermedge("info", bundle, "--json", check=0)
    assert done.stdout == (bundle / "manifest.json").read_text("utf-8")


@pytest.mark.parametrize("file", ["onnx_int8.onnx", "MODEL_CARD.md", "golden/1.png"])
def test_info_checks_every_file(dermedge: Command, own_bundle: Path, file: str):
    (own_bundle / file).write_bytes(b"other")
    done = dermedge("info", own_bundle, check=2)
    assert_one_line(done.stderr)
    assert f"{file} of the bundle own_bundle was altered" in done.stderr
