"""What a data set says of its classes, and where that is looked for."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import train.data.description as module
from edge_runtime.errors import ClassError, DataError, TableError
from train.data.description import Description, describe

OWN = 'name = "Ours"\nmalignant = ["wart"]\nlicence = "CC0-1.0"\n'
DESCRIPTIONS = sorted((Path(module.__file__).parent / "descriptions").glob("*.toml"))


def written(folder: Path, text: str | bytes, name: str = "dataset.toml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / name


# Where it is looked for


def test_common_classes_need_no_description(tmp_path: Path) -> None:
    found = describe(tmp_path, {"mel", "nv", "bcc"})
    assert (found.name, found.licence) == (tmp_path.name, "unknown")
    assert (found.melanoma, found.malignant) == ("mel", ("bcc", "mel"))
    assert not found.generated
    assert [(label.code, label.name, label.malignant) for label in found.labels({"nv", "mel"})] == [
        ("mel", "melanoma", True),
        ("nv", "melanocytic nevus", False),
    ]


def test_benign_and_malignant_have_no_melanoma(tmp_path: Path) -> None:
    found = describe(tmp_path, {"benign", "malignant"})
    assert (found.melanoma, found.malignant) == ("", ("malignant",))


def test_unknown_class_says_what_to_write_and_writing_it_helps(tmp_path: Path) -> None:
    with pytest.raises(
        ClassError, match=r"'wart' is malignant; write a dataset\.toml into"
    ) as told:
        describe(tmp_path, {"wart", "nv"})
    assert 'name = "..." and malignant = ["...", ...]' in str(told.value)
    written(tmp_path, 'name = "..."\nmalignant = ["wart"]\n')
    labels = describe(tmp_path, {"wart", "nv"}).labels({"wart", "nv"})
    assert [(label.code, label.malignant) for label in labels] == [("nv", False), ("wart", True)]


def test_folder_known_by_name_has_a_shipped_description(tmp_path: Path) -> None:
    found = describe(tmp_path / "ham10000", {"mel", "nv"})
    assert (found.name, found.licence) == ("HAM10000", "CC-BY-NC-4.0")


def test_own_description_comes_before_the_shipped_one(tmp_path: Path) -> None:
    written(tmp_path / "ham10000", OWN)
    assert describe(tmp_path / "ham10000", {"wart", "nv"}).name == "Ours"


def test_named_description_comes_before_all(tmp_path: Path) -> None:
    written(tmp_path, OWN)
    other = written(tmp_path, OWN.replace("Ours", "Theirs"), "other.toml")
    assert describe(tmp_path, {"wart", "nv"}, other).name == "Theirs"


def test_shipped_description_of_other_classes_is_not_used(tmp_path: Path) -> None:
    found = describe(tmp_path / "ham10000", {"benign", "malignant"})
    assert (found.name, found.malignant) == ("ham10000", ("malignant",))


# What it says


def test_names_of_classes_are_the_descriptions_own_then_the_common_then_the_code() -> None:
    found = Description("x", ("mel",), names={"mel": "Melanom"})
    assert [label.name for label in found.labels(["wart", "nv", "mel"])] == [
        "Melanom",
        "melanocytic nevus",
        "wart",
    ]


def test_generated_data_is_known_as_such() -> None:
    assert Description("generated", ("mel",)).generated
    assert not Description("HAM10000", ("mel",)).generated


@pytest.mark.parametrize("file", DESCRIPTIONS, ids=lambda file: file.stem)
def test_shipped_description_names_licence_and_what_to_cite(file: Path) -> None:
    found = describe(Path("any"), [], file)
    assert found.licence.startswith("CC-BY-NC")
    assert found.citation
    assert found.melanoma in found.malignant
    known = tomllib.loads((Path(module.__file__).parent / "classes.toml").read_text("utf-8"))
    assert all(known[code]["malignant"] for code in found.malignant)


# What is said of a wrong one


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        ("name = Ours\n", TableError, r"dataset\.toml cannot be used: .*Invalid value"),
        (OWN + "license = 1\n", TableError, "unknown key 'license'"),
        ('name = "Ours"\n', TableError, "lacks the key 'malignant'"),
        ('name = "Ours"\nmalignant = "mel"\n', TableError, "malignant is 'mel', expected a list"),
        (OWN + 'melanoma = "mel"\n', TableError, "melanoma is 'mel', which is not among"),
        ("# Läsion\n".encode("latin-1"), TableError, "can't decode byte"),
        (
            OWN.replace('["wart"]', '["wart", "vart"]'),
            ClassError,
            "calls vart malignant",
        ),
        (OWN.replace("wart", "bump"), ClassError, "None of the classes nv, wart is malignant"),
    ],
)
def test_wrong_description_is_refused_in_words(
    text: str | bytes, expected: type[DataError], words: str, tmp_path: Path
) -> None:
    written(tmp_path, text)
    with pytest.raises(expected, match=words) as caught:
        describe(tmp_path, {"wart", "nv"}).labels({"wart", "nv"})
    assert "\n" not in str(caught.value)


def test_missing_description_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"absent\.toml cannot be used: .*No such file"):
        describe(tmp_path, {"mel", "nv"}, tmp_path / "absent.toml")
