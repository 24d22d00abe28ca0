"""The bundle's report and model card: what was measured, what was tried, and what nobody knows."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.card import INTENDED_USE, model_card
from convert.evidence import Held, Images
from convert.gate.judge import Margins, judge
from convert.golden import golden_images
from convert.outcome import Material, Options, Outcome, Rung
from convert.packing import pack
from convert.report import render_report
from convert.report.choice import choices
from convert.report.disagreements import (
    ALARM,
    CLEARED,
    FOUND,
    LOST,
    LOST_OTHER,
    OTHER_CLASS,
    disagreements,
    kinds,
)
from convert.report.parts import Parts, parts_of_test
from convert.report.plots import apart
from convert.trial import HEADLINE
from convert.variants import VARIANTS, LayerError
from edge_runtime._files import sha256
from edge_runtime.bundle import Bundle
from edge_runtime.manifest import Gate, Label, Manifest, Metric, OperatingPoint, Variant
from tests.page import Page
from train.config import IMPORTED
from train.evaluation.subgroups import Subgroup
from train.importing.record import Imported, format_import
from train.metrics import Predictions, evaluate, operating_points
from train.report.evidence import read_answers
from train.run import RunFolder

EVIL = "<script>alert(1)</script>"
UNEXECUTED = "no runtime here can execute coreml files"
LAYERS = tuple(
    LayerError(
        f"stage{place}_conv + stage{place}_bn (conv_2d)", f"model/stage{place};1", error,
        effect=0.05 / (1 + place),
    )
    for place, error in enumerate([0.61, 4.25, *(0.29 + 0.001 * k for k in range(28, 0, -1))])
)  # fmt: skip


# Material by hand: the run's real answers, disturbed


def disturbed(answers: Predictions, noise: float, seed: int = 0) -> Predictions:
    """The same answers with noise on the logits."""
    rng = np.random.default_rng(seed)
    logits = np.log(np.clip(answers.probabilities, 1e-6, 1)) + noise * rng.normal(
        size=answers.probabilities.shape
    )
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return replace(answers, probabilities=probabilities)


def outcome(
    name: str, held: dict[str, Held], noise: float, *, size: int, speed: float = 1.0,
    kept: bool | None = None, threshold: float = 0.5,
) -> Outcome:  # fmt: skip
    """A variant that answers with noise, judged and measured as a conversion does it."""
    kind = VARIANTS[name]
    answers = {split: disturbed(part.reference, noise) for split, part in held.items()}
    points = operating_points(answers["val"], 0.9)
    judged = {
        split: judge(part.reference, answers[split], threshold, Margins(), bootstrap=0)
        for split, part in held.items()
    }
    measured = {
        split: evaluate(part, points, bootstrap=0, seed=0) for split, part in answers.items()
    }
    entry = Variant(
        name=name, file=kind.file, bytes=size, sha256=sha256(name.encode()), format=kind.format,
        quantization=kind.quantization, operating_points=points,
        golden=((0.2, 0.3, 0.5), (0.5, 0.3, 0.2)), golden_tolerance=kind.tolerance,
        metrics={
            split: {
                key: Metric(metric.value, metric.value - 0.02, metric.value + 0.02)
                for key, metric in metrics.items()
                if key in HEADLINE
            }
            for split, metrics in measured.items()
        },
        difference={split: judgement.difference for split, judgement in judged.items()},
        verdict=judged["val"].verdict, reason=judged["val"].reason,
    )  # fmt: skip
    rung = Rung((), size, speed, entry.verdict, entry.reason, judged["val"].difference)
    passed = entry.verdict == "pass"
    return Outcome(
        kind, entry, name.encode(), median_ms=speed, kept=passed if kept is None else kept,
        answers=answers, rungs=(rung,),
    )  # fmt: skip


def unexecuted(run: RunFolder) -> Outcome:
    kind = VARIANTS["coreml_f16"]
    entry = Variant(
        name=kind.name, file=kind.file, bytes=70_001, sha256=sha256(b"coreml"), format="coreml",
        quantization=kind.quantization, operating_points=run.run.operating_points,
        golden=((0.2, 0.3, 0.5), (0.5, 0.3, 0.2)), golden_tolerance=kind.tolerance,
        metrics={"val": {}, "test": {}}, difference={"val": {}, "test": {}},
        verdict="cannot judge", reason=UNEXECUTED,
    )  # fmt: skip
    return Outcome(kind, entry, b"coreml", median_ms=math.nan, kept=True)


@pytest.fixture(scope="module")
def held(run_folder: RunFolder) -> dict[str, Held]:
    rows = run_folder.rows()
    return {
        split: Held(
            np.array([at for at, row in enumerate(rows) if row.split == split]),
            read_answers(run_folder, split).predictions,
        )
        for split in ("val", "test")
    }


@pytest.fixture(scope="module")
def material(run_folder: RunFolder, held: dict[str, Held], generated: Path) -> Material:
    """Five fates: taken as it is, repaired, failed, not executed, not made."""
    rows = run_folder.rows()
    rng = np.random.default_rng(0)
    tensors = rng.integers(0, 256, (len(rows), 16, 16, 3), np.uint8).repeat(2, 1).repeat(2, 2)
    images = Images(tensors, rows, tuple(generated / row.file for row in rows))
    repaired = outcome("tflite_int8", held, 0.05, size=50_002, speed=0.25)
    assert repaired.entry is not None
    layers = tuple(error.layer for error in LAYERS[:2])
    first = replace(
        repaired.rungs[0], bytes=49_003, verdict="fail", reason="AUC loss 0.0340 the first time",
        difference={"melanoma_auc": Metric(0.034, 0.02, 0.048)},
    )  # fmt: skip
    second = replace(repaired.rungs[0], float_layers=layers)
    repaired = replace(
        repaired, rungs=(first, second), layer_errors=LAYERS,
        entry=replace(repaired.entry, float_layers=layers),
    )  # fmt: skip
    outcomes = (
        outcome("tflite_f32", held, 0.0, size=200_004, speed=2.5),
        repaired,
        outcome("onnx_int8", held, 3.0, size=40_005, speed=0.125),
        unexecuted(run_folder),
        Outcome(
            VARIANTS["tflite_int16x8"], None, reason="this format has no hard-swish",
            because="onnx_int8 did not pass",
        ),
    )  # fmt: skip
    assert [one.entry.verdict if one.entry else "" for one in outcomes] == [
        "pass", "pass", "fail", "cannot judge", "",
    ]  # fmt: skip
    calibration = tuple(at for at, row in enumerate(rows) if row.split == "train")[:40]
    return Material(outcomes, held, images, calibration)


def gate_of(material: Material) -> Gate:
    reference = material.held["val"].reference
    positive = reference.positive("melanoma")
    ids = tuple(material.images.rows[at].image_id for at in material.calibration)
    lesions = len(set(reference.groups[positive].tolist()))
    return Gate("val", len(positive), int(positive.sum()), lesions, 0.01, 0.05, 0.95, ids)


def packed(run: RunFolder, material: Material, out: Path, *, pictures: bool = True) -> Bundle:
    options = Options(name="by-hand", bootstrap=0, seed=5, pictures=pictures)
    pack(out, run, material, golden_images(run.run.input.size), gate_of(material), options)
    return Bundle.open(out)


@pytest.fixture(scope="module")
def by_hand(
    run_folder: RunFolder, material: Material, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    return packed(run_folder, material, tmp_path_factory.mktemp("by_hand") / "bundle")


@pytest.fixture(scope="module")
def text(by_hand: Bundle) -> str:
    return (by_hand.folder / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def card(by_hand: Bundle) -> str:
    return (by_hand.folder / "MODEL_CARD.md").read_text("utf-8")


Render = Callable[..., str]


@pytest.fixture
def rendered(run_folder: RunFolder, material: Material, by_hand: Bundle) -> Render:
    """The page of changed material."""

    def render(pictures: bool = True, run: RunFolder = run_folder, **changes: object) -> str:
        changed = replace(material, **changes)  # type: ignore[arg-type]
        return render_report(by_hand.manifest, run, changed, pictures=pictures)

    return render


def section(text: str, name: str) -> str:
    """The words of one section."""
    return Page(source(text, name)).text


def source(text: str, name: str) -> str:
    return text[text.index(f'<section id="{name}"') :].split("</section>")[0]


# The report


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
        assert f"{rung.bytes:,}" in words
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


# Disagreements

LABELS = (Label("bkl", "keratosis", False), Label("mel", "melanoma", True),
          Label("scc", "carcinoma", True))  # fmt: skip
POINTS = {
    "melanoma": OperatingPoint(0.5, 0.9, 0.9, 0.9),
    "malignant": OperatingPoint(0.5, 0.9, 0.9, 0.9),
}


def answers(rows: list[list[float]], truth: list[int]) -> Predictions:
    groups = np.array([str(at) for at in range(len(rows))])
    return Predictions(np.array(rows, np.float32), np.array(truth), groups, LABELS, "mel")


@pytest.mark.parametrize(
    ("truth", "before", "after", "kind"),
    [
        (1, [0.4, 0.6, 0.0], [0.6, 0.4, 0.0], LOST),
        (2, [0.4, 0.0, 0.6], [0.6, 0.0, 0.4], LOST_OTHER),
        (1, [0.6, 0.4, 0.0], [0.4, 0.6, 0.0], FOUND),
        (2, [0.6, 0.0, 0.4], [0.4, 0.0, 0.6], FOUND),
        (0, [0.6, 0.4, 0.0], [0.4, 0.6, 0.0], ALARM),
        (0, [0.4, 0.6, 0.0], [0.6, 0.4, 0.0], CLEARED),
        (1, [0.4, 0.6, 0.0], [0.4, 0.0, 0.6], OTHER_CLASS),  # still referred, as malignant
        (1, [0.4, 0.6, 0.0], [0.45, 0.55, 0.0], -1),
    ],
)  # fmt: skip
def test_kinds_of_disagreement_follow_the_devices_decision(
    truth: int, before: list[float], after: list[float], kind: int
) -> None:
    found = kinds(answers([before], [truth]), POINTS, answers([after], [truth]), POINTS)
    assert found.tolist() == [kind]


def test_each_model_decides_by_its_own_operating_points() -> None:
    one = answers([[0.4, 0.6, 0.0]], [1])
    higher = {name: replace(point, threshold=0.7) for name, point in POINTS.items()}
    assert kinds(one, POINTS, one, higher).tolist() == [LOST]


def test_lost_melanomas_come_first_and_are_of_validation(
    run_folder: RunFolder, material: Material, text: str
) -> None:
    kept = replace(material, outcomes=(replace(material.outcomes[2], kept=True),))
    found = disagreements(kept, run_folder, "val")
    assert [one.kind for one in found] == sorted(one.kind for one in found)
    assert found[0].kind == LOST
    assert found[0].truth == "melanoma"
    assert found[0].keras.referred
    assert not found[0].variants[0].referred
    split = {row.image_id: row.split for row in material.images.rows}
    assert {split[one.image_id] for one in found} == {"val"}


def test_test_images_are_counted_and_none_is_shown(
    rendered: Render, material: Material, run_folder: RunFolder
) -> None:
    failing = replace(material.outcomes[2], kept=True)
    page = rendered(outcomes=(failing,))
    words = section(page, "disagreements")
    test = disagreements(replace(material, outcomes=(failing,)), run_folder, "test")
    assert test
    assert f" {len(test)} " in words[words.index("Test,") :]
    assert not [one.image_id for one in test if re.search(rf"\b{one.image_id}\b", words)]


def test_pictures_are_the_squares_that_the_model_sees(
    rendered: Render, material: Material, run_folder: RunFolder
) -> None:
    failing = replace(material.outcomes[2], kept=True)
    page = Page(rendered(outcomes=(failing,)))
    found = disagreements(replace(material, outcomes=(failing,)), run_folder, "val")
    assert len(page.photographs) == 24 < len(found)
    assert f"The gravest 24 of {len(found)} validation images" in page.text
    shown = page.photographs[0]
    assert shown["alt"] == f"{found[0].truth}, {found[0].image_id}"
    content = base64.b64decode(shown["src"].partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(content)), np.float64)
    tensor = material.images.tensors[found[0].index]
    assert pixels.shape == tensor.shape
    assert np.abs(pixels - tensor).mean() < 40  # noise as JPEG keeps it; another image has 85
    others = [np.abs(pixels - other).mean() for other in material.images.tensors[:20]]
    assert np.abs(pixels - tensor).mean() < 0.7 * min(others)


def test_without_pictures_no_photograph_is_embedded_and_ids_remain(
    rendered: Render, material: Material, run_folder: RunFolder
) -> None:
    failing = replace(material.outcomes[2], kept=True)
    text = rendered(pictures=False, outcomes=(failing,))
    page = Page(text)
    assert page.all("img") == []
    assert "data:image" not in text
    found = disagreements(replace(material, outcomes=(failing,)), run_folder, "val")
    assert all(one.image_id in page.text for one in found[:24])
    assert "leaves out all photographs" in page.text
    assert "<svg" in text


def test_agreement_on_every_image_is_said(rendered: Render, material: Material) -> None:
    words = section(rendered(outcomes=material.outcomes[:1]), "disagreements")
    assert "No validation image" in words


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
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {
        "script", "link", "iframe", "object", "embed", "base", "form", "foreignobject",
    }  # fmt: skip
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name == "src":
                assert value.startswith("data:image/jpeg;base64,")
            if name in ("href", "xlink:href"):
                assert value.startswith("#")
    assert "http:" not in text
    assert "https:" not in text
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a[name][1:] for _, a in page.tags for name in ("href", "xlink:href") if name in a}
    assert links | set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)


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


# The model card

SECTIONS = (
    "Model details", "Intended use", "Out-of-scope use", "Factors", "Metrics", "Evaluation data",
    "Training data", "Quantitative analyses", "Ethical considerations",
    "Caveats and recommendations", "How to feed it", "Licence and citation",
)  # fmt: skip


def test_the_card_has_the_sections_of_mitchell_and_others(card: str) -> None:
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == list(SECTIONS)
    assert INTENDED_USE in card
    assert "diagnos" not in card.lower()
    assert "generated images" in card


def test_the_card_gives_figures_with_intervals_for_every_variant_in_the_bundle(
    card: str, material: Material
) -> None:
    for one in material.outcomes:
        if not one.kept:
            assert f"`{one.kind.name}` is not in the bundle" in card
            continue
        assert one.entry is not None
        for split in ("val", "test"):
            for name, metric in one.entry.metrics[split].items():
                if name in ("melanoma_auc", "melanoma_sensitivity", "balanced_accuracy"):
                    assert f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})" in card
    assert f"`coreml_f16` has no figures: {UNEXECUTED}." in card


def test_the_tables_of_the_card_have_as_many_cells_as_heads(card: str) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
        counts = {line.count("|") for line in table.splitlines()}
        assert len(counts) == 1, table


def test_the_card_tells_an_app_builder_how_to_feed_it(card: str, run_folder: RunFolder) -> None:
    size = run_folder.run.input.size
    part = card[card.index("## How to feed it") :]
    for said in (
        "left = (width - side) // 2", f"{size} x {size} pixels", f"(1, {size}, {size}, 3), RGB",
        "Do not normalise", "`labels.txt`", "golden/0.png",
    ):  # fmt: skip
        assert said in part


def test_the_card_counts_the_melanomas_that_are_missed(card: str, material: Material) -> None:
    repaired = material.outcomes[1]
    assert repaired.entry is not None
    test, point = repaired.answers["test"], repaired.entry.operating_points["melanoma"]
    positive = test.positive("melanoma")
    missed = int((positive & (test.scores("melanoma") < point.threshold)).sum())
    assert f"tflite_int8 at its operating point misses {missed} of {int(positive.sum())}" in card


def test_parts_are_those_of_the_variant_that_devices_prefer(
    material: Material, run_folder: RunFolder
) -> None:
    parts = parts_of_test(material, run_folder, bootstrap=0, seed=0)
    assert parts.model == "tflite_int8"
    (whole,) = [group for group in parts.groups if group.attribute == "resolution"]
    assert material.outcomes[1].entry is not None
    measured = material.outcomes[1].entry.metrics["test"]["melanoma_auc"]
    assert whole.metrics["melanoma_auc"].value == pytest.approx(measured.value)
    alone = replace(material, outcomes=material.outcomes[3:4])
    assert parts_of_test(alone, run_folder, bootstrap=0, seed=0).model == "Keras model"


def card_of(run: RunFolder, material: Material, manifest: Manifest, parts: Parts) -> str:
    return model_card(manifest, run, material, parts, pictures=True)


def test_the_card_says_what_the_data_does_not_know_of_skin(
    run_folder: RunFolder, material: Material, by_hand: Bundle
) -> None:
    source = replace(by_hand.manifest.source, generated=False, data="HAM10000",
                     licence="CC-BY-NC-4.0")  # fmt: skip
    manifest = replace(by_hand.manifest, source=source)
    group = Subgroup("sex", "female", 80, 30, {"melanoma_auc": Metric(0.8, 0.7, 0.9)})
    parts = Parts("tflite_int8", (group,), ("a note",), ("sex",), (), 3, 30)
    card = card_of(run_folder, material, manifest, parts)
    assert "The data does not give anybody's skin type or origin" in card
    assert "The data does not give age, site." in card
    assert "| sex: female | 80 | 30 | 0.800 (0.700 to 0.900) | - | - |" in card
    assert "Note: a note." in card
    assert "Commercial use: the licence" in card
    assert "generated images" not in card.lower()
    known = replace(parts, skin_types=(("I", 7), ("V", 2)))
    card = card_of(run_folder, material, manifest, known)
    assert "The data gives skin types: I 7, V 2 images" in card


def test_what_an_imported_model_was_trained_on_is_not_claimed(
    run_folder: RunFolder, material: Material, by_hand: Bundle, tmp_path: Path
) -> None:
    known = Imported(
        schema_version=1, file="theirs.keras", sha256="0" * 64, ending="a softmax",
        normalisation="x / 255", declared=True, checked_on=9, tried={}, difference=0.0,
        trained_on=f"nothing is known {EVIL}", accepted="another rule fits better",
    )  # fmt: skip
    (tmp_path / "import.json").write_text(format_import(known), encoding="utf-8")
    config = replace(run_folder.run.config, arch=IMPORTED)
    run = RunFolder(tmp_path, replace(run_folder.run, config=config, best_epoch=0))
    for name in run_folder.run.files:
        shutil.copy(run_folder.folder / name, tmp_path / name)
    parts = Parts("tflite_int8", (), (), (), (), 3, 30)
    card = card_of(run, material, by_hand.manifest, parts)
    assert "What the model has seen in training is not known to this program: nothing is" in card
    assert "Imported against what the check found: another rule fits better." in card
    assert "<script" not in card
    assert "learning rate" not in card
    page = Page(render_report(by_hand.manifest, run, material, pictures=False))
    assert "trained elsewhere, checked on generated images" in page.text


def test_skin_types_are_read_from_the_data_where_it_gives_them(
    run_folder: RunFolder, material: Material
) -> None:
    rows = tuple(
        replace(row, attributes={"fitzpatrick_skin_type": "V" if at == 0 else "I"})
        for at, row in enumerate(material.images.rows)
    )
    changed = replace(material, images=replace(material.images, rows=rows))
    parts = parts_of_test(changed, run_folder, bootstrap=0, seed=0)
    assert parts.skin_types == (("I", len(rows) - 1), ("V", 1))


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
