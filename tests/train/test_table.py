"""Labelled images in the three forms that people have them in, and what is said of wrong ones."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import (
    ClassError,
    DataError,
    DataNotFoundError,
    MissingImagesError,
    TableError,
)
from train.data.table import Dataset, class_indices, read_data


def touch(folder: Path, *files: str) -> Path:
    """A folder with files of these names; reading a table looks at names, not at pixels."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def table(folder: Path, text: str | bytes, *ids: str, name: str = "metadata.csv") -> Path:
    """A folder with images of these ids and a CSV of this content."""
    touch(folder, *(f"images/{image_id}.jpg" for image_id in ids))
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def cells(data: Dataset) -> list[tuple[str, str, str | None, str | None]]:
    return [(r.image_id, r.label, r.lesion_id, r.split) for r in data.records]


# Class folders


def test_class_folders_are_read_without_a_split(tmp_path: Path) -> None:
    data = read_data(touch(tmp_path, "mel/b.jpg", "mel/a.PNG", "nv/c.jpeg"))
    assert cells(data) == [
        ("mel/a.PNG", "mel", None, None),
        ("mel/b.jpg", "mel", None, None),
        ("nv/c.jpeg", "nv", None, None),
    ]
    assert [record.file for record in data.records] == [
        tmp_path / "mel" / "a.PNG", tmp_path / "mel" / "b.jpg", tmp_path / "nv" / "c.jpeg",
    ]  # fmt: skip
    assert data.codes == ("mel", "nv")


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("Train", "Val", "Test"), ("TRAIN", "valid", "testing"), ("training", "Validation", "test")],
)
def test_train_val_and_test_above_the_class_folders_are_the_split(
    train: str, val: str, test: str, tmp_path: Path
) -> None:
    files = f"{train}/mel/a.jpg", f"{train}/nv/a.jpg", f"{val}/nv/b.jpg", f"{test}/mel/c.jpg"
    data = read_data(touch(tmp_path, *files))
    assert {record.image_id: (record.label, record.split) for record in data.records} == {
        files[0]: ("mel", "train"),
        files[1]: ("nv", "train"),
        files[2]: ("nv", "val"),
        files[3]: ("mel", "test"),
    }


def test_hidden_files_other_files_and_folders_beside_the_split_are_no_images(
    tmp_path: Path,
) -> None:
    touch(
        tmp_path, "Train/mel/a.jpg", "Train/nv/b.jpg", "Train/mel/.c.jpg", "Train/nv/Thumbs.db",
        "Train/.cache/d.jpg", "notes/e.jpg", "readme.txt",
    )  # fmt: skip
    assert [r.image_id for r in read_data(tmp_path).records] == [
        "Train/mel/a.jpg",
        "Train/nv/b.jpg",
    ]


@pytest.mark.parametrize("beside", ["holdout/mel/c.jpg", "mel/c.jpg"])
def test_classes_beside_the_split_are_not_passed_over(beside: str, tmp_path: Path) -> None:
    touch(tmp_path, "Train/mel/a.jpg", "Train/nv/b.jpg", beside)
    folder = beside.partition("/")[0]
    with pytest.raises(TableError, match=f"1 images in {folder}/, which is neither train"):
        read_data(tmp_path)


# Tables


def test_name_without_its_ending_has_to_mean_one_file(tmp_path: Path) -> None:
    table(tmp_path, "image_id,dx\na,mel\nb,nv\n", "a", "b")
    touch(tmp_path, "images/a.png")
    with pytest.raises(TableError, match=r"Row 2 .* may be a\.jpg or a\.png in images/"):
        read_data(tmp_path)
    (tmp_path / "metadata.csv").write_text("image_id,dx\na.jpg,mel\nb,nv\n")
    assert [r.file.name for r in read_data(tmp_path).records] == ["a.jpg", "b.jpg"]


def test_name_that_no_file_can_have_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="no data at"):
        read_data(tmp_path / ("a" * 300))


def test_table_is_read_in_its_order_with_all_that_it_says(tmp_path: Path) -> None:
    text = (
        "image_id,dx,lesion_id,split,age,site\n"
        'b,nv,L1,train,45.0,"back, left"\n'
        "a,mel,,Test,,face\n"
        'c,mel,L2,,70,"the ""other"" arm"\n'
    )
    data = read_data(table(tmp_path, text, "a", "b", "c"))
    assert cells(data) == [
        ("b", "nv", "L1", "train"),
        ("a", "mel", None, "test"),
        ("c", "mel", "L2", None),
    ]
    assert [dict(record.extra) for record in data.records] == [
        {"age": "45.0", "site": "back, left"},
        {"age": "", "site": "face"},
        {"age": "70", "site": 'the "other" arm'},
    ]
    assert data.records[0].file == tmp_path / "images" / "b.jpg"


