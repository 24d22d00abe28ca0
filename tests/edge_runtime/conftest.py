from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime import Classifier
from tests.edge_runtime.changing import Document, read_manifest


@pytest.fixture(scope="session")
def document(bundle: Path) -> Document:
    """The parsed manifest of the bundle. Shared: copy before changing."""
    return read_manifest(bundle)


@pytest.fixture(scope="session")
def classifier(bundle: Path) -> Classifier:
    """The bundle's preferred variant."""
    return Classifier.open(bundle)
