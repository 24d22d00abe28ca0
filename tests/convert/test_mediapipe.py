"""A model file from the bundle, alone, in MediaPipe Tasks' ImageClassifier.

Run by `make test-mediapipe`, which makes an environment for MediaPipe and names its Python in
DERMEDGE_MEDIAPIPE; skipped, with the reason, where that is not set.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.variants import VARIANTS
from edge_runtime import Classifier
from edge_runtime.preprocess import load_input
from train.run import RunFolder

PYTHON = os.environ.get("DERMEDGE_MEDIAPIPE")
CLIENT = Path(__file__).with_name("mediapipe_client.py")
TFLITE = [name for name, kind in VARIANTS.items() if kind.format == "tflite"]
TOLERANCE = 1e-4
"""Between two builds of the same interpreter: rounding, and no more."""

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="no MediaPipe: DERMEDGE_MEDIAPIPE does not name a Python that has it"
)


@pytest.fixture(scope="module")
def squares(run_folder: RunFolder, generated: Path) -> NDArray[np.uint8]:
    """The test part's images as the device hands them to the model."""
    files = [generated / row.file for row in run_folder.rows() if row.split == "test"]
    return np.stack([load_input(file, run_folder.run.input) for file in files])


def answers_of_client(model: Path, squares: NDArray[np.uint8], folder: Path) -> list[Any]:
    """What the client prints, in a folder where nothing of the bundle lies."""
    np.save(folder / "squares.npy", squares)
    alone = folder / "model.tflite"
    alone.write_bytes(model.read_bytes())
    assert PYTHON is not None
    done = subprocess.run(
        [os.path.abspath(PYTHON), str(CLIENT), "squares.npy", "model.tflite"],
        capture_output=True, text=True, cwd=folder, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", TFLITE)
def test_mediapipe_answers_as_the_device_on_every_test_image(
    name: str, bundle: Path, squares: NDArray[np.uint8], tmp_path: Path
) -> None:
    classifier = Classifier.open(bundle, name)
    labels = classifier.bundle.manifest.labels
    names = {label.code: label.name for label in labels}
    expected = np.stack([classifier.probabilities(square) for square in squares])
    answers = answers_of_client(bundle / VARIANTS[name].file, squares, tmp_path)
    found = np.array([[answer["scores"][code] for code in names] for answer in answers])
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    codes = [answer["category"] for answer in answers]
    assert codes == [labels[index].code for index in expected.argmax(axis=1)]
    assert [answer["display_name"] for answer in answers] == [names[code] for code in codes]
    assert len(set(codes)) == len(labels)  # the images tell a working model from a stuck one
    assert len(codes) > 100
