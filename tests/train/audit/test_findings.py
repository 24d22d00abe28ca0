from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from edge_runtime.errors import DataNotFoundError, UsageError


def write_table(folder: Path, rows: list[dict[str, str]]) -> Path:
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_clean_folder_is_clean(folders, run_audit):
    status, found = run_audit(folders)
    assert status == 0
    assert found["images"] == found["distinct_files"] == 24
    assert found["unreadable"] == found["duplicates"] == []
    assert found["label_conflicts"] == found["split_leaks"] == 0
    assert found["data_sets"][0]["classes"]["mel"] == {"test": 6, "train": 6}
    assert found["data_sets"][0]["sizes"] == {"200 x 150": 24}


def test_copied_file_is_an_exact_duplicate(folders, run_audit):
    shutil.copy(folders / "Train/mel/00.jpg", folders / "Train/mel/copy.jpg")
    status, found = run_audit(folders)
    assert status == 0
    (group,) = found["duplicates"]
    assert group["kind"] == "exact"
    assert group["files"] == ["Train/mel/00.jpg", "Train/mel/copy.jpg"]
    assert group["labels"] == ["mel", "mel"]
    assert group["splits"] == ["train", "train"]


def test_changed_copy_under_another_label_is_a_conflict(folders, run_audit, draw):
    changed = draw(0).transpose(0).rotate(90, expand=True).crop((10, 10, 140, 180))
    changed.save(folders / "Train/nv/changed.jpg", quality=60)
    status, found = run_audit(folders)
    assert status == 1
    assert found["label_conflicts"] == 1
    assert found["split_leaks"] == 0
    (group,) = found["duplicates"]
    assert group["kind"] == "near"
    assert set(group["files"]) == {"Train/mel/00.jpg", "Train/nv/changed.jpg"}


def test_changed_copy_on_the_other_side_is_a_leak(folders, run_audit, draw):
    draw(0).resize((120, 90)).save(folders / "Test/mel/small.jpg", quality=70)
    status, found = run_audit(folders)
    assert status == 1
    assert found["label_conflicts"] == 0
    assert found["split_leaks"] == 1
    assert set(found["leaking_groups"][0]["splits"]) == {"train", "test"}


def test_lesion_on_both_sides_is_a_leak_and_not_a_duplicate(tmp_path, run_audit, draw):
    (tmp_path / "images").mkdir()
    rows = []
    for lesion in range(1, 9):
        for view in range(2):
            name = f"g{lesion}{view}"
            draw(lesion, view).save(tmp_path / "images" / f"{name}.jpg")
            side = "test" if (lesion, view) == (1, 1) else "train"
            label = "mel" if lesion % 2 else "nv"
            rows.append({"image_id": name, "dx": label, "lesion_id": f"L{lesion}", "split": side})
    status, found = run_audit(write_table(tmp_path, rows))
    assert status == 1
    assert found["duplicates"] == []
    assert found["split_leaks"] == 1
    assert found["leaking_groups"][0]["kind"] == "lesion"
    assert found["lesions_with_several_photographs"] == 8


def test_picture_in_two_data_sets_is_reported_with_its_sides(folders, run_audit, draw, tmp_path):
    for label, seed in (("melanoma", 0), ("nevus", 90)):
        folder = tmp_path / "other" / label
        folder.mkdir(parents=True)
        draw(seed).resize((150, 112)).save(folder / "a.png")
    status, found = run_audit(folders, tmp_path / "other")
    (shared,) = found["cross_set"]
    assert shared["data_sets"] == ["data", "other"]
    assert shared["pictures"] == 1
    assert shared["images"] == [1, 1]
    assert shared["splits"] == [{"train": 1}, {"test": 1}]
    assert status == 1  # in train of one data set, and in another one that is all test
    assert found["label_conflicts"] == 0  # `mel` and `melanoma` are both malignant


def two_tables(tmp_path: Path, draw, names: str) -> tuple[Path, Path]:
    """Photographs of six lesions in one table, and of the first two and six others in the second.

    Both tables show the first lesion by one picture, and the second by two that do not look alike.
    """
    tables = []
    for table, side, lesions in (("a", "train", range(6)), ("b", "test", (0, 1, *range(10, 16)))):
        (tmp_path / table / "images").mkdir(parents=True)
        rows = []
        for lesion in lesions:
            seed = 60 if (table, lesion) == ("b", 1) else lesion
            draw(seed).save(tmp_path / table / "images" / f"{table}{lesion}.png")
            name = f"{names}{lesion}" if table == "b" else f"L{lesion}"
            rows.append({
                "image_id": f"{table}{lesion}", "dx": "mel" if lesion % 2 else "nv",
                "lesion_id": name, "split": side,
            })  # fmt: skip
        tables.append(write_table(tmp_path / table, rows))
    return tables[0], tables[1]


