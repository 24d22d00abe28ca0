from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime import Classifier, Failure, Result, UsageError
from tests.edge_runtime.making import assert_one_sentence


@pytest.fixture
def mixed(images: list[Path], tmp_path: Path) -> list[object]:
    """60 inputs of all kinds, every sixth one bad in another way."""
    (tmp_path / "cut.jpg").write_bytes(images[0].read_bytes()[:600])
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.jpg").touch()
    bad = itertools.cycle(
        [
            tmp_path / "cut.jpg", tmp_path / "text.jpg", tmp_path / "empty.jpg",
            tmp_path / "none.jpg", tmp_path, b"bytes of nothing",
            np.zeros((4, 4), np.uint8),
        ]
    )  # fmt: skip
    good = itertools.cycle(
        [lambda file: file, lambda file: str(file), lambda file: file.read_bytes()]
    )
    return [
        next(bad) if index % 6 == 5 else next(good)(images[index]) for index in range(60)
    ]  # fmt: skip


def test_many_images_are_answered_in_order_and_bad_ones_stop_nothing(
    classifier: Classifier, mixed: list[object]
):
    answers = list(classifier.classify_many(mixed))  # type: ignore[arg-type]
    assert len(answers) == 60
    for index, (source, answer) in enumerate(zip(mixed, answers, strict=True)):
        if index % 6 == 5:
            assert isinstance(answer, Failure)
            assert_one_sentence(answer.error)
        else:
            assert isinstance(answer, Result)
            assert answer.probabilities == classifier.classify(source).probabilities  # type: ignore[arg-type]
        path = str(source) if isinstance(source, (str, Path)) else None
        assert answer.file == path
    kinds = {type(answer.error).__name__ for answer in answers if isinstance(answer, Failure)}
    assert kinds == {"ImageDamagedError", "ImageFormatError", "ImageNotFoundError"}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_images_than_workers_are_answered(bundle: Path, images: list[Path], count: int):
    answers = list(Classifier.open(bundle, threads=8).classify_many(images[:count]))
    assert [answer.file for answer in answers] == [str(file) for file in images[:count]]
    assert all(isinstance(answer, Result) for answer in answers)


def test_only_a_few_images_are_under_way_at_a_time(bundle: Path, images: list[Path]):
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            assert taken < 100, "images are taken before they are needed"
            yield images[taken % 20]

    answers = Classifier.open(bundle, threads=2).classify_many(endless())
    for _, _answer in zip(range(10), answers, strict=False):
        pass
    assert 10 <= taken <= 10 + 2 * 2 + 2


def test_closing_early_ends_the_workers(bundle: Path, images: list[Path]):
    def workers() -> int:
        return sum(thread.name.startswith("dermedge") for thread in threading.enumerate())

    before = workers()
    answers = Classifier.open(bundle, threads=2).classify_many(images[:50])
    assert isinstance(next(answers), Result)
    assert workers() > before
    answers.close()  # type: ignore[attr-defined]
    assert workers() == before
    with pytest.raises(StopIteration):
        next(answers)


def test_classifier_may_be_used_again_and_again(classifier: Classifier, images: list[Path]):
    first = [answer.to_dict() for answer in classifier.classify_many(images[:6])]
    again = [answer.to_dict() for answer in classifier.classify_many(images[:6])]
    for answer in (*first, *again):
        del answer["timing_ms"]
    assert first == again


def test_one_image_in_place_of_many_is_a_wrong_call(classifier: Classifier, images: list[Path]):
    for one in (images[0], str(images[0]), images[0].read_bytes()):
        with pytest.raises(UsageError, match="expected several"):
            next(classifier.classify_many(one))  # type: ignore[arg-type]
