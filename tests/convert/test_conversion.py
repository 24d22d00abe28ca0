"""From a run to a bundle: only what passed is in it, and all that it says can be proved."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convert.conversion import Conversion, Options, convert
from convert.gate.judge import Margins
from convert.variants import VARIANTS, Exported, VariantKind, chosen, onnx
from convert.variants.tflite import converter
from edge_runtime import backends
from edge_runtime._files import sha256
from edge_runtime.bundle import Bundle
from edge_runtime.errors import (
    GateError,
    UsageError,
    VariantUnsupportedError,
)
from edge_runtime.manifest import Manifest
from edge_runtime.preprocess import load_input
from tests.convert.sabotage import content
from train.metrics import operating_point
from train.run import RunFolder

QUICK = Options(variants=chosen("onnx_f32"), calibration_images=30, bootstrap=0)


def manifest_of(bundle: Path) -> Manifest:
    return Bundle.open(bundle).manifest


def verdicts(conversion: Conversion) -> dict[str, tuple[str | None, bool]]:
    return {
        one.kind.name: (one.entry.verdict if one.entry else None, one.kept)
        for one in conversion.outcomes
    }


Made = Callable[[str, Callable[[Exported], bytes]], VariantKind]


@pytest.fixture
def made_by(monkeypatch: pytest.MonkeyPatch) -> Made:
    """A line of the registry whose converter is a function of the test."""

    def kind(name: str, made: Callable[[Exported], bytes]) -> VariantKind:
        module = types.ModuleType(f"convert.variants.{name}_of_test")
        module.converter = made  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return replace(VARIANTS[name], converter=f"{name}_of_test:converter")

    return kind


def perturbed(exported: Exported) -> bytes:
    """ONNX of the model after an accident to the weights of one layer."""
    import keras

    clone = keras.models.clone_model(exported.model)
    clone.set_weights(exported.model.get_weights())
    layer = clone.get_layer("stage4_conv")
    (kernel,) = layer.get_weights()
    noise = np.random.default_rng(0).normal(size=kernel.shape)
    layer.set_weights([kernel + 4 * kernel.std() * noise])
    return onnx.float32(replace(exported, model=clone))


def calibrated_on_black(exported: Exported) -> bytes:
    """What TensorFlow Lite makes when its quantizer has seen nothing but black images."""
    import tensorflow as tf

    black = np.zeros((1, exported.size, exported.size, 3), np.float32)
    made = converter(exported)
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    made.representative_dataset = lambda: iter([[black]])
    return bytes(made.convert())


# What a bundle holds


def test_bundle_lists_every_file_of_it_with_its_digest(bundle: Path) -> None:
    manifest = manifest_of(bundle)
    listed = {entry.file: entry.sha256 for entry in (*manifest.variants, *manifest.golden_inputs)}
    listed |= {entry.file: entry.sha256 for entry in manifest.other_files}
    assert manifest.checks is not None
    listed[manifest.checks.familiar.file] = manifest.checks.familiar.sha256
    found = content(bundle)
    found.pop("manifest.json")
    assert {name: sha256(data) for name, data in found.items()} == listed
    assert found["labels.txt"] == b"bkl\nmel\nnv\n"
    assert b"generated images" in found["MODEL_CARD.md"]


def test_bundle_says_where_the_model_comes_from(bundle: Path, run_folder: RunFolder) -> None:
    manifest = manifest_of(bundle)
    assert (manifest.name, manifest.version) == ("test", "0.1.0")
    assert (manifest.labels, manifest.input) == (run_folder.run.labels, run_folder.run.input)
    source = manifest.source
    assert (source.architecture, source.run, source.generated) == ("plain_cnn", "run", True)
    assert (source.licence, source.training_images) == ("CC0-1.0", 380)


def test_bundle_says_how_it_was_judged(bundle: Path, run_folder: RunFolder) -> None:
    gate = manifest_of(bundle).gate
    val = [row for row in run_folder.rows() if row.split == "val"]
    melanomas = [row for row in val if row.label == "mel"]
    assert (gate.split, gate.images, gate.melanomas) == ("val", len(val), len(melanomas))
    assert gate.melanoma_lesions == len({row.lesion_id for row in melanomas}) < len(melanomas)
    assert (gate.auc_margin, gate.sensitivity_margin, gate.confidence) == (0.01, 0.05, 0.95)
    split = {row.image_id: row.split for row in run_folder.rows()}
    assert [split[image] for image in gate.calibration_images] == ["train"] * 60


def test_golden_answers_are_the_interpreters_on_the_golden_inputs(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    pictures = [
        np.asarray(Image.open(bundle / entry.file)) for entry in opened.manifest.golden_inputs
    ]
    assert len(pictures) == 2
    for variant in opened.manifest.variants:
        interpreter = backends.load(
            backends.choose(variant.format), opened.model(variant), threads=1
        )
        np.testing.assert_allclose(
            [interpreter.run(picture) for picture in pictures], variant.golden, atol=1e-6
        )
        assert np.abs(np.subtract(*variant.golden)).max() > variant.golden_tolerance


@pytest.mark.parametrize("name", ["tflite_int8", "onnx_f32"])
def test_thresholds_are_the_variants_own_fitted_on_validation_and_frozen_for_test(
    name: str, bundle: Path, run_folder: RunFolder, generated: Path
) -> None:
    opened = Bundle.open(bundle)
    variant = opened.manifest.variant(name)
    interpreter = backends.load(backends.choose(variant.format), opened.model(variant), threads=1)
    codes = opened.manifest.codes
    mel = codes.index("mel")
    for split in ("val", "test"):
        rows = [row for row in run_folder.rows() if row.split == split]
        scores = np.array(
            [
                interpreter.run(load_input(generated / row.file, opened.manifest.input))[mel]
                for row in rows
            ]
        )
        positive = np.array([row.label == "mel" for row in rows])
        point = variant.operating_points["melanoma"]
        called = scores >= point.threshold
        metrics = variant.metrics[split]
        assert metrics["melanoma_sensitivity"].value == pytest.approx(called[positive].mean())
        assert metrics["melanoma_specificity"].value == pytest.approx((~called[~positive]).mean())
        if split == "val":
            own = operating_point(scores.astype(np.float64), positive, 0.9, "melanoma")
            assert astuple(point) == pytest.approx(astuple(own), abs=1e-9)
            apart = point.threshold - run_folder.run.operating_points["melanoma"].threshold
            assert (abs(apart) > 1e-4) == (name == "tflite_int8")


def test_differences_are_told_for_validation_and_test(bundle: Path) -> None:
    for variant in manifest_of(bundle).variants:
        for split in ("val", "test"):
            difference = variant.difference[split]
            assert difference["agreement"].value > 0.9
            auc = difference["melanoma_auc"]
            assert auc.low <= auc.value <= auc.high < 0.05
        assert variant.metrics["val"] != variant.metrics["test"]


# Sabotage


def test_variant_with_perturbed_weights_fails_and_is_not_in_the_bundle(
    made_by: Made, run_folder: RunFolder, tmp_path: Path
) -> None:
    kinds = (*chosen("tflite_f32"), made_by("onnx_f32", perturbed))
    conversion = convert(run_folder, tmp_path / "bundle", replace(QUICK, variants=kinds))
    assert verdicts(conversion) == {"tflite_f32": ("pass", True), "onnx_f32": ("fail", False)}
    assert [variant.name for variant in manifest_of(tmp_path / "bundle").variants] == ["tflite_f32"]
    assert not (tmp_path / "bundle" / "onnx_f32.onnx").exists()


def test_variant_calibrated_on_black_images_fails_and_leaves_an_earlier_bundle_untouched(
    made_by: Made, run_folder: RunFolder, own_bundle: Path
) -> None:
    before = content(own_bundle)
    kinds = (made_by("tflite_int8", calibrated_on_black),)
    options = replace(QUICK, variants=kinds, ladder=False)
    conversion = convert(run_folder, own_bundle, options, overwrite=True)
    assert verdicts(conversion) == {"tflite_int8": ("fail", False)}
    assert conversion.bundle is None
    assert content(own_bundle) == before
    assert [path.name for path in own_bundle.parent.iterdir()] == ["own_bundle"]


def test_failing_variant_is_kept_when_asked_for_and_marked(
    made_by: Made, run_folder: RunFolder, tmp_path: Path
) -> None:
    options = replace(QUICK, variants=(made_by("onnx_f32", perturbed),), allow_failing=True)
    convert(run_folder, tmp_path / "bundle", options)
    (variant,) = manifest_of(tmp_path / "bundle").variants
    assert variant.verdict == "fail"
    assert "margin" in variant.reason


def test_format_that_cannot_hold_the_model_is_left_out_and_the_others_go_on(
    made_by: Made, run_folder: RunFolder, tmp_path: Path
) -> None:
    def unable(exported: Exported) -> bytes:
        raise VariantUnsupportedError("TensorFlow Lite cannot hold this model: swirl.")

    options = replace(QUICK, variants=(made_by("tflite_f32", unable), *chosen("onnx_f32")))
    conversion = convert(run_folder, tmp_path / "bundle", options)
    assert verdicts(conversion) == {"tflite_f32": (None, False), "onnx_f32": ("pass", True)}
    assert conversion.outcomes[0].reason == "TensorFlow Lite cannot hold this model: swirl."


def test_unproven_variant_is_left_out_unless_accepted(
    run_folder: RunFolder, tmp_path: Path
) -> None:
    options = replace(QUICK, margins=Margins(auc=0.01, sensitivity=0.01))
    conversion = convert(run_folder, tmp_path / "bundle", options)
    assert verdicts(conversion) == {"onnx_f32": ("cannot judge", False)}
    assert not (tmp_path / "bundle").exists()

    accepted = convert(run_folder, tmp_path / "bundle", replace(options, accept_unproven=True))
    assert verdicts(accepted) == {"onnx_f32": ("cannot judge", True)}
    (variant,) = manifest_of(tmp_path / "bundle").variants
    assert variant.verdict == "cannot judge"
    assert "melanoma lesions would decide it, here are 62" in variant.reason


# The output folder


def test_existing_folder_is_refused_before_anything_is_done(
    run_folder: RunFolder, own_bundle: Path, tmp_path: Path
) -> None:
    before = content(own_bundle)
    with pytest.raises(UsageError, match="exists already; add --overwrite to replace a bundle"):
        convert(run_folder, own_bundle, QUICK)
    assert content(own_bundle) == before


def test_folder_that_is_no_bundle_is_never_overwritten(
    run_folder: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(UsageError, match="exists already"):
        convert(run_folder, tmp_path / "thesis", QUICK, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_earlier_bundle_is_replaced_whole(run_folder: RunFolder, own_bundle: Path) -> None:
    convert(run_folder, own_bundle, replace(QUICK, name="second"), overwrite=True)
    assert manifest_of(own_bundle).name == "second"
    assert sorted(path.name for path in own_bundle.glob("*_*.*")) == [
        "MODEL_CARD.md", "onnx_f32.onnx", "trained_on.txt",
    ]  # fmt: skip
    assert [path.name for path in own_bundle.parent.iterdir()] == ["own_bundle"]


# Parts without melanoma


@pytest.fixture
def without_melanoma(
    run_folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], RunFolder]:
    """The run with a part whose melanomas are called nevi."""

    def run(part: str) -> RunFolder:
        rows = tuple(
            replace(row, label="nv") if (row.label, row.split) == ("mel", part) else row
            for row in run_folder.rows()
        )
        monkeypatch.setattr(RunFolder, "rows", lambda run: rows)
        return run_folder

    return run


def test_validation_without_melanoma_cannot_judge(
    without_melanoma: Callable[[str], RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "float32", lambda exported: pytest.fail("converted in vain"))
    with pytest.raises(GateError, match="The validation images hold no melanoma"):
        convert(without_melanoma("val"), tmp_path / "bundle", QUICK)
    assert not (tmp_path / "bundle").exists()


def test_test_part_without_melanoma_is_no_matter_to_the_gate(
    without_melanoma: Callable[[str], RunFolder], tmp_path: Path
) -> None:
    conversion = convert(without_melanoma("test"), tmp_path / "bundle", QUICK)
    assert verdicts(conversion) == {"onnx_f32": ("pass", True)}
    (variant,) = manifest_of(tmp_path / "bundle").variants
    assert "melanoma_auc" in variant.difference["val"]
    assert variant.difference["test"] == {}
    assert "melanoma_auc" not in variant.metrics["test"]
    assert variant.metrics["test"]["accuracy"].value > 0
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text("utf-8")
    assert "needless referral.** The test images hold none, so nothing is measured" in card
    assert "the test images show no melanoma, so nothing is known of its referrals.\n" in card
    assert "misses 0 of 0" not in card


# What the quantizer sees


def test_quantizer_sees_the_calibration_images_and_no_others(
    made_by: Made, run_folder: RunFolder, generated: Path, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def watching(exported: Exported) -> bytes:
        seen.append(exported.calibration)
        return onnx.float32(exported)

    convert(run_folder, tmp_path / "b", replace(QUICK, variants=(made_by("onnx_f32", watching),)))
    files = {one.image_id: one.file for one in run_folder.rows()}
    expected = [
        load_input(generated / files[image], run_folder.run.input)
        for image in manifest_of(tmp_path / "b").gate.calibration_images
    ]
    assert len(expected) == 30
    np.testing.assert_array_equal(seen[0], expected)
