"""The study around the trials: real processes, whose trials are over in no time."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge_runtime.errors import DataError, RunError, TrainingError, UsageError
from tests.conftest import ROOT
from tests.train.pieces.test_pool import wait_for
from tests.train.tuning.work import FOLDER, quick_trial
from train.config import TrainConfig
from train.configuration import DataConfig, configuration, read_tables
from train.data.table import Dataset, read_data
from train.pieces.pool import TRIES, Pool
from train.synthetic import write_dataset
from train.tuning.plots import FEWEST_FOR_IMPORTANCES
from train.tuning.search import Tuned, Wish, tune
from train.tuning.space import distributions, make_space
from train.tuning.study import STUDY_FILE, open_study
from train.tuning.writing import result_json, result_text, write_results

CONFIG = TrainConfig(arch="plain_cnn", input_size=32)
SPACE = make_space(CONFIG)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few") / "few"
    return write_dataset(folder, lesions={"mel": 6, "nv": 6}, width=48, height=36, processes=1)


@pytest.fixture
def data(images: Path) -> Dataset:
    return read_data(images)


@pytest.fixture
def happenings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder by which a test tells the trials what goes wrong."""
    folder = tmp_path / "happenings"
    folder.mkdir()
    monkeypatch.setenv(FOLDER, str(folder))
    monkeypatch.setattr("train.tuning.search.train_trial", quick_trial)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "tuning"


