from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import UnreadableImagesError
from train.audit.sources import read_sources


def test_odd_files_are_findings_and_stop_nothing(folders, run_audit, draw):
    mel = folders / "Train/mel"
    (mel / "text.jpg").write_text("not an image")
    (mel / "empty.jpg").write_bytes(b"")
    whole = (mel / "00.jpg").read_bytes()
    (mel / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (mel / "Thumbs.db").write_bytes(b"x")
    draw(40).convert("CMYK").save(mel / "printed.jpg")
    draw(41).save(mel / "really_png.jpg", "PNG")
    draw(42).crop((0, 50, 200, 90)).save(mel / "strip.png")
    draw(43).resize((40, 30)).save(mel / "tiny.png")
    draw(44).convert("L").save(mel / "grey.png")
    draw(45).quantize(64).save(mel / "palette.png")
    grey = np.asarray(draw(46).convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(mel / "deep.png")
    turned = draw(47)
    turned.getexif()[0x0112] = 6
    turned.save(mel / "turned.jpg", exif=turned.getexif())
    status, found = run_audit(folders)
    assert status == 0
    problems = {entry["file"]: entry["problem"] for entry in found["unreadable"]}
    assert set(problems) == {f"Train/mel/{name}.jpg" for name in ("text", "empty", "cut")}
    assert "a text file" in problems["Train/mel/text.jpg"]
    assert "truncated" in problems["Train/mel/cut.jpg"]
    for name, oddity in {
        "printed.jpg": "CMYK", "really_png.jpg": "wrong suffix", "strip.png": "elongated",
        "tiny.png": "tiny", "grey.png": "grey", "palette.png": "palette", "deep.png": "16-bit",
        "turned.jpg": "turned",
    }.items():  # fmt: skip
        assert f"Train/mel/{name}" in found["odd"][oddity], oddity
    assert found["data_sets"][0]["stray_files"] == ["Train/mel/Thumbs.db"]


def test_data_without_one_readable_image_is_refused(tmp_path, run_audit):
    for label in ("mel", "nv"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.jpg").write_text("no image")
    with pytest.raises(UnreadableImagesError, match="None of the 2 images"):
        run_audit(tmp_path)


def test_one_readable_image_is_enough_to_report(tmp_path, run_audit, draw):
    for label in ("mel", "nv"):
        (tmp_path / label).mkdir()
    draw(1).save(tmp_path / "mel/a.jpg")
    (tmp_path / "nv/a.jpg").write_text("no image")
    status, found = run_audit(tmp_path)
    assert status == 0
    assert len(found["unreadable"]) == 1
    assert found["duplicates"] == []


def test_name_that_is_not_text_is_shown_and_stops_nothing(folders, run_audit):
    (folders / "Train/mel" / os.fsdecode(b"caf\xe9.jpg")).write_text("no image")
    status, found = run_audit(folders)
    assert status == 0
    assert found["unreadable"][0]["file"] == "Train/mel/caf?.jpg"


def test_data_sets_whose_parents_have_one_name_too_are_told_apart(tmp_path, draw):
    roots = [tmp_path / site / "ham" / "data" for site in ("north", "south")]
    for number, root in enumerate(roots):
        for label in ("mel", "nv"):
            (root / label).mkdir(parents=True)
            draw(number).save(root / label / "a.png")
    names = [source.name for source in read_sources(roots, {}, {})]
    assert names == ["north/ham/data", "south/ham/data"]
