"""Images on which a variant and the Keras model say different things."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from convert.outcome import Material
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
from edge_runtime.manifest import Label, OperatingPoint
from tests.convert.report.material import (
    Render,
    section,
)
from tests.page import Page
from train.metrics import Predictions
from train.run import RunFolder

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