def table(tuned: Tuned, out: Path) -> list[dict[str, str]]:
    write_results(tuned, DataConfig("few"), out)
    with (out / "trials.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("happenings")
def test_the_best_configuration_is_a_whole_one_that_train_accepts(data: Dataset, out: Path) -> None:
    tuned = tune(data, CONFIG, out, Wish(SPACE, trials=3), Pool(2))
    rows = table(tuned, out)
    best = max(rows, key=lambda row: float(row["val_auc"]))
    read = configuration(read_tables(out / "best.toml"))
    assert read.data == DataConfig("few")
    assert read.train == tuned.config
    assert read.train.learning_rate == float(best["learning_rate"])
    assert replace(read.train, **{name: getattr(CONFIG, name) for name in SPACE}) == CONFIG
    assert [row["state"] for row in rows] == ["trained"] * 3
    for picture in ("history", "courses", "parameters"):
        assert (out / f"{picture}.png").read_bytes()[:4] == b"\x89PNG"


def test_trials_that_are_all_as_good_tell_of_no_importance(
    data: Dataset, out: Path, happenings: Path
) -> None:
    wish = Wish(SPACE, trials=FEWEST_FOR_IMPORTANCES)
    (happenings / "alike").touch()
    assert {row["val_auc"] for row in table(tune(data, CONFIG, out, wish, Pool(2)), out)} == {"1.0"}
    assert (out / "history.png").exists()
    assert not (out / "importances.png").exists()
    (happenings / "alike").unlink()
    table(tune(data, CONFIG, out, replace(wish, trials=wish.trials + 2), Pool(2)), out)
    assert (out / "importances.png").exists()


@pytest.mark.usefixtures("happenings")
def test_the_first_trial_has_the_values_of_the_configuration(data: Dataset, out: Path) -> None:
    tuned = tune(data, CONFIG, out, Wish(SPACE, trials=1))
    assert tuned.config == CONFIG
    assert "largest of 1, so it promises more" in result_text(tuned, out)


def test_a_study_goes_on_to_the_number_asked_for(
    data: Dataset, out: Path, happenings: Path
) -> None:
    def rates(trials: int) -> list[float]:
        tuned = tune(data, CONFIG, out, Wish(SPACE, trials=trials))
        return [trial.params["learning_rate"] for trial in tuned.study.trials]

    first = rates(2)
    assert rates(2) == first
    values = rates(4)
    assert values[:2] == first
    assert len(set(values)) == 4
    assert len(list(happenings.glob("begin-*"))) == 4


def test_a_killed_trial_is_begun_again_with_its_values(
    data: Dataset, images: Path, out: Path, happenings: Path
) -> None:
    (happenings / "hold").touch()
    code = (
        "from pathlib import Path\n"
        "import train.tuning.search as search\n"
        "from tests.train.tuning.test_search import CONFIG, SPACE, quick_trial, read_data\n"
        "search.train_trial = quick_trial\n"
        f"search.tune(read_data({str(images)!r}), CONFIG, Path({str(out)!r}), "
        "search.Wish(SPACE, trials=2))\n"
    )
    call = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_for(happenings / "held")
    with pytest.raises(UsageError, match="Another call is at work"):
        tune(data, CONFIG, out, Wish(SPACE, trials=2))
    call.send_signal(signal.SIGKILL)
    call.wait(10)
    with (out / STUDY_FILE).open("ab") as file:
        file.write(b'{"op_code":4,"wor')  # as a kill in the middle of a line leaves it
    (happenings / "hold").unlink()
    tuned = tune(data, CONFIG, out, Wish(SPACE, trials=2))
    rows = table(tuned, out)
    assert [row["state"] for row in rows] == ["interrupted", "trained", "trained"]
    assert {rows[1][name] for name in SPACE} == {rows[0][name] for name in SPACE}
    assert result_json(tuned)["trials"]["interrupted"] == 1


def test_a_trial_that_dies_every_time_is_not_begun_for_ever(out: Path) -> None:
    out.mkdir()
    asked = []
    for _ in range(TRIES + 2):  # every call is killed while its trial is at work
        study = open_study(out, CONFIG, SPACE, "val_auc")
        asked.append(study.ask(distributions(SPACE)).params)
    assert [values == asked[0] for values in asked] == [True] * TRIES + [False] * 2


def test_a_trial_that_cannot_be_trained_is_told_of_and_the_others_are_kept(
    data: Dataset, out: Path, happenings: Path
) -> None:
    (happenings / "diverge-1").touch()
    tuned = tune(data, CONFIG, out, Wish(SPACE, trials=3))
    rows = table(tuned, out)
    assert [row["state"] for row in rows] == ["trained", "failed", "trained"]
    assert rows[1]["note"].startswith("The loss is nan")


def test_data_that_fail_end_the_call_and_its_trials_are_not_lost(
    data: Dataset, out: Path, happenings: Path
) -> None:
    (happenings / "vanish-1").touch()
    with pytest.raises(DataError, match="vanished"):
        tune(data, CONFIG, out, Wish(SPACE, trials=3))
    assert len(list(happenings.glob("begin-*"))) == 2
    (happenings / "vanish-1").unlink()
    rows = table(tune(data, CONFIG, out, Wish(SPACE, trials=3)), out)
    assert [row["state"] for row in rows] == ["trained", "failed", "trained", "trained"]


def test_a_study_without_a_trained_trial_has_no_best(
    data: Dataset, out: Path, happenings: Path
) -> None:
    (happenings / "diverge-0").touch()
    with pytest.raises(TrainingError, match=r"No trial was trained to its end .*loss is nan"):
        tune(data, CONFIG, out, Wish(SPACE, trials=1))
    with pytest.raises(TrainingError, match="give more --minutes"):
        tune(data, CONFIG, out, Wish(SPACE, trials=2, minutes=1e-9))


@pytest.mark.usefixtures("happenings")
def test_a_study_that_was_begun_otherwise_is_refused_by_what_differs(
    data: Dataset, out: Path
) -> None:
    tune(data, CONFIG, out, Wish(SPACE, trials=1))
    with pytest.raises(RunError, match=r"begun with input_size = 32, and not 48; give what"):
        tune(data, replace(CONFIG, input_size=48), out, Wish(SPACE, trials=1))
    narrow = make_space(CONFIG, [("dropout", "0:0.2")])
    with pytest.raises(RunError, match=r'ranges.dropout = "0:0.5", and not "0:0.2"'):
        tune(data, CONFIG, out, Wish(narrow, trials=1))
    fewer = data.with_records(data.records[:-1])
    with pytest.raises(RunError, match="begun with other images, labels or lesions"):
        tune(fewer, CONFIG, out, Wish(SPACE, trials=1))


def test_a_folder_of_something_else_is_refused(data: Dataset, out: Path) -> None:
    out.mkdir()
    (out / "letters.txt").touch()
    with pytest.raises(UsageError, match="was not begun by this verb"):
        tune(data, CONFIG, out, Wish(SPACE))
    assert [entry.name for entry in out.iterdir()] == ["letters.txt"]


def test_wishes_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="--trials is 0"):
        Wish(SPACE, trials=0)
    with pytest.raises(UsageError, match="--minutes is -1"):
        Wish(SPACE, minutes=-1)
    with pytest.raises(UsageError, match="--objective is test_auc"):
        Wish(SPACE, objective="test_auc")


@pytest.mark.usefixtures("happenings")
def test_the_record_names_objective_ranges_and_best(data: Dataset, out: Path) -> None:
    record = json.loads(json.dumps(result_json(tune(data, CONFIG, out, Wish(SPACE, trials=1)))))
    assert record["objective"] == "val_auc"
    assert record["ranges"]["learning_rate"] == "0.0001:0.01"
    assert record["best"]["parameters"]["dropout"] == CONFIG.dropout
    assert record["trials"]["trained"] == 1