def test_lesion_ids_mean_the_same_where_a_shared_picture_bears_one_in_both(
    tmp_path, run_audit, draw
):
    status, found = run_audit(*two_tables(tmp_path, draw, "L"))
    assert status == 1
    leaks = [(group["kind"], group["files"]) for group in found["leaking_groups"]]
    assert leaks == [
        ("exact", ["a: images/a0.png", "b: images/b0.png"]),
        ("lesion", ["a: images/a1.png", "b: images/b1.png"]),
    ]
    assert found["shared_lesion_ids"] == []


def test_lesion_ids_of_other_numberings_are_not_taken_for_the_same(tmp_path, run_audit, draw):
    first, second = two_tables(tmp_path, draw, "M")
    _, found = run_audit(first, second)
    assert [group["kind"] for group in found["leaking_groups"]] == ["exact"]
    text = (second / "metadata.csv").read_text()
    (second / "metadata.csv").write_text(text.replace("M11,", "L3,"))
    _, found = run_audit(first, second)
    assert [group["kind"] for group in found["leaking_groups"]] == ["exact"]
    assert found["shared_lesion_ids"] == [{"data_sets": ["a", "b"], "ids": ["L3"]}]


def test_malignant_here_and_benign_there_is_a_conflict(folders, run_audit, draw, tmp_path):
    for label, seed in (("melanoma", 90), ("nevus", 0)):
        folder = tmp_path / "other" / label
        folder.mkdir(parents=True)
        draw(seed).save(folder / "a.png")
    status, found = run_audit(folders, tmp_path / "other")
    assert status == 1
    assert found["label_conflicts"] == 1


def test_mapped_class_takes_the_new_name(folders, run_audit, draw, tmp_path):
    other = tmp_path / "other"
    for label, seed in (("melanoma", 0), ("nevus", 90)):
        (other / label).mkdir(parents=True)
        draw(seed).save(other / label / "a.png")
    _, found = run_audit(folders, other, "--map", "melanoma=mel", "--map", "nevus=nv")
    assert set(found["data_sets"][1]["classes"]) == {"mel", "nv"}
    assert found["duplicates"][0]["labels"] == ["mel", "mel"]


def test_ids_without_files_are_findings(tmp_path, run_audit, draw):
    (tmp_path / "images").mkdir()
    rows = [{"image_id": f"g{i}", "dx": "mel" if i % 2 else "nv"} for i in range(5)]
    for i in range(4):
        draw(i).save(tmp_path / "images" / f"g{i}.jpg")
    (tmp_path / "images" / "unlisted.jpg").write_bytes(b"")
    status, found = run_audit(write_table(tmp_path, rows))
    assert status == 0
    assert found["images"] == 4
    assert found["data_sets"][0]["missing"] == ["g4"]
    assert found["data_sets"][0]["stray_files"] == ["unlisted.jpg"]


def test_one_class_alone_can_be_audited(tmp_path, run_audit, draw):
    (tmp_path / "nv").mkdir()
    for i in range(3):
        draw(i).save(tmp_path / "nv" / f"{i}.jpg")
    status, found = run_audit(tmp_path)
    assert status == 0
    assert "one class" in found["data_sets"][0]["remarks"][0]


def test_same_data_given_twice_is_refused(folders, run_audit):
    with pytest.raises(UsageError, match="given twice"):
        run_audit(folders, folders.parent / "." / "data")


def test_folder_and_its_own_table_are_the_same_data(generated, run_audit):
    with pytest.raises(UsageError, match="given twice"):
        run_audit(generated, generated / "metadata.csv")


def test_folder_without_images_is_refused(tmp_path, run_audit):
    with pytest.raises(DataNotFoundError, match="neither"):
        run_audit(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--map", "melanoma"], "expected OLD=NEW"),
        (["--map", "nevus=nv"], "no data set has"),
        (["--no-pictures"], "add --html"),
        (["--fix", "table.txt"], "ends in .csv"),
        (["--html", "no/such/folder/sheet.html"], "folder that exists"),
    ],
)
def test_wrong_call_is_one_sentence(folders, run_audit, words, message):
    with pytest.raises(UsageError, match=message):
        run_audit(folders, *words)
