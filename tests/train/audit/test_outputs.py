from __future__ import annotations

import csv
import os
import re
import shutil

import pytest
from PIL import Image

from edge_runtime.commands import main
from edge_runtime.errors import ClassError, TableError, UsageError
from train.data.table import read_data


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def faulty(folders, draw):
    """The clean folders with a conflict, an exact copy and a changed copy across the split."""
    shutil.copy(folders / "Train/mel/00.jpg", folders / "Train/nv/conflict.jpg")
    shutil.copy(folders / "Train/mel/01.jpg", folders / "Train/mel/copy.jpg")
    draw(2).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folders / "Test/mel/leak.jpg")
    (folders / "Train/mel/broken.jpg").write_text("no image")
    return folders


def test_fixed_table_is_clean_and_nothing_is_lost_from_sight(faulty, tmp_path, run_audit):
    out = tmp_path / "fixed.csv"
    status, found = run_audit(faulty, "--fix", out)
    assert status == 1
    assert (found["label_conflicts"], found["split_leaks"]) == (1, 1)
    kept, aside = rows_of(out), rows_of(tmp_path / "fixed.set-aside.csv")
    assert len(kept) + len(aside) == found["images"]
    reasons = {row["file"].split("data/")[1]: row["reason"] for row in aside}
    assert set(reasons) == {
        "Train/mel/00.jpg", "Train/nv/conflict.jpg", "Train/mel/copy.jpg", "Train/mel/broken.jpg",
    }  # fmt: skip
    assert reasons["Train/mel/00.jpg"] == "one picture under the labels mel, nv"
    assert reasons["Train/mel/copy.jpg"] == "the same file as Train/mel/01.jpg"
    assert reasons["Train/mel/broken.jpg"].startswith("cannot be read")
    by_file = {row["file"].split("data/")[1]: row for row in kept}
    assert by_file["Test/mel/leak.jpg"]["lesion_id"] == by_file["Train/mel/02.jpg"]["lesion_id"]
    assert {row["split"] for row in kept} == {"train", "val", "test"}

    status, again = run_audit(out)
    assert status == 0
    assert again["images"] == len(kept)
    assert again["unreadable"] == []


def test_description_and_licence_come_along(faulty, tmp_path, run_audit):
    (faulty / "dataset.toml").write_text(
        'name = "generated"\nmalignant = ["mel", "nv"]\nmelanoma = "mel"\n'
        'licence = "CC-BY-NC-4.0"\ncitation = "Läsion \\"1\\""\n[names]\nmel = "our melanoma"\n'
    )
    (tmp_path / "elsewhere").mkdir()
    out = tmp_path / "elsewhere" / "fixed.csv"
    run_audit(faulty, "--fix", out)
    before, after = read_data(faulty), read_data(out)
    assert after.labels == before.labels
    assert (after.melanoma, after.description.generated) == ("mel", True)
    assert after.description.licence == "CC-BY-NC-4.0"
    assert after.description.citation == 'Läsion "1"'


def test_name_that_no_table_can_hold_is_shown_and_not_written(folders, tmp_path, run_audit):
    shutil.copy(folders / "Train/mel/00.jpg", folders / "Train/mel" / os.fsdecode(b"\xff.jpg"))
    _, found = run_audit(folders)
    assert found["duplicates"][0]["files"] == ["Train/mel/00.jpg", "Train/mel/?.jpg"]
    with pytest.raises(TableError, match=r"The name b'\\xff\.jpg' is no UTF-8"):
        run_audit(folders, "--fix", tmp_path / "fixed.csv")
    assert not (tmp_path / "fixed.csv").exists()


def test_table_that_is_audited_is_not_written_over(faulty, tmp_path, run_audit):
    out = tmp_path / "fixed.csv"
    run_audit(faulty, "--fix", out)
    before = out.read_bytes()
    for flag in ("--fix", "--html"):
        with pytest.raises(UsageError, match=r"fixed\.csv, which is the table to be audited"):
            run_audit(out, flag, out)
    assert out.read_bytes() == before


def test_split_without_a_leak_is_kept(folders, tmp_path, run_audit):
    out = tmp_path / "fixed.csv"
    run_audit(folders, "--fix", out)
    test = {row["image_id"] for row in rows_of(out) if row["split"] == "test"}
    assert test == {r.image_id for r in read_data(folders).records if r.split == "test"}


def names(rows):
    return {row["file"].split("data/")[1] for row in rows}


def test_kept_split_loses_what_leaks_on_the_side_of_training(faulty, tmp_path, run_audit):
    before = {record.file for record in read_data_of(faulty) if record.split == "test"}
    out = tmp_path / "fixed.csv"
    run_audit(faulty, "--fix", out, "--keep-split")
    kept, aside = rows_of(out), rows_of(tmp_path / "fixed.set-aside.csv")
    assert {(tmp_path / row["file"]).resolve() for row in kept if row["split"] == "test"} == before
    reasons = {row["file"].split("data/")[1]: row["reason"] for row in aside}
    leak = "the same picture or lesion as Test/mel/leak.jpg, in test"
    assert reasons.pop("Train/mel/02.jpg") == leak
    assert set(reasons) == {
        "Train/mel/00.jpg", "Train/nv/conflict.jpg", "Train/mel/copy.jpg", "Train/mel/broken.jpg",
    }  # fmt: skip
    assert run_audit(out)[0] == 0


