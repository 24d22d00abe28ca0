"""Generated pictures to audit, and the verb run as its user runs it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.commands import audit as verb
from train.synthetic import LABELS, render

Draw = Callable[..., Image.Image]
Audited = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="session")
def draw() -> Draw:
    """``draw(seed)``: a lesion of its own for every seed, cached."""
    made: dict[tuple[int, int], Image.Image] = {}

    def one(seed: int, view: int = 0) -> Image.Image:
        if (seed, view) not in made:
            label = sorted(LABELS)[seed % len(LABELS)]
            pixels = render(label, seed, view=view, width=200, height=150)
            made[seed, view] = Image.fromarray(np.asarray(pixels))
        return made[seed, view].copy()

    return one


@pytest.fixture
def folders(tmp_path: Path, draw: Draw) -> Path:
    """A clean folder of class folders: mel and nv, train and test, six different pictures each."""
    for index, (side, label) in enumerate(
        (side, label) for side in ("Train", "Test") for label in ("mel", "nv")
    ):
        folder = tmp_path / "data" / side / label
        folder.mkdir(parents=True)
        for number in range(6):
            draw(6 * index + number).save(folder / f"{index}{number}.jpg", quality=95)
    return tmp_path / "data"


@pytest.fixture
def run_audit(capsys: pytest.CaptureFixture[str]) -> Audited:
    """``run_audit(words...)``: exit status, and what ``--json`` printed."""

    def run(*words: object) -> tuple[int, dict[str, Any]]:
        parser = argparse.ArgumentParser()
        verb.add_arguments(parser)
        status = verb.run(parser.parse_args([*map(str, words), "--json"]))
        return status, json.loads(capsys.readouterr().out.splitlines()[-1])

    return run
