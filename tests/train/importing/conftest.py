from __future__ import annotations

from pathlib import Path

import pytest

from tests.train import foreign as elsewhere
from tests.train.importing.asking import (
    CODES,
    QUICK,
)
from train.data.table import Dataset, read_data
from train.data.tensors import digest_files
from train.importing import Source, import_model
from train.run import RunFolder


@pytest.fixture(scope="session")
def data(generated: Path) -> Dataset:
    return read_data(generated)


@pytest.fixture(scope="session")
def digests(data: Dataset) -> list[str]:
    return digest_files([record.file for record in data.records])


@pytest.fixture(scope="session")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("labels") / "labels.txt"
    file.write_text("".join(f"{code}\n" for code in CODES))
    return file


@pytest.fixture(scope="session")
def model_file(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A softmax model of three classes that was trained on bytes divided by 255."""
    from keras import layers

    model = elsewhere.trained(generated, elsewhere.unit)
    file = tmp_path_factory.mktemp("elsewhere") / "elsewhere.keras"
    elsewhere.followed_by(model, layers.Softmax()).save(file)
    return file


@pytest.fixture(scope="session")
def imported(
    model_file: Path, labels: Path, data: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """Its run folder."""
    source = Source(model_file, labels, normalisation="unit")
    return import_model(source, data, tmp_path_factory.mktemp("runs") / "imported", QUICK)
