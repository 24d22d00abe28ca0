"""The model card."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from convert.card import INTENDED_USE, model_card
from convert.outcome import Material
from convert.report import render_report
from convert.report.parts import Parts, parts_of_test
from edge_runtime.bundle import Bundle
from edge_runtime.manifest import Manifest, Metric
from tests.convert.report.material import (
    EVIL,
    UNEXECUTED,
)
from tests.page import Page
from train.config import IMPORTED
from train.data.split import group_name
from train.evaluation.subgroups import Subgroup
from train.importing.record import Imported, format_import
from train.run import RunFolder

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
    malignant = repaired.entry.operating_points["malignant"]
    overlooked = positive & (test.scores("melanoma") < point.threshold) & (
        test.scores("malignant") < malignant.threshold
    )  # fmt: skip
    assert f"either of its thresholds is reached, misses {int(overlooked.sum())}," in card


def test_the_card_names_the_collection_that_a_part_is_from(
    run_folder: RunFolder, material: Material, by_hand: Bundle, card: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert "all from" not in card
    rows = [
        replace(row, attributes={
            "data_set": "other" if row.split == "train" and number % 2 else "ham"
        })
        for number, row in enumerate(run_folder.rows())
    ]  # fmt: skip
    monkeypatch.setattr(RunFolder, "rows", lambda _: rows)
    parts = Parts("tflite_int8", (), (), (), (), 3, 1, 30)
    text = card_of(run_folder, material, by_hand.manifest, parts)
    assert text.count("lesions, all from ham, which") == 2
    assert text.count("all from") == 2


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


def test_the_card_does_not_call_groups_of_like_pictures_lesions(
    run_folder: RunFolder, material: Material, by_hand: Bundle, card: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert "No lesion is on two sides" in card
    rows = run_folder.rows()
    training = sorted({row.lesion_id for row in rows if row.split == "train"})
    half = set(training[: len(training) // 2])
    made = [
        replace(row, lesion_id=group_name(training.index(row.lesion_id)))
        if row.lesion_id in half
        else row
        for row in rows
    ]
    monkeypatch.setattr(RunFolder, "rows", lambda _: made)
    parts = Parts("tflite_int8", (), (), (), (), 3, 1, 30)
    text = card_of(run_folder, material, by_hand.manifest, parts)
    images = sum(row.split == "train" for row in rows)
    assert (
        f"{images} images of {len(training) - len(half)} lesions and of {len(half)} unlike "
        "photographs whose lesions are not known."
    ) in text
    assert "No lesion is known to be on two sides" in text


def test_the_card_says_what_the_data_does_not_know_of_skin(
    run_folder: RunFolder, material: Material, by_hand: Bundle
) -> None:
    source = replace(by_hand.manifest.source, generated=False, data="HAM10000",
                     licence="CC-BY-NC-4.0")  # fmt: skip
    manifest = replace(by_hand.manifest, source=source)
    group = Subgroup("sex", "female", 80, 30, {"melanoma_auc": Metric(0.8, 0.7, 0.9)})
    parts = Parts("tflite_int8", (group,), ("a note",), ("sex",), (), 3, 1, 30)
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


def test_the_card_holds_the_remarks_as_they_are(
    run_folder: RunFolder, material: Material, by_hand: Bundle
) -> None:
    parts = parts_of_test(material, run_folder, bootstrap=0, seed=0)
    remarks = "Others:\n\n| a | b |\n| --- | --- |\n| <1 | 2 & 3 |\n"
    manifest = by_hand.manifest
    card = model_card(manifest, run_folder, material, parts, pictures=True, remarks=remarks)
    assert f"## Remarks\n\n{remarks}\n## Ethical considerations" in card
    assert "## Remarks" not in model_card(manifest, run_folder, material, parts, pictures=True)


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
    parts = Parts("tflite_int8", (), (), (), (), 3, 1, 30)
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
