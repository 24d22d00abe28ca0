"""Images that a worker on another machine finds again."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from edge_runtime.errors import DataNotFoundError
from train.data.table import read_data
from train.pieces.place import Placed, place
from train.synthetic import write_dataset


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shelf") / "few"
    return write_dataset(folder, lesions={"mel": 4, "nv": 4}, width=48, height=36, processes=1)


def sent(placed: Placed) -> Placed:
    """As another process gets it."""
    received: Placed = pickle.loads(pickle.dumps(placed))
    return received


def test_images_are_found_at_the_same_path(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DERMEDGE_DATA", raising=False)
    monkeypatch.chdir(images.parent)
    placed = sent(place(read_data("few")))
    monkeypatch.chdir("/")
    assert placed.here() == read_data(images)


def test_images_are_found_on_the_shelf_of_the_worker(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMEDGE_DATA", str(images.parent))
    placed = sent(place(read_data(images)))
    there = Path(shutil.copytree(images, tmp_path / "other" / "few"))
    monkeypatch.setenv("DERMEDGE_DATA", str(there.parent))
    assert placed.here() == read_data(there)


def test_images_that_are_not_there_are_refused_with_the_place(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMEDGE_DATA", str(images.parent))
    placed = sent(place(read_data(images)))
    monkeypatch.setenv("DERMEDGE_DATA", str(tmp_path))
    with pytest.raises(DataNotFoundError, match=f"has no {tmp_path / 'few'}; put the images"):
        placed.here()