def read_data_of(folder):
    (folder / "Train/mel/broken.jpg").rename(folder.parent / "broken.jpg")
    try:
        return read_data(folder).records
    finally:
        (folder.parent / "broken.jpg").rename(folder / "Train/mel/broken.jpg")


def test_picture_of_the_test_part_outlives_its_contradicting_copy_in_training(
    folders, tmp_path, run_audit
):
    shutil.copy(folders / "Test/mel/20.jpg", folders / "Train/nv/conflict.jpg")
    out = tmp_path / "fixed.csv"
    run_audit(folders, "--fix", out, "--keep-split")
    assert "Test/mel/20.jpg" in names(rows_of(out))
    assert names(rows_of(tmp_path / "fixed.set-aside.csv")) == {"Train/nv/conflict.jpg"}


def test_held_out_data_is_not_written_and_what_it_shares_is_set_aside(
    folders, tmp_path, run_audit, draw
):
    for label, seed in (("mel", 0), ("mel", 90), ("nv", 91), ("nv", 92)):
        folder = tmp_path / "other" / label
        folder.mkdir(parents=True, exist_ok=True)
        draw(seed).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(folder / f"{seed}.png")
    out = tmp_path / "fixed.csv"
    call = (folders, tmp_path / "other", "--fix", out, "--keep-split")
    with pytest.raises(UsageError, match=r"other brings no split .* --train-only or --held-out"):
        run_audit(*call)
    run_audit(*call, "--held-out", "other")
    assert {row["data_set"] for row in rows_of(out)} == {"data"}
    (aside,) = rows_of(tmp_path / "fixed.set-aside.csv")
    assert aside["file"].endswith("Train/mel/00.jpg")
    assert aside["reason"] == "the same picture or lesion as other: mel/0.png, in test"


def test_data_for_training_only_adds_what_is_new_and_leaves_its_own_split(
    folders, tmp_path, run_audit, draw
):
    shown = (("Train", "nv", 0), ("Test", "mel", 1))  # both are mel and training pictures of ours
    new = (("Train", "mel", 90), ("Test", "nv", 91), ("Test", "mel", 92))
    for side, label, seed in shown + new:
        folder = tmp_path / "other" / side / label
        folder.mkdir(parents=True, exist_ok=True)
        draw(seed).save(folder / f"{seed}.png")
    out = tmp_path / "fixed.csv"
    call = (folders, tmp_path / "other", "--fix", out, "--keep-split")
    run_audit(*call, "--train-only", "other")
    assert sum(row["data_set"] == "data" for row in rows_of(out)) == 24
    aside = rows_of(tmp_path / "fixed.set-aside.csv")
    assert {row["file"].split("other/")[1] for row in aside} == {"Train/nv/0.png", "Test/mel/1.png"}
    theirs = [row for row in rows_of(out) if row["data_set"] == "other"]
    assert [row["split"] for row in theirs] == ["train"] * 3
    with pytest.raises(UsageError, match="no data set 'elsewhere' among those named"):
        run_audit(*call, "--train-only", "elsewhere")
    with pytest.raises(UsageError, match="add --keep-split"):
        run_audit(*call[:-1], "--train-only", "other")


def test_fix_refuses_classes_that_do_not_meet_and_says_how_to_map(
    folders, tmp_path, run_audit, draw
):
    for label, seed in (("melanoma", 90), ("lentigo", 91), ("nv", 92)):
        folder = tmp_path / "other" / label
        folder.mkdir(parents=True)
        draw(seed).save(folder / "a.png")
    (tmp_path / "other" / "dataset.toml").write_text(
        'name = "other"\nmalignant = ["melanoma"]\nmelanoma = "melanoma"\n'
        '[names]\nmelanoma = "melanoma"\n'
    )
    out = tmp_path / "merged.csv"
    call = (tmp_path / "other", folders, "--fix", out)
    with pytest.raises(ClassError, match="data has the class mel, which other does not have"):
        run_audit(*call)
    assert not out.exists()
    with pytest.raises(ClassError, match='--map "mel=melanoma"'):
        run_audit(*call)
    status, _ = run_audit(*call, "--map", "mel=melanoma")
    assert status == 0
    merged = rows_of(out)
    assert {row["dx"] for row in merged} == {"melanoma", "nv"}  # one lentigo cannot be split
    assert {row["data_set"] for row in merged} == {"data", "other"}


