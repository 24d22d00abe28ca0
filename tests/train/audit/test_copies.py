from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.audit import measure, polar, transforms
from train.audit.copies import compare
from train.audit.findings import Item, same_pictures
from train.audit.measure import Recall
from train.audit.pictures import read_pictures
from train.audit.sources import Source, read_sources
from train.data.table import Record
from train.synthetic import write_dataset


def recall(answers: Iterable[Recall]) -> float:
    answers = list(answers)
    return sum(a.found for a in answers) / sum(a.copies for a in answers)


def pairs_of(files: list[Path]) -> set[tuple[int, int]]:
    """Pairs that are called the same picture where no lesion is known."""
    pictures = read_pictures(files)
    compared = compare(pictures, np.arange(len(files)), lambda what, done, total: None)
    source = Source("data", files[0].parent, files[0].parent, (), None)
    items = [Item(source, Record(file.name, file, "nv"), file.name) for file in files]
    return {(first, second) for first, second, _ in same_pictures(items, compared)}


def test_known_transforms_of_generated_pictures_are_found(tmp_path):
    lesions = {"mel": 30, "nv": 30, "bkl": 20}
    folder = write_dataset(tmp_path / "data", lesions=lesions, seed=3, width=200, height=150)
    (source,) = read_sources([folder])
    answers = measure.measure(source, 40, 60)
    assert {answer.transform for answer in answers} == set(transforms.TRANSFORMS)
    assert recall(answers) >= 0.95, measure.table(answers)
    assert not [pair for answer in answers for pair in answer.false], measure.table(answers)


@pytest.mark.slow
@pytest.mark.data
def test_known_transforms_of_real_pictures_are_found(data_root):
    (source,) = read_sources([data_root / "ham10000"])
    answers = measure.measure(source, 60, 140)
    assert recall(answers) >= 0.95, measure.table(answers)
    assert min(answer.found / answer.copies for answer in answers) >= 0.85, measure.table(answers)
    assert not [pair for answer in answers for pair in answer.false], measure.table(answers)


def test_different_lesions_are_not_the_same_picture(tmp_path, draw):
    files = [tmp_path / f"{seed}.png" for seed in range(40)]
    for seed, file in enumerate(files):
        draw(seed).save(file)
    assert pairs_of(files) == set()


@pytest.mark.parametrize("degrees", [17, 45, 90, 163, 270])
def test_any_angle_is_found(tmp_path, draw, degrees):
    picture = draw(5)
    picture.save(tmp_path / "0.png")
    picture.rotate(degrees, Image.Resampling.BICUBIC, expand=degrees % 90 == 0).save(
        tmp_path / "1.png"
    )
    draw(6).save(tmp_path / "2.png")
    assert pairs_of([tmp_path / f"{i}.png" for i in range(3)]) == {(0, 1)}


@pytest.mark.parametrize("change", ["saved again", "turned", "smaller"])
def test_copies_of_grey_pictures_are_found(tmp_path, draw, change):
    for number in range(4):
        grey = draw(number).convert("L")
        grey.save(tmp_path / f"{number}.png")
        if number == 0:
            copy = grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if change == "turned" else grey
            copy = copy.resize((100, 75)) if change == "smaller" else copy
            copy.save(tmp_path / "4.jpg", quality=80)
    files = [*(tmp_path / f"{number}.png" for number in range(4)), tmp_path / "4.jpg"]
    assert pairs_of(files) == {(0, 4)}


def test_two_empty_pictures_are_not_compared(tmp_path, run_audit, draw):
    for label, seed in (("mel", 1), ("nv", 2)):
        folder = tmp_path / label
        folder.mkdir()
        draw(seed).save(folder / "a.png")
        Image.new("RGB", (80, 80), (200, 150, 140 + seed)).save(folder / "flat.png")
    status, found = run_audit(tmp_path)
    assert status == 0
    assert found["duplicates"] == []
    assert len(found["odd"]["flat"]) == 2


@pytest.mark.parametrize("reflected", [False, True])
@pytest.mark.parametrize("steps", [0, 3, 20])
def test_turn_of_a_disc_is_read_from_its_phases(draw, steps, reflected):
    square = draw(9).crop((25, 0, 175, 150)).resize((96, 96))
    angle = steps * 360 / 32
    turned = square.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if reflected else square
    turned = turned.rotate(-angle, Image.Resampling.BICUBIC)  # Pillow turns the other way
    before, after = (
        polar.spectra(np.asarray(image.resize((48, 48)))[None], 1.0)[:, 0]
        for image in (square, turned)
    )
    value, found, flipped = polar.best_turn(before, after)
    assert value[0] > 0.95
    assert bool(flipped[0]) == reflected
    assert np.degrees(found[0]) == pytest.approx(angle, abs=1e-6)


def test_descriptor_of_a_quarter_turn_is_the_same(draw):
    square = np.asarray(draw(9).crop((25, 0, 175, 150)).resize((48, 48)))
    descriptors = [
        polar.magnitudes(polar.spectra(image[None], 1.0))[0, 0]
        for image in (square, np.rot90(square), square[:, ::-1])
    ]
    for other in descriptors[1:]:
        assert np.abs(other - descriptors[0]).max() < 0.02
