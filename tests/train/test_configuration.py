"""One TOML file describes a run: read, overridden, kept in full, and refused where it is wrong."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from edge_runtime.errors import UsageError
from train.commands.configured import add_config_arguments, said
from train.config import Augmentation, TrainConfig
from train.configuration import (
    Configuration,
    DataConfig,
    configuration,
    differences,
    format_configuration,
    presets,
    read_preset,
    read_tables,
)


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    return parser.parse_args(words)


def written(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_written_is_read_back_with_every_key(tmp_path: Path) -> None:
    whole = Configuration(
        DataConfig("ham10000", "own.toml", True),
        TrainConfig(epochs=7, learning_rate=2e-4, sampling="balanced", deterministic=True,
                    augment=Augmentation(rotation=90, hue=3.5)),
    )  # fmt: skip
    text = format_configuration(whole)
    assert configuration(read_tables(written(tmp_path, text))) == whole
    for key in ("patience", "mixup", "jpeg_quality", "description"):
        assert f"\n{key} = " in text


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    path = written(tmp_path, "[train]\nepochs = 9\nbatch_size = 8\n[augment]\nzoom = 0.5\n")
    words = ["--preset", "evening", "--config", str(path), "--batch-size", "4"]
    chosen = configuration(said(arguments(*words, "--augment", "rotation=45", "--no-pretrained")))
    evening = read_preset("evening")["train"]
    assert chosen.train.batch_size == 4
    assert chosen.train.epochs == 9
    assert chosen.train.logit_adjustment == evening["logit_adjustment"] > 0
    assert chosen.train.pretrained is False
    assert (chosen.train.augment.zoom, chosen.train.augment.rotation) == (0.5, 45.0)


def test_nothing_said_is_the_default() -> None:
    assert configuration(said(arguments())) == Configuration()


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_a_configuration_of_an_architecture_that_exists(name: str) -> None:
    from train.architectures import ARCHITECTURES

    chosen = configuration(read_preset(name)).train
    assert chosen.arch in ARCHITECTURES
    assert chosen != TrainConfig()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[train]\nepoch = 3\n", r"unknown key 'epoch' in \[train\]; did you mean 'epochs'\?"),
        ("[train]\ngpu = 3\n", r"unknown key 'gpu' in \[train\]; known are arch, width, "),
        ("[trian]\n", r"table \[trian\]; did you mean 'train'\?"),
        ("[augment]\nrotate = 3\n", r"'rotate' in \[augment\]; did you mean 'rotation'\?"),
        ("epochs = 3\n", "epochs"),
        ("[train]\nepochs = 3.5\n", r"epochs in \[train\] .* is 3.5, expected a whole number"),
        ("[train]\nepochs = true\n", "is True, expected a whole number"),
        ("[train]\npretrained = 1\n", "is 1, expected true or false"),
        ("[train]\narch = 3\n", "is 3, expected text"),
        ("[train]\nteacher = 'run'\n", "is 'run', expected a list of texts"),
        ("[train]\nsampling = 'even'\n", "is 'even', expected 'natural' or 'balanced'"),
        ("[train]\nlearning_rate = 'high'\n", "is 'high', expected a number"),
        ("[train\n", "is not TOML"),
    ],
)
def test_file_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        read_tables(written(tmp_path, text))
    assert "\n" not in str(caught.value).replace("\\n", "")


def test_values_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"mixup is -1\.0, expected 0 to 10"):
        configuration(said(arguments("--mixup", "-1")))
    with pytest.raises(UsageError, match=r"zoom is 3.0, expected 0 to 0.8"):
        configuration(said(arguments("--augment", "zoom=3")))


def test_flag_that_names_no_range_or_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'zoom'"):
        said(arguments("--augment", "zom=0.3"))
    with pytest.raises(UsageError, match="--augment zoom cannot be read"):
        said(arguments("--augment", "zoom"))


def test_missing_file_and_unknown_preset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read .*; name a TOML file"):
        read_tables(tmp_path / "none.toml")
    with pytest.raises(UsageError, match=r"no preset 'evenin'; did you mean 'evening'"):
        read_preset("evenin")


def test_differences_are_named_with_both_values() -> None:
    one = Configuration(train=TrainConfig(epochs=30))
    other = Configuration(train=TrainConfig(epochs=20, augment=Augmentation(zoom=0.1)))
    assert differences(one, other) == ["epochs (30, now 20)", "zoom (0.25, now 0.1)"]
    assert differences(one, one) == []
