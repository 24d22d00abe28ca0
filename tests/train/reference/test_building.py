"""From a recipe to a model that comes with a checkout, and what its card says."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from convert.commands import convert as verb
from convert.variants import chosen
from edge_runtime.bundle import Bundle
from edge_runtime.errors import UsageError
from train.data.shelf import DATA_VARIABLE
from train.reference import __main__ as script
from train.reference import building
from train.reference.building import TESTS, Model, build, models
from train.reference.card import remarks, table
from train.reference.data import HAM, ISIC_2018
from train.reference.recipes import Try, tries, with_needed
from train.reference.search import run
from train.synthetic import write_dataset


def figures(**values: tuple[float, float, float]) -> dict[str, Any]:
    shown = {name: {"value": v, "low": a, "high": b} for name, (v, a, b) in values.items()}
    return {
        "n": 1512, "resampled": "lesions", "metrics": shown,
        "labels": [{"code": "mel", "images": 171}, {"code": "nv", "images": 1341}],
        "difference": {
            "melanoma_auc": {"value": -0.002, "low": -0.004, "high": 0.001},
            "balanced_accuracy": {"value": -0.02, "low": -0.03, "high": -0.01},
            "macro_f1": {"value": -0.001, "low": -0.002, "high": 0.0},
        },
    }  # fmt: skip


def test_every_model_is_made_of_a_recipe_that_there_is_and_can_be_checked() -> None:
    listed = {one.name: one for one in tries()}
    for model in models():
        assert with_needed(model.run, listed)[-1].name == model.run
        parser = argparse.ArgumentParser()
        verb.add_arguments(parser)
        flags = parser.parse_args(["run", "--out", "bundle", *model.convert])
        names = {kind.name for kind in chosen(flags.variants)}
        assert {building.DEVICE_VARIANT, building.FLOAT_VARIANT} <= names


def test_recipes_that_a_recipe_needs_come_before_it() -> None:
    first = Try("first", "", "ham", ())
    second = Try("second", "", "ham", ("--start", "@first"))
    third = Try("third", "", "ham", ("--start", "@second", "--teacher", "@first"))
    listed = {one.name: one for one in (third, second, first)}
    assert [one.name for one in with_needed("third", listed)] == ["first", "second", "third"]
    words = third.command(Path("t.csv"), Path("work/search/third"))
    assert words[words.index("--start") + 1] == "work/search/second"
    with pytest.raises(UsageError, match="has no fourth; it has third"):
        with_needed("fourth", listed)


def test_wrong_name_is_refused_before_anything_is_done(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "README", tmp_path / "README.md")
    assert script.main(["--only", "reference"]) == 2
    assert "has no <!-- reference --> markers" in capsys.readouterr().err
    (tmp_path / "README.md").write_text("<!-- reference -->\n<!-- /reference -->\n")
    assert script.main(["--only", "refrence"]) == 2
    assert "models.toml has no refrence; it has reference, tiny" in capsys.readouterr().err


def test_missing_test_set_is_said_before_anything_is_trained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text("<!-- reference -->\n<!-- /reference -->\n")
    (tmp_path / "ham10000").mkdir()
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert script.main(["--only", "reference", "--work", str(tmp_path / "work")]) == 2
    assert "There is no data set isic2018_task3_test; set DERMEDGE_DATA" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_readme_gets_the_table_between_its_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- reference -->\nold\n<!-- /reference -->\nafter\n")
    found = {HAM: figures(melanoma_auc=(0.93, 0.91, 0.95))}
    script.show(found, readme)
    text = readme.read_text()
    assert text.startswith("before\n<!-- reference -->\nHAM10000, the published test part: 1,512")
    assert text.endswith("\n<!-- /reference -->\nafter\n")
    assert "old" not in text
    script.show(found, readme)
    assert readme.read_text() == text


def test_card_says_where_others_are_better() -> None:
    ham = figures(melanoma_auc=(0.93, 0.91, 0.95), macro_f1=(0.70, 0.66, 0.735))
    isic = figures(balanced_accuracy=(0.80, 0.76, 0.89))
    text = remarks({HAM: ham, ISIC_2018: isic})
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    assert "0.930 [0.910, 0.950]" in lines["melanoma AUC"]
    assert "| better" in lines["melanoma AUC"]
    assert "| worse" in lines["macro-F1"]
    assert "| no difference shown" in lines["balanced accuracy of 7 classes"]
    assert "-0.002 [-0.004, 0.001]" in lines["melanoma AUC, 8 bits less floats, paired"]
    assert "-0.020 [-0.030, -0.010]" in lines["balanced accuracy, 8 bits less floats, paired"]
    assert "-0.001 [-0.002, 0.000]" in lines["macro-F1, 8 bits less floats, paired"]
    assert "1,512 images, 171 melanomas" in text
    assert "black skin is barely represented" in text


@pytest.mark.slow
def test_model_is_built_from_its_recipe_and_its_card_tells_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = dict.fromkeys(("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"), 8)
    sizes = {"width": 100, "height": 75, "processes": 1}
    shelf = tmp_path / "shelf"
    write_dataset(shelf / HAM, lesions=classes | {"mel": 60, "nv": 60}, seed=1, **sizes)
    write_dataset(shelf / ISIC_2018, lesions=classes, seed=2, **sizes)
    write_dataset(shelf / "isic2017", lesions={"mel": 12, "nv": 12}, seed=3, **sizes)
    listing = shelf / "isic2017" / "metadata.csv"
    listing.write_text(listing.read_text().replace(",nv,", ",sk,"))
    monkeypatch.setenv(DATA_VARIABLE, str(shelf))
    quick = ("--arch", "plain_cnn", "--input-size", "32", "--epochs", "2", "--bootstrap", "100",
             "--no-report")  # fmt: skip
    recipe = Try("quick", "does it run", "ham", quick)
    work = tmp_path / "work"
    run(recipe, work)
    flags = (
        "--name", "small-model", "--version", "1.2.3", "--variants", "tflite_f32,tflite_int8",
        "--no-pictures", "--auc-margin", "0.5", "--sensitivity-margin", "0.99",
    )  # fmt: skip
    model = Model("small", "quick", flags)
    out = tmp_path / "models" / "small"
    found = build(model, work, out)
    assert set(found) == set(TESTS)
    manifest = Bundle.open(out).manifest
    assert (manifest.name, manifest.version) == ("small-model", "1.2.3")
    assert manifest.source.licence == "CC-BY-NC-4.0"  # of the table
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert table(found) in card
    assert "data:image/jpeg" not in (out / "report.html").read_text(encoding="utf-8")
    first = Bundle.open(work / "bundles" / "small").manifest
    assert [one.sha256 for one in first.variants] == [one.sha256 for one in manifest.variants]
    assert found[HAM]["model"]["sha256"] == manifest.variant("tflite_int8").sha256
    assert json.dumps(found)