def test_byte_order_mark_spaces_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    text = "\ufeffimage_id,dx,split\r\n a , mel ,TRAIN\r\nb.jpg,nv,Valid\r\n"
    data = read_data(table(tmp_path, text, "a", "b"))
    assert cells(data) == [("a", "mel", None, "train"), ("b.jpg", "nv", None, "val")]
    assert [record.file.name for record in data.records] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("word", ["nan", "NaN", "N/A", "None", "unknown", "-", ""])
def test_lesions_of_which_nothing_is_known_are_not_one_lesion(word: str, tmp_path: Path) -> None:
    text = f"image_id,dx,lesion_id\na,mel,{word}\nb,nv,{word}\nc,nv,L1\n"
    found = read_data(table(tmp_path, text, "a", "b", "c"))
    assert [record.lesion_id for record in found.records] == [None, None, "L1"]


def test_csv_is_read_by_itself(tmp_path: Path) -> None:
    table(tmp_path, "image_id,dx\na,mel\nb,nv\n", "a", "b", name="some.csv")
    data = read_data(tmp_path / "some.csv")
    assert cells(data) == [("a", "mel", None, None), ("b", "nv", None, None)]
    assert data.root == tmp_path / "some.csv"


def test_column_file_names_the_files_relative_to_the_csv(tmp_path: Path) -> None:
    touch(tmp_path, "deep/one.png", "tables/list.csv", "tables/two.png")
    list_csv = tmp_path / "tables" / "list.csv"
    list_csv.write_text("image_id,dx,file\na,mel,../deep/one.png\nb,nv,two.png\n")
    records = read_data(list_csv).records
    assert [record.file.resolve() for record in records] == [
        tmp_path / "deep" / "one.png",
        tmp_path / "tables" / "two.png",
    ]
    assert [dict(record.extra) for record in records] == [{}, {}]


def test_table_comes_before_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "mel/x.jpg", "nv/y.jpg")
    assert len(read_data(table(tmp_path, "image_id,dx\na,mel\nb,nv\n", "a", "b")).records) == 2


# What is said of wrong data


