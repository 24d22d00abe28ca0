"""The bundle's report: what was measured, what was tried, and what nobody knows."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convert.evidence import Held
from convert.outcome import Material, Outcome
from convert.report import render_report
from convert.report.choice import choices
from convert.report.plots import apart
from convert.variants import VARIANTS, LayerError
from edge_runtime._files import sha256
from edge_runtime.bundle import Bundle
from tests.convert.report.material import (
    EVIL,
    LAYERS,
    UNEXECUTED,
    Render,
    outcome,
    packed,
    section,
    source,
)
from tests.page import Page, check_self_contained
from train.run import RunFolder


def test_every_variant_stands_beside_the_keras_model_with_its_verdict_and_reason(
    text: str, material: Material
) -> None:
    rows = re.findall(r"<tr.*?</tr>", source(text, "variants"), re.DOTALL)
    words = [Page(row).text for row in rows]
    assert words[1].startswith("Keras model")
    for place, one in enumerate(material.outcomes):
        row = words[2 + place]
        assert row.startswith(one.kind.name)
        assert (one.entry.verdict if one.entry else "not made") in row
        assert (one.entry.reason if one.entry else one.reason) in row
        assert ("left out" in row) == (not one.kept)
        assert one.entry is None or f"{one.entry.bytes:,}" in row


def test_figures_come_with_their_intervals_on_validation_and_test(
    text: str, material: Material, run_folder: RunFolder
) -> None:
    words = section(text, "variants")
    shown = [run_folder.run.metrics] + [one.entry.metrics for one in material.outcomes if one.entry]
    for metrics in shown:
        for split in ("val", "test"):
            for name in ("melanoma_auc", "melanoma_sensitivity", "melanoma_specificity"):
                if metric := metrics[split].get(name):
                    ends = f"{metric.low:.3f} to {metric.high:.3f}".replace("-0.000", "0.000")
                    assert f"{metric.value:.3f} {ends}" in words


def test_losses_are_drawn_beside_their_margins_and_given_in_numbers(
    text: str, material: Material
) -> None:
    page = Page(source(text, "losses"))
    drawn = [a["aria-label"] for _, a in page.tags if a.get("role") == "img"]
    assert len(drawn) == 2
    assert "margin 0.01" in drawn[0]
    assert "margin 0.05" in drawn[1]
    for one in material.outcomes:
        if one.answers and one.entry:
            loss = one.entry.difference["val"]["melanoma_auc"]
            assert (
                f"{one.kind.name} {loss.value:.4f} ({loss.low:.4f} to {loss.high:.4f})"
                in (drawn[0])
            )
    assert "coreml_f16" not in " ".join(drawn)


def test_a_loss_far_beyond_the_margin_is_told_and_leaves_the_others_legible(text: str) -> None:
    svg = re.findall(r"<svg.*?</svg>", source(text, "losses"), re.DOTALL)[0]
    ticks = [float(found) for found in re.findall(r">\s*(0\.\d+)\s*</text>", svg)]
    assert max(tick for tick in ticks if tick < 0.05) >= 0.02
    assert len([tick for tick in ticks if tick > 0.05]) == 2  # validation and test, at the edge


def test_accuracy_is_drawn_against_size_and_against_time(text: str) -> None:
    page = Page(source(text, "tradeoffs"))
    size, time = [a["aria-label"] for _, a in page.tags if a.get("role") == "img"]
    assert "against megabytes" in size
    assert "tflite_int8" in size
    assert "at 0.05;" in size
    assert "against median milliseconds" in time
    assert "at 2.5" in time


def test_every_try_is_in_the_report_with_its_figures_and_its_reason(
    text: str, material: Material
) -> None:
    words = section(text, "ladder")
    for rung in material.outcomes[1].rungs:
        assert f"{len(rung.model):,}" in words
        assert rung.reason in words
    assert "0.0340 0.0200 to 0.0480" in words
    rows = [Page(row).text for row in re.findall(r"<tr.*?</tr>", source(text, "ladder"), re.DOTALL)]
    assert ["taken" in row for row in rows] == [False, False, True]
    assert all(layer in rows[2] for layer in material.outcomes[1].rungs[1].float_layers)
    assert "Made because onnx_int8 did not pass." in words
    assert "this format has no hard-swish" in words


def test_a_variant_that_passed_at_once_is_not_among_the_repairs(
    text: str, rendered: Render, material: Material
) -> None:
    assert "tflite_f32" not in section(text, "ladder")
    assert "None: every variant here was made once" in section(
        rendered(outcomes=material.outcomes[:1]), "ladder"
    )


def test_the_worst_layers_are_drawn_and_all_are_listed(text: str) -> None:
    page = Page(source(text, "layers"))
    error, effect = [a["aria-label"] for _, a in page.tags if a.get("role") == "img"]
    assert error.count("stage") == effect.count("stage") == 20
    assert "the largest first: stage1_conv (conv_2d) 4.2;" in error
    assert "the largest first: stage0_conv (conv_2d) 0.05;" in effect
    for one in LAYERS:
        assert f"{one.layer} {one.error:.3f} {one.effect:.6f} {one.tensor}" in page.text
    assert "rounding alone makes 0.29" in page.text


def test_effects_that_were_not_measured_are_not_drawn(rendered: Render, material: Material) -> None:
    plain = tuple(replace(one, effect=None) for one in LAYERS)
    text = rendered(outcomes=(replace(material.outcomes[1], layer_errors=plain),))
    page = Page(source(text, "layers"))
    (drawn,) = [a["aria-label"] for _, a in page.tags if a.get("role") == "img"]
    assert "in quantization steps" in drawn
    assert f"{LAYERS[0].layer} {LAYERS[0].error:.3f}" in page.text


def test_calibration_images_are_counted_by_class_and_named(text: str, material: Material) -> None:
    words = section(text, "quantizer")
    assert "40 training images" in words
    assert "seed 5" in words
    assert "None of them is in validation or test" in words
    rows = [material.images.rows[at] for at in material.calibration]
    melanomas = sum(row.label == "mel" for row in rows)
    trained = sum(row.split == "train" and row.label == "mel" for row in material.images.rows)
    assert f"melanoma (mel), malignant {melanomas} {trained}" in words
    assert all(row.image_id in words for row in rows)


def test_a_calibration_image_that_is_held_out_is_told(rendered: Render, material: Material) -> None:
    leaked = (*material.calibration, int(material.held["test"].rows[0]))
    words = section(rendered(calibration=leaked), "quantizer")
    assert "1 of them are also in validation or test" in words
    assert "None of them" not in words


def test_summary_names_what_passed_what_did_not_and_what_to_take(
    text: str, material: Material
) -> None:
    words = section(text, "summary")
    assert "2 of 5 variants pass (tflite_f32, tflite_int8 with 2 layers in float)" in words
    failed = material.outcomes[2].entry
    assert failed is not None
    assert f"onnx_int8 fails and is left out: {failed.reason}." in words
    assert f"coreml_f16 cannot be judged and is in the bundle all the same: {UNEXECUTED}." in words
    assert "tflite_int16x8 was not made: this format has no hard-swish." in words
    assert "Not proven. coreml_f16" in Page(text).text


def test_only_variants_that_passed_are_recommended(material: Material) -> None:
    outcomes = tuple(replace(one, kept=one.entry is not None) for one in material.outcomes)
    found = {choice.purpose: choice.variant for choice in choices(outcomes)}
    assert "onnx_int8" not in found.values()  # the smallest and the fastest, and failed
    assert found["little storage, or a slow download"] == "tflite_int8"
    assert found["many images in little time"] == "tflite_int8"
    assert found["a Raspberry Pi or another device with dermedge-runtime"] == "tflite_int8"
    assert found["the Keras model's answers, as exactly as a file can have them"] == "tflite_f32"
    assert found["an iOS app (Core ML)"] == "coreml_f16"
    assert "a web page (ONNX Runtime Web)" not in found
    assert choices(outcomes[2:3]) == ()


def test_each_models_own_operating_points_are_given(text: str, material: Material) -> None:
    words = section(text, "points")
    for one in material.outcomes:
        if one.entry is not None:
            for point in one.entry.operating_points.values():
                assert f"{one.kind.name} {point.threshold:.4f}" in words


# What may be missing


def test_what_was_not_executed_has_no_figures_and_says_so(
    rendered: Render, material: Material
) -> None:
    text = rendered(outcomes=material.outcomes[3:4])
    page = Page(text)
    assert "No variant has passed the gate." in page.text
    assert "coreml_f16 has no figures, as nothing here executes it." in page.text
    assert "No loss could be measured" in page.text
    assert "nan" not in page.text.lower().split()
    assert UNEXECUTED in page.text


def test_data_without_melanoma_are_judged_on_the_malignant_class(
    run_folder: RunFolder, material: Material, tmp_path: Path
) -> None:
    held = {
        split: Held(part.rows, replace(part.reference, melanoma=None))
        for split, part in material.held.items()
    }
    run = replace(run_folder, run=replace(run_folder.run, melanoma=None))
    one = outcome("tflite_f32", held, 0.0, size=9)
    bundle = packed(run, replace(material, held=held, outcomes=(one,)), tmp_path / "bundle")
    page = Page((bundle.folder / "report.html").read_text("utf-8"))
    assert "malignant AUC" in page.text
    assert "malignant lesion no longer referred" in page.text
    card = (bundle.folder / "MODEL_CARD.md").read_text("utf-8")
    assert "probability of melanoma" not in card
    assert "A missed malignant lesion is worse" in card


# The page as a file


def test_the_page_asks_no_network_and_runs_no_script(text: str) -> None:
    check_self_contained(text)


def test_tags_are_closed_in_the_order_in_which_they_were_opened(text: str) -> None:
    void = {"meta", "img", "br", "path", "use", "circle", "link", "hr", "input", "rect"}
    open_tags: list[str] = []
    for closing, tag in re.findall(r"<(/?)([a-z][a-zA-Z0-9]*)[^>]*?(?<!/)>", text):
        if closing:
            assert open_tags.pop() == tag
        elif tag not in void:
            open_tags.append(tag)
    assert open_tags == []


def test_every_plot_has_words_for_those_who_do_not_see_it(text: str) -> None:
    page = Page(text)
    labelled = [a for tag, a in page.tags if tag == "div" and a.get("role") == "img"]
    assert len(labelled) == len(page.all("svg")) == 6
    assert all(found.get("alt") for found in page.all("img"))


def evil_run(run: RunFolder) -> RunFolder:
    record = run.run
    return replace(
        run,
        run=replace(
            record,
            name=EVIL,
            weights=EVIL,
            labels=tuple(replace(label, name=f"{EVIL}{label.code}") for label in record.labels),
            data=replace(
                record.data, name=EVIL, description=EVIL, citation=f"{EVIL} | a", licence=EVIL
            ),
        ),
    )


def test_names_and_reasons_are_escaped_in_the_page_and_in_the_card(
    run_folder: RunFolder, material: Material, tmp_path: Path
) -> None:
    run = evil_run(run_folder)
    held = {
        split: Held(part.rows, replace(part.reference, labels=run.run.labels))
        for split, part in material.held.items()
    }
    first = outcome("tflite_int8", held, 1.0, size=9, kept=True)
    assert first.entry is not None
    rung = replace(first.rungs[0], reason=EVIL, float_layers=(EVIL,))
    first = replace(
        first, because=EVIL, rungs=(rung, rung), layer_errors=(LayerError(EVIL, EVIL, 1.0),),
        entry=replace(first.entry, reason=EVIL, float_layers=(EVIL,)),
    )  # fmt: skip
    rows = tuple(
        replace(row, image_id=f"{EVIL}{at}", lesion_id=f"{EVIL}{row.lesion_id}")
        for at, row in enumerate(material.images.rows)
    )
    changed = replace(
        material, held=held, images=replace(material.images, rows=rows),
        outcomes=(first, Outcome(VARIANTS["onnx_f16"], None, reason=EVIL)),
    )  # fmt: skip
    bundle = packed(run, changed, tmp_path / "bundle")
    for name in ("report.html", "MODEL_CARD.md"):
        text = (bundle.folder / name).read_text("utf-8")
        assert "<script" not in text
        assert "&lt;script&gt;" in text
    assert Page((bundle.folder / "report.html").read_text("utf-8")).all("script") == []


def test_generated_images_are_said_loudly_and_those_of_patients_are_guarded(
    text: str, rendered: Render, run_folder: RunFolder, by_hand: Bundle, material: Material
) -> None:
    assert "none of these figures says anything about patients" in Page(text).text
    source = replace(by_hand.manifest.source, generated=False, data="HAM10000")
    manifest = replace(by_hand.manifest, source=source)
    page = Page(render_report(manifest, run_folder, material, pictures=True))
    assert "Generated images" not in page.text
    assert "share it only with those who may see them" in page.text


# The bundle


def test_report_and_card_are_listed_with_their_digests(by_hand: Bundle) -> None:
    listed = {entry.file: entry.sha256 for entry in by_hand.manifest.other_files}
    assert set(listed) == {"labels.txt", "trained_on.txt", "MODEL_CARD.md", "report.html"}
    for name, digest in listed.items():
        assert sha256((by_hand.folder / name).read_bytes()) == digest


def test_bundle_holds_what_was_kept_in_the_order_that_devices_prefer(by_hand: Bundle) -> None:
    names = [variant.name for variant in by_hand.manifest.variants]
    assert names == ["tflite_int8", "tflite_f32", "coreml_f16"]
    assert not (by_hand.folder / "onnx_int8.onnx").exists()
    assert (by_hand.folder / "tflite_int8.tflite").read_bytes() == b"tflite_int8"


def test_files_of_the_bundle_are_in_the_report_with_their_digests(
    text: str, by_hand: Bundle
) -> None:
    words = section(text, "files")
    manifest = by_hand.manifest
    for entry in (*manifest.variants, *manifest.golden_inputs, *manifest.other_files):
        if entry.file != "report.html":
            assert f"{entry.file} {entry.sha256}" in words


def test_a_bundle_without_pictures_says_so(
    run_folder: RunFolder, material: Material, tmp_path: Path
) -> None:
    bundle = packed(run_folder, material, tmp_path / "bundle", pictures=False)
    text = (bundle.folder / "report.html").read_text("utf-8")
    assert Page(text).all("img") == []


def test_a_real_conversion_reports_every_variant_that_it_tried(bundle: Path) -> None:
    record = json.loads((bundle / "manifest.json").read_text("utf-8"))
    page = Page((bundle / "report.html").read_text("utf-8"))
    card = (bundle / "MODEL_CARD.md").read_text("utf-8")
    for variant in record["variants"]:
        assert variant["reason"] in page.text
        assert f"| `{variant['name']}` |" in card
        assert variant["sha256"] in page.text
    for image in record["gate"]["calibration_images"]:
        assert image in page.text


# Plots


def test_marks_on_one_spot_are_drawn_side_by_side_and_others_stay() -> None:
    places = np.array([0.0, 0.0, 0.0, 2.0, 5.0])
    moved = apart(places)
    assert np.diff(moved).min() > 0.3
    assert moved[:3].mean() == pytest.approx(0)
    assert moved[3:].tolist() == [2.0, 5.0]
    assert apart(np.array([1.0])).tolist() == [1.0]
