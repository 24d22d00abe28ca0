from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convert.evidence import Held, Images
from convert.outcome import Material, Outcome
from convert.report import render_report
from convert.variants import VARIANTS
from edge_runtime.bundle import Bundle
from edge_runtime.manifest import Metric
from tests.convert.report.material import (
    LAYERS,
    Render,
    outcome,
    packed,
    unexecuted,
)
from train.report.evidence import read_answers
from train.run import RunFolder


@pytest.fixture(scope="session")
def held(run_folder: RunFolder) -> dict[str, Held]:
    rows = run_folder.rows()
    return {
        split: Held(
            np.array([at for at, row in enumerate(rows) if row.split == split]),
            read_answers(run_folder, split).predictions,
        )
        for split in ("val", "test")
    }


@pytest.fixture(scope="session")
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
        repaired.rungs[0], model=bytes(49_003), verdict="fail",
        reason="AUC loss 0.0340 the first time",
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


@pytest.fixture(scope="session")
def by_hand(
    run_folder: RunFolder, material: Material, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    return packed(run_folder, material, tmp_path_factory.mktemp("by_hand") / "bundle")


@pytest.fixture(scope="session")
def text(by_hand: Bundle) -> str:
    return (by_hand.folder / "report.html").read_text("utf-8")


@pytest.fixture(scope="session")
def card(by_hand: Bundle) -> str:
    return (by_hand.folder / "MODEL_CARD.md").read_text("utf-8")


@pytest.fixture
def rendered(run_folder: RunFolder, material: Material, by_hand: Bundle) -> Render:
    """The page of changed material."""

    def render(pictures: bool = True, run: RunFolder = run_folder, **changes: object) -> str:
        changed = replace(material, **changes)  # type: ignore[arg-type]
        return render_report(by_hand.manifest, run, changed, pictures=pictures)

    return render
