"""The photographs on which the checks are measured: where they come from, and how they are cut."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from convert.checks.photographs import SEEN_SOURCES, Others, Photograph, cut, read_list
from edge_runtime._files import sha256
from edge_runtime.errors import DataError
from edge_runtime.preprocess import InputRule
from train.synthetic import render


def picture(number: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(render("nv", number, width=80, height=40)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A wheel, and an archive as npm and PyPI have them, with a picture in each."""
    folder = tmp_path / "packages"
    folder.mkdir()
    with zipfile.ZipFile(folder / "sklearn-1.whl", "w") as wheel:
        wheel.writestr("images/a.png", picture(1))
    with tarfile.open(folder / "gallery-2.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("./package/b.png")
        member.size = len(picture(2))
        archive.addfile(member, io.BytesIO(picture(2)))
    return folder


def listed() -> list[Photograph]:
    return [
        Photograph("sklearn__000", "sklearn-1.whl", "images/a.png", sha256(picture(1))),
        Photograph("gallery__000", "gallery-2.tgz", "package/b.png", sha256(picture(2))),
    ]


def test_photographs_are_cut_whole_and_in_halves(packages: Path, tmp_path: Path):
    cut(listed(), packages, tmp_path / "out")
    others = Others.read(tmp_path / "out", InputRule(32))
    assert others.tensors.shape == (6, 32, 32, 3)
    assert Counter(others.photographs.tolist()) == {"gallery__000": 3, "sklearn__000": 3}
    assert others.photographs[others.whole].tolist() == ["gallery__000", "sklearn__000"]
    assert set(others.photographs[others.seen].tolist()) == {"sklearn__000"}
    sizes = {file.stem[-1]: Image.open(file).size for file in (tmp_path / "out").iterdir()}
    assert sizes == {"w": (80, 40), "a": (40, 40), "b": (40, 40)}


def test_another_picture_in_the_place_of_one_is_refused(packages: Path, tmp_path: Path):
    other = Photograph("gallery__000", "gallery-2.tgz", "package/b.png", sha256(picture(3)))
    with pytest.raises(DataError, match=r"package/b\.png in gallery-2\.tgz is not"):
        cut([other], packages, tmp_path / "out")


def test_package_that_lacks_a_photograph_is_refused(packages: Path, tmp_path: Path):
    missing = Photograph("sklearn__001", "sklearn-1.whl", "images/z.png", "0" * 64)
    with pytest.raises(DataError, match=r"sklearn-1\.whl lacks images/z\.png"):
        cut([missing], packages, tmp_path / "out")


def test_more_than_300_photographs_are_listed_once_each_most_of_unseen_sources():
    photographs = read_list()
    assert len({one.sha256 for one in photographs}) == len(photographs) >= 300
    assert len({one.name for one in photographs}) == len(photographs)
    sources = [one.name.partition("__")[0] for one in photographs]
    assert set(sources) > SEEN_SOURCES
    assert sum(source not in SEEN_SOURCES for source in sources) >= 300
