"""The world of the gate's simulation, and what docs/gate.md says of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from convert.gate.judge import Margins
from convert.gate.simulated import CASES, Case, photographs, true_losses
from convert.gate.simulation import DOCUMENT, HAM10000, SETTINGS, judged, main

BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_loses_what_it_says(case: Case) -> None:
    auc, sensitivity = true_losses(case, lesions=50_000)
    assert auc == pytest.approx(case.auc, rel=0.06, abs=0.001)
    assert sensitivity == pytest.approx(case.sensitivity, rel=0.08, abs=0.002)


def test_photographs_are_as_many_as_in_ham10000s_validation_part() -> None:
    given = photographs(np.random.default_rng(0), HAM10000)
    assert (len(given.melanomas), len(set(given.melanoma_lesions))) == (156, 88)
    assert (len(given.others), len(set(given.other_lesions))) == (1373, 1033)


def test_better_model_is_better() -> None:
    from sklearn.metrics import roc_auc_score

    areas = []
    for setting in (HAM10000, SETTINGS[0]):
        given = photographs(np.random.default_rng(0), setting)
        truth = np.arange(1529) < 156
        areas.append(roc_auc_score(truth, np.concatenate([given.melanomas, given.others])))
    assert areas[0] == pytest.approx(0.865, abs=0.03)
    assert areas[1] == pytest.approx(0.92, abs=0.03)


@pytest.mark.parametrize("name", ["identical", "full int8", "5 points as whole lesions"])
def test_document_tells_what_the_gate_does_now(name: str) -> None:
    row = re.search(rf"^\| {name} \|[^|]*\|[^|]*\| ([0-9.]+)% ", DOCUMENT.read_text(), re.MULTILINE)
    assert row, f"{DOCUMENT} has no row for {name}"
    told = float(row[1]) / 100
    rounds = 200
    runs = judged(HAM10000, BY_NAME[name], rounds, seed=1)
    passed = sum(run.losses.verdict(Margins()) == "pass" for run in runs)
    error = np.sqrt(max(told * (1 - told), 0.005) / rounds)
    assert passed / rounds == pytest.approx(told, abs=4 * error)


def test_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "gate.md"
    document.write_text("no markers")
    with pytest.raises(SystemExit, match="has lost its markers"):
        main(["--document", str(document)])
    assert document.read_text() == "no markers"


def test_tables_are_written_between_the_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convert.gate.simulation.CASES", CASES[2:3])
    document = tmp_path / "gate.md"
    document.write_text("before\n<!-- simulation -->\nold\n<!-- /simulation -->\nafter\n")
    main(["--repetitions", "5", "--document", str(document)])
    written = document.read_text()
    assert written.startswith("before\n<!-- simulation -->\n")
    assert written.endswith("\n<!-- /simulation -->\nafter\n")
    assert "old" not in written
    assert "| full int8 | 0.0012 | 0.002 |" in written