def test_path_without_data_names_the_three_forms(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"no data at .*nowhere; name a folder of class"):
        read_data(tmp_path / "nowhere")


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "mel/notes.txt")
    with pytest.raises(DataNotFoundError, match=r"neither metadata\.csv nor class folders"):
        read_data(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", TableError, "cannot be read as a CSV"),
        ("image_id,dx\na,nävus\n".encode("latin-1"), TableError, "save it as UTF-8 with commas"),
        ('image_id,dx\na,"mel\n', TableError, "cannot be read as a CSV"),
        ("", TableError, "has the columns none"),
        ("image_id;dx\na;mel\n", TableError, "has the columns image_id;dx, expected image_id"),
        ("image_id,label\na,mel\n", TableError, "has the columns image_id, label"),
        ("image_id,dx\n", TableError, "a header and no rows"),
        ("image_id,dx\na,mel\nb,nv\na,nv\n", TableError, r"lists a more than once \(1 ids"),
        ("image_id,dx\na,mel\nb,\n", TableError, "Row 3 .* empty image_id or dx"),
        ("image_id,dx\n,mel\nb,nv\n", TableError, "Row 2 .* empty image_id or dx"),
        ("image_id,dx\na,mel\nb,nv,45\n", TableError, "Row 3 .* more or fewer cells"),
        ("image_id,dx\na,mel\nb\n", TableError, "Row 3 .* more or fewer cells"),
        (
            "image_id,dx,split\na,mel,holdout\nb,nv,test\n",
            TableError,
            "split in row 2 .* is 'holdout', expected train, val or test",
        ),
        (
            "image_id,dx\na,mel\nb,nv\nx,nv\ny,nv\nz,nv\nzz,nv\n",
            MissingImagesError,
            r"4 of 6 ids .* no file in images/ \(first: x, y, z\)",
        ),
        ("image_id,dx\na,mel\nb,mel\n", ClassError, r"2 images of one class \(mel\)"),
        (
            "image_id,dx\na,mel\nb,wart\n",
            ClassError,
            r"whether the class 'wart' is malignant; write a dataset\.toml",
        ),
        ("image_id,dx\na,nv\nb,bkl\n", ClassError, "None of the classes bkl, nv is malignant"),
    ],
)
def test_wrong_table_is_refused_in_words(
    text: str | bytes, expected: type[DataError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(expected, match=words) as caught:
        read_data(table(tmp_path, text, "a", "b"))
    assert "\n" not in str(caught.value)


# Splits and classes of what was read


def test_data_without_a_split_is_all_test(tmp_path: Path) -> None:
    data = read_data(touch(tmp_path, "mel/a.jpg", "nv/b.jpg"))
    assert data.of_split("test") == data.records
    with pytest.raises(TableError, match=r"no image in the split 'val'; it has 2 in test"):
        data.of_split("val")


def test_records_without_a_split_are_in_none_where_others_have_one(tmp_path: Path) -> None:
    text = "image_id,dx,split\na,mel,train\nb,nv,\n"
    data = read_data(table(tmp_path, text, "a", "b"))
    assert [record.image_id for record in data.of_split("train")] == ["a"]
    with pytest.raises(TableError, match="it has 1 in none, 1 in train"):
        data.of_split("test")


def test_classes_are_numbered_as_the_model_does() -> None:
    indices = class_indices(["nv", "mel", "nv"], ["mel", "bkl", "nv"])
    assert indices.tolist() == [2, 0, 2]
    assert indices.dtype == np.int64
    with pytest.raises(ClassError, match=r"class 'df', which the model does not know .*mel, nv"):
        class_indices(["nv", "df"], ["mel", "nv"])


# The real data sets

SEVEN = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}


TASK3 = {"akiec": 43, "bcc": 93, "bkl": 217, "df": 44, "mel": 171, "nv": 909, "vasc": 35}


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "name", "licence", "splits", "classes"),
    [
        ("ham10000", "HAM10000", "CC-BY-NC-4.0", (6959, 1529, 1527), SEVEN),
        ("ham10000_200x150", "HAM10000, all images as 200 x 150", "CC-BY-NC-4.0",
         (6959, 1529, 1527), SEVEN),
        ("isic2018_task3_test", "ISIC 2018 Task 3 test", "CC-BY-NC-4.0", (0, 0, 0), TASK3),
        ("isic2017", "ISIC 2017", "CC-BY-NC-4.0", (2000, 150, 0),
         {"mel": 404, "nv": 1450, "sk": 296}),
        ("full_resolution", "full_resolution", "unknown", (0, 0, 0), {"mel": 8, "nv": 16}),
    ],
)  # fmt: skip
def test_real_data_set_is_read_whole(
    folder: str, name: str, licence: str, splits: tuple[int, int, int], classes: dict[str, int],
    data_root: Path,
) -> None:  # fmt: skip
    data = read_data(data_root / folder)
    by_split = Counter(record.split for record in data.records)
    assert Counter(record.label for record in data.records) == classes
    assert tuple(by_split[split] for split in ("train", "val", "test")) == splits
    assert data.codes == tuple(sorted(classes))
    assert data.melanoma == "mel"
    assert (data.description.name, data.description.licence) == (name, licence)


@pytest.mark.data
def test_nine_class_collection_is_read_as_downloaded(data_root: Path) -> None:
    data = read_data(data_root / "isic_9class")
    assert Counter(record.split for record in data.records) == {"train": 2241, "test": 118}
    assert len(data.codes) == 9
    assert data.melanoma == "melanoma"
    assert [label.code for label in data.labels if label.malignant] == [
        "actinic keratosis", "basal cell carcinoma", "melanoma", "squamous cell carcinoma",
    ]  # fmt: skip
    assert data.description.licence == "CC-BY-NC-4.0"


@pytest.mark.data
def test_ages_and_places_of_ham10000_are_kept_for_subgroup_reports(data_root: Path) -> None:
    with (data_root / "ham10000" / "metadata.csv").open(newline="") as file:
        expected = [(row["image_id"], row["age"]) for row in csv.DictReader(file)]
    records = read_data(data_root / "ham10000" / "metadata.csv").records
    assert [(record.image_id, record.extra["age"]) for record in records] == expected
    assert set(records[0].extra) == {"dx_type", "age", "sex", "localization"}
