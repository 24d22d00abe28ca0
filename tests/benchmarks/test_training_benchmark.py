"""The training benchmark: real steps of a small network, read by people and by machines."""

from __future__ import annotations

import json

import pytest

from benchmarks import training

SMALL = ["--arch", "plain_cnn", "--input-size", "32", "--batch-size", "4", "--rounds", "3",
         "--steps", "1"]  # fmt: skip


@pytest.mark.slow
def test_report_has_every_way_of_training_and_their_ratios(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert training.main([*SMALL, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    names = [training.KERAS, training.FAST, training.PIPELINE, training.FROZEN,
             training.KERAS_ANSWERS, training.FAST_ANSWERS]  # fmt: skip
    assert list(report["speeds"]) == names
    for speed in report["speeds"].values():
        assert speed["images_per_second"] > 0
        assert speed["cpu_ms_per_image"] > 0
    assert report["gain"] > 0
    assert report["pipeline_share"] > 0
    assert report["frozen_gain"] > 0
    assert report["answer_gain"] > 0
    assert 0 < report["augmentation_cpu_ms"] < 50
    assert (report["arch"], report["input_size"], report["rounds"]) == ("plain_cnn", 32, 3)
    assert report["environment"]["cores"] >= 1


def test_ratio_is_the_median_of_the_rounds_and_above_one_for_the_faster_way() -> None:
    slow = [(2.0, 0.0), (4.0, 0.0), (90.0, 0.0)]
    fast = [(1.0, 0.0), (2.0, 0.0), (3.0, 0.0)]
    assert training._ratio(slow, fast) == 2.0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--rounds", "2"], "rounds is 2"),
        (["--arch", "plain_cn"], "did you mean 'plain_cnn'"),
        (["--batch-size", "0"], "batch_size is 0"),
    ],
)
def test_wrong_call_is_answered_by_one_sentence(
    capsys: pytest.CaptureFixture[str], wrong: list[str], told: str
) -> None:
    assert training.main([*SMALL, *wrong]) == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert len(error.splitlines()) == 1
