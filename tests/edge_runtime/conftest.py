from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime import Classifier
from tests.edge_runtime.changing import Document, read_manifest
from tests.edge_runtime.small import write_small_bundle


@pytest.fixture(scope="session")
def document(bundle: Path) -> Document:
    """The parsed manifest of the bundle. Shared: copy before changing."""
    return read_manifest(bundle)


@pytest.fixture(scope="session")
def classifier(bundle: Path) -> Classifier:
    """The bundle's preferred variant."""
    return Classifier.open(bundle)


@pytest.fixture
def small_bundle(tmp_path: Path) -> Path:
    """A bundle with tiny models that a test may damage; nothing is trained for it."""
    return write_small_bundle(tmp_path / "small")