def test_sheet_shows_pictures_and_needs_no_network(faulty, tmp_path, run_audit):
    sheet = tmp_path / "sheet.html"
    run_audit(faulty, "--html", sheet)
    page = sheet.read_text(encoding="utf-8")
    assert "Labels that contradict each other" in page
    assert page.index("Labels that contradict") < page.index("On both sides of a split")
    assert page.count("data:image/jpeg;base64,") >= 5
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_data_without_a_split_is_not_called_free_of_leaks(
    folders, draw, tmp_path, run_audit, capsys
):
    data = folders / "Train"  # class folders alone
    draw(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(data / "mel" / "turned.jpg")
    status, found = run_audit(data, "--html", tmp_path / "audit.html")
    assert (status, found["split_leaks"]) == (0, None)
    page = (tmp_path / "audit.html").read_text("utf-8")
    for words in ("conflict. No split is given", "one made by chance, image by image, would part"):
        assert words in page
    assert "no split leaks" not in page
    assert "test</span>" not in page
    assert "<th>no split</th>" in page
    assert main(["audit", str(data)]) == 0
    printed = capsys.readouterr().out
    assert "so none can leak; --fix makes one that keeps duplicates together." in printed
    assert "test" not in printed.partition("Shortcuts")[0].replace(str(tmp_path), "")


def test_groups_that_a_split_by_chance_would_tear_are_counted(folders, run_audit, capsys):
    data = folders / "Train"  # class folders alone
    for number in range(3):
        shutil.copy(data / "mel" / f"0{number}.jpg", data / "mel" / f"copy{number}.jpg")
    assert main(["audit", str(data)]) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("split leaks")]
    assert re.match(r"split leaks +-  no split is given; .* would part about 1 of 3 groups$", line)
    _, found = run_audit(data)
    assert found["data_sets"][0]["has_split"] is False
    assert found["torn_by_chance"] == round(3 * (1 - 0.7**2 - 2 * 0.15**2), 1)


def test_data_without_a_split_counts_as_test_beside_others(folders, tmp_path, run_audit, capsys):
    shutil.copytree(folders / "Test", tmp_path / "other")
    assert main(["audit", str(folders), str(tmp_path / "other")]) == 0
    printed = capsys.readouterr().out
    assert "No labels conflict and no split leaks." in printed
    assert "other: It brings no split: beside the others it counts as test" in printed
    assert "12 different files of other (no split)" in printed
    _, found = run_audit(folders, tmp_path / "other")
    assert [one["has_split"] for one in found["data_sets"]] == [True, False]
    assert found["torn_by_chance"] is None


def test_sheet_without_pictures_holds_none(faulty, tmp_path, run_audit):
    sheet = tmp_path / "sheet.html"
    run_audit(faulty, "--html", sheet, "--no-pictures")
    page = sheet.read_text(encoding="utf-8")
    assert "data:image" not in page
    assert "Train/nv/conflict.jpg" in page


def test_names_are_escaped_in_the_sheet(folders, tmp_path, run_audit):
    evil = "<img src=x onerror=alert(1)>.jpg"
    shutil.copy(folders / "Train/mel/00.jpg", folders / "Train/nv" / evil)
    sheet = tmp_path / "sheet.html"
    run_audit(folders, "--html", sheet)
    page = sheet.read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;.jpg" in page


@pytest.mark.slow
@pytest.mark.data
def test_nine_class_collection_is_found_out_and_put_right(data_root, tmp_path, run_audit):
    out = tmp_path / "nine.csv"
    status, found = run_audit(data_root / "isic_9class", "--fix", out)
    assert status == 1
    assert found["images"] == 2359
    assert found["distinct_files"] == 2200
    assert found["label_conflicts"] >= 150
    assert found["split_leaks"] >= 20
    pairs = {tuple(sorted(set(group["labels"]))) for group in found["conflicting_groups"]}
    assert ("melanoma", "seborrheic keratosis") in pairs
    status, again = run_audit(out)
    assert status == 0
    assert again["label_conflicts"] == again["split_leaks"] == 0


@pytest.mark.parametrize("seed", ["-1", "999999999999999999999", "a"])
def test_seed_that_cannot_be_is_refused_before_the_work(folders, tmp_path, seed, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["audit", str(folders), "--fix", str(tmp_path / "own.csv"), "--seed", seed])
    assert ended.value.code == 2
    assert "argument --seed: found" in capsys.readouterr().err
    assert not (tmp_path / "own.csv").exists()


def test_table_behind_a_link_is_written_where_it_lies(folders, tmp_path, capsys):
    kept, link = tmp_path / "far" / "kept", tmp_path / "deep" / "er" / "own.csv"
    kept.mkdir(parents=True)
    link.parent.mkdir(parents=True)
    link.symlink_to(kept / "own.csv")
    assert main(["audit", str(folders), "--fix", str(link)]) == 0, capsys.readouterr().err
    assert link.is_symlink()
    assert len(read_data(kept / "own.csv").records) == len(rows_of(kept / "own.csv"))
    assert (kept / "own.set-aside.csv").is_file()
    assert [path.name for path in link.parent.iterdir()] == ["own.csv"]
