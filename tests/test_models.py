"""The models that come with a checkout: whole, small, licensed, and without a photograph."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from edge_runtime import Classifier
from edge_runtime.bundle import Bundle
from edge_runtime.commands import main
from train.architectures import build
from train.reference.building import DEVICE_VARIANT, FLOAT_VARIANT, models

MODELS = Path(__file__).resolve().parents[1] / "models"
LARGEST = {"reference": 5_000_000, "tiny": 1_000_000}
"""Bytes of the 8-bit file."""
TOGETHER = 30_000_000

there = [model.name for model in models() if (MODELS / model.name).is_dir()]
every_model = pytest.mark.parametrize("name", there)


def test_models_together_are_small_and_nothing_else_lies_beside_them() -> None:
    assert sum(file.stat().st_size for file in MODELS.rglob("*") if file.is_file()) < TOGETHER
    assert {path.name for path in MODELS.iterdir()} == {"LICENSE", *there}


@every_model
def test_model_is_whole_and_passed_the_gate(name: str) -> None:
    bundle = Bundle.open(MODELS / name)
    assert list(bundle.damages()) == []
    assert {variant.verdict for variant in bundle.manifest.variants} == {"pass"}
    assert bundle.manifest.variant(DEVICE_VARIANT).bytes <= LARGEST[name]
    assert bundle.manifest.variant(FLOAT_VARIANT)
    assert bundle.manifest.checks is not None


@every_model
def test_model_says_what_it_may_be_used_for_and_whose_images_it_has_seen(name: str) -> None:
    source = Bundle.open(MODELS / name).manifest.source
    assert source.licence == "CC-BY-NC-4.0"
    assert not source.generated
    assert "HAM10000" in " ".join(source.citations)
    card = (MODELS / name / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## Remarks" in card
    assert "published by others" in card


@pytest.mark.skipif(not {"reference", "tiny"} <= set(there), reason="both models are compared")
def test_tiny_model_multiplies_at_most_a_quarter_as_often() -> None:
    assert multiplications("tiny") <= 0.25 * multiplications("reference")


def multiplications(name: str) -> int:
    """For one image, in convolutions and the last layer."""
    manifest = Bundle.open(MODELS / name).manifest
    size, classes = manifest.input.size, len(manifest.labels)
    model = build(
        manifest.source.architecture, input_size=size, classes=classes, pretrained=False
    ).model
    return sum(
        math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
        for layer in model.layers
        if hasattr(layer, "kernel")
    )


@every_model
def test_no_photograph_is_in_it(name: str) -> None:
    report = (MODELS / name / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in report
    assert "data:image/webp" not in report
    suffixes = {file.suffix for file in (MODELS / name).rglob("*") if file.is_file()}
    assert not suffixes & {".jpg", ".jpeg", ".webp"}


@every_model
def test_every_variant_answers_its_golden_inputs_here(name: str) -> None:
    for variant in Bundle.open(MODELS / name).manifest.variants:
        Classifier.open(MODELS / name, variant.name)  # refuses to serve otherwise


@every_model
def test_8_bit_file_does_on_a_device_what_its_manifest_says(
    name: str, data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(MODELS / name), "--variant", DEVICE_VARIANT, "--json"]
    data = str(data_root / "ham10000")
    assert main([*words, "--data", data, "--split", "val", "--bootstrap", "0"]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]["melanoma_auc"]["value"]
    stated = Bundle.open(MODELS / name).manifest.variant(DEVICE_VARIANT).metrics["val"]
    assert found == pytest.approx(stated["melanoma_auc"].value, abs=2e-3)
