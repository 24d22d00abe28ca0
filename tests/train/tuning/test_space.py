"""What is tuned, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.errors import UsageError
from train.config import TrainConfig
from train.tuning.space import (
    SPACE,
    Choice,
    Range,
    chosen,
    distributions,
    make_space,
    read_space,
    values_within,
    words,
)


def test_the_usual_space_fits_the_usual_configuration() -> None:
    assert make_space(TrainConfig()) == dict(SPACE)
    assert values_within(TrainConfig(), SPACE) == {
        name: getattr(TrainConfig(), name) for name in SPACE
    }


def test_flags_win_over_the_file_and_the_file_over_the_usual(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text('[tune]\ndropout = "0:0.3"\nbatch_size = "8,16"\nmixup = 0.2\n')
    space = make_space(TrainConfig(), read_space(file).items(), [("dropout", "0.1:0.2")])
    assert space["dropout"] == Range(0.1, 0.2)
    assert space["batch_size"] == Choice((8, 16))
    assert space["mixup"] == Choice((0.2,))
    assert space["epochs"] == SPACE["epochs"]


def test_a_space_can_be_written_as_it_is_read() -> None:
    assert make_space(TrainConfig(), words(SPACE).items()) == dict(SPACE)


def test_learning_rate_is_searched_by_orders_of_magnitude_and_epochs_are_whole() -> None:
    found = distributions(SPACE)
    assert found["learning_rate"].log
    assert not found["dropout"].log
    config = chosen(TrainConfig(), {"epochs": 7.0, "dropout": 0})
    assert (config.epochs, type(config.epochs), type(config.dropout)) == (7, int, float)


def test_own_values_outside_the_ranges_are_not_tried() -> None:
    assert values_within(TrainConfig(batch_size=48), SPACE) is None
    assert values_within(TrainConfig(dropout=0.9), SPACE) is None


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("droput", "0:1", "'droput' cannot be tuned; what can is .*dropout"),
        ("arch", "a,b", "'arch' cannot be tuned"),
        ("seed", "0:9", "'seed' cannot be tuned"),
        ("dropout", "0.5:0.1", r"dropout=0.5:0.1 cannot be used, expected LOW:HIGH or A,B,C"),
        ("dropout", "much", "cannot be used"),
        ("dropout", "0:nan", "cannot be used"),
        ("dropout", "0:1:2", "cannot be used"),
        ("epochs", "1:2.5", "in whole numbers"),
        ("batch_size", "16,16", "cannot be used"),
        ("learning_rate", "0:0.1", "above 0"),
        ("dropout", "0:0.95", "dropout is 0.95, expected 0 to 0.9"),
    ],
)
def test_ranges_that_cannot_be_are_refused(name: str, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        make_space(TrainConfig(), [(name, text)])


def test_nothing_to_tune_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to tune"):
        make_space(TrainConfig(), [(name, "1") for name in ("epochs", "augmentation")],
                   [("learning_rate", "1e-3"), ("batch_size", "8"), ("dropout", "0"),
                    ("weight_decay", "0.1")])  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [("[tune", "is not TOML"), ("[train]\nepochs = 3\n", r"has no table \[tune\]")],
)
def test_a_file_without_ranges_is_refused(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "space.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=why):
        read_space(file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_space(tmp_path / "none.toml")
