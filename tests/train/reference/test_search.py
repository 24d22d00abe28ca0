"""The search for the reference model: its tables, its recipes, the page of what came of them."""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from edge_runtime.errors import DataError, TrainingError, UsageError
from train.commands import train as verb
from train.commands.configured import said
from train.configuration import configuration
from train.data.shelf import DATA_VARIABLE
from train.data.table import read_data
from train.reference.data import TABLES, audit_words, table
from train.reference.page import page
from train.reference.recipes import Try, tries
from train.reference.record import recorded
from train.reference.search import run, search
from train.synthetic import write_dataset

QUICK = ("--arch", "plain_cnn", "--input-size", "32", "--epochs", "1", "--bootstrap", "100",
         "--no-report")  # fmt: skip


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated collections under the names of the real ones; two pictures stand in both."""
    folder = tmp_path_factory.mktemp("shelf")
    classes = dict.fromkeys(("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"), 4)
    sizes = {"width": 100, "height": 75, "processes": 1}
    write_dataset(folder / "ham10000", lesions=classes | {"mel": 20, "nv": 20}, seed=1, **sizes)
    write_dataset(folder / "isic2018_task3_test", lesions=classes, seed=2, **sizes)
    write_dataset(folder / "isic2017", lesions={"mel": 12, "nv": 12}, seed=3, **sizes)
    return folder


def copied(shelf: Path, image: Path) -> Path:
    """A turned copy of an image of ours in the held-out collection, listed there."""
    held = shelf / "isic2018_task3_test"
    turned = held / "images" / "turned.jpg"
    Image.open(image).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(turned, quality=95)
    with (held / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (held / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows([*rows, {**rows[0], "image_id": "turned", "lesion_id": "turned"}])
    return turned


def test_table_keeps_the_test_part_and_loses_what_the_held_out_set_shows(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(shelf))
    before = read_data(shelf / "ham10000").records
    shown = next(record for record in before if record.split == "train")
    copied(shelf, shown.file)
    made = table("ham", tmp_path)
    after = read_data(made)
    assert after.description.licence == "CC-BY-NC-4.0"
    for part in ("val", "test"):
        ids = {record.image_id for record in before if record.split == part}
        assert {record.image_id for record in after.records if record.split == part} == ids
    assert shown.image_id not in {record.image_id for record in after.records}
    assert shown.image_id in (tmp_path / "ham" / "table.set-aside.csv").read_text()
    changed = made.stat().st_mtime_ns
    assert table("ham", tmp_path).stat().st_mtime_ns == changed  # made once


def test_table_without_its_data_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match="The table all could not be made"):
        table("all", tmp_path / "work")


def test_recipe_is_trained_and_measured_on_validation_and_on_a_source_it_has_not_seen(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(shelf))
    (shelf / "isic2017" / "metadata.csv").write_text(
        (shelf / "isic2017" / "metadata.csv").read_text().replace(",nv,", ",sk,")
    )
    one = Try("quick", "does it run", "ham", QUICK)
    found = run(one, tmp_path)
    assert found.epochs == found.best_epoch == 1
    assert found.minutes > 0
    assert 0 <= found.own["melanoma_auc"]["value"] <= 1
    assert found.foreign is not None
    assert 0 <= found.foreign["melanoma_auc"]["value"] <= 1
    with pytest.raises(TrainingError, match="was trained by another recipe"):
        run(replace(one, flags=(*QUICK, "--seed", "1")), tmp_path)
    (tmp_path / "search" / "quick.val.json").unlink()
    assert run(one, tmp_path) == found  # not trained again, measured again
    monkeypatch.setattr("train.reference.search.tries", lambda: [one])
    search(["quick"], tmp_path, tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text("utf-8") == page([one], {"quick": found})
    assert recorded(tmp_path / "page.json", {"quick": one}) == {"quick": found}
    lost = Try("lost", "is it told of", "ham", QUICK, answer="it is")
    text = page(
        [replace(one, answer="it does"), lost, Try("not yet", "", "ham", QUICK)], {"quick": found}
    )
    assert "| `quick` | does it run |" in text
    assert "- `quick`: it does" in text
    assert "| `lost` |" not in text
    assert "- `lost`: it is" in text
    assert "Those that have no row above" in text
    assert "Those that have no row above" not in page(
        [replace(one, answer="it does")], {"quick": found}
    )
    assert "not yet" not in text
    assert "dermedge train --data out/reference/ham/table.csv --arch plain_cnn" in text


def test_recipe_of_no_such_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tries\.toml has no larg; it has "):
        search(["larg"], tmp_path, tmp_path / "page.md")


def test_every_recipe_is_one_that_train_accepts() -> None:
    listed = list(tries())
    assert len({one.name for one in listed}) == len(listed)
    for one in listed:
        assert one.data in TABLES
        parser = argparse.ArgumentParser()
        verb.add_arguments(parser)
        arguments = parser.parse_args(one.command(Path("table.csv"), Path("out"))[1:])
        assert configuration(said(arguments)).train.seed == 0


def test_command_of_a_table_names_every_data_set_and_its_use() -> None:
    words = audit_words("all", Path("all.csv"))
    assert words[:5] == ["audit", "ham10000", "isic2017", "isic_9class", "isic2018_task3_test"]
    assert [words[at + 1] for at, word in enumerate(words) if word == "--train-only"] == [
        "isic2017", "isic_9class",
    ]  # fmt: skip
    assert "--keep-split" in words
