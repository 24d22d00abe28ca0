"""A trial: when it is stopped, and a real one from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.commands import Parser
from train.commands import tune
from train.config import TrainConfig
from train.data.table import read_data
from train.pieces.place import Placed, place
from train.synthetic import write_dataset
from train.tuning.objective import STARTUP_TRIALS
from train.tuning.piece import Trained, TrialPiece, train_trial

Row = Mapping[str, float]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few") / "few"
    return write_dataset(folder, lesions={"mel": 16, "nv": 16}, width=48, height=36, processes=1)


@pytest.fixture
def placed(images: Path) -> Placed:
    return place(read_data(images))


@dataclass(frozen=True)
class Fitted:
    history: tuple[Row, ...]
    best_epoch: int


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a fit have a given validation AUC in every epoch, the second being its best."""

    def have(*areas: float) -> None:
        def fit_only(data: Any, config: Any, *, on_epoch: Callable[[Row], None]) -> Fitted:
            rows = [{"epoch": number, "val_auc": area} for number, area in enumerate(areas, 1)]
            for row in rows:
                on_epoch(row)
            return Fitted(tuple(rows), 2)

        monkeypatch.setattr("train.training.fit_only", fit_only)

    return have


def trained(placed: Placed, completed: list[Mapping[int, float]], epochs: int) -> Trained:
    config = TrainConfig(epochs=epochs)
    return train_trial(TrialPiece(9, placed, config, "val_auc", tuple(completed)))


GOOD = {step: 0.8 for step in range(1, 11)}


def test_a_trial_behind_the_median_of_its_tenth_is_stopped(
    placed: Placed, history: Callable[..., None]
) -> None:
    history(*[0.6] * 20)
    answer = trained(placed, [GOOD] * STARTUP_TRIALS, 20)
    assert answer.stopped
    assert answer.epoch == 4  # where two tenths of 20 epochs are done
    assert answer.course == {1: 0.6, 2: 0.6}


def test_a_trial_that_keeps_up_is_judged_by_its_best_epoch(
    placed: Placed, history: Callable[..., None]
) -> None:
    history(0.85, 0.9, 0.7, 0.7)
    answer = trained(placed, [GOOD] * STARTUP_TRIALS, 4)
    assert not answer.stopped
    assert (answer.value, answer.epoch) == (0.9, 2)
    assert sorted(answer.course) == [2, 5, 7, 10]


def test_no_trial_is_stopped_before_there_is_a_median_to_speak_of(
    placed: Placed, history: Callable[..., None]
) -> None:
    history(*[0.6] * 4)
    assert not trained(placed, [GOOD] * (STARTUP_TRIALS - 1), 4).stopped


def test_a_trial_is_trained_and_named_as_the_best(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = Parser()
    tune.add_arguments(parser)
    words = [
        "--data", images, "--out", tmp_path / "tuning", "--trials", "1",
        "--arch", "plain_cnn", "--input-size", "32", "--range", "epochs=1",
        "--range", "batch-size=8,16", "--json",
    ]  # fmt: skip
    assert tune.run(parser.parse_args([str(word) for word in words])) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["trials"]["trained"] == 1
    assert 0 <= record["best"]["value"] <= 1
    assert record["best"]["parameters"]["batch_size"] in (8, 16)
    assert (tmp_path / "tuning" / "best.toml").is_file()
