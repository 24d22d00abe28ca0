"""Places that long work is written to are tried first, and refused in one sentence."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from edge_runtime._files import new_folder, write_bytes
from edge_runtime.errors import UsageError
from tests.edge_runtime.making import assert_one_sentence
from train.output import try_place, writing


def test_place_is_made_and_left_empty(tmp_path: Path):
    try_place(tmp_path / "a" / "b" / "bundle")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


def test_place_below_a_file_is_refused_in_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "file" / "bundle"
    with pytest.raises(UsageError, match=r"cannot be written \(Not a directory\)") as caught:
        try_place(out)
    assert_one_sentence(caught.value)
    with pytest.raises(UsageError, match="bundle cannot be written"), writing(out), new_folder(out):
        pass


@pytest.mark.parametrize("target", ["link", "/proc/nowhere/bundle"])
def test_link_that_leads_nowhere_is_refused_before_the_work(tmp_path: Path, target: str):
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(UsageError, match="link cannot be written"):
        try_place(link)
    assert list(tmp_path.iterdir()) == [link]


def test_full_disk_is_left_to_the_command_line(small_disk: Path):
    file = small_disk / "report.html"
    with pytest.raises(OSError, match="No space left") as caught, writing(file):
        write_bytes(file, bytes(1_000_000))
    assert caught.value.errno == errno.ENOSPC


def test_file_that_a_link_points_to_is_written(tmp_path: Path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "old.json").write_text("old")
    link = tmp_path / "latest.json"
    link.symlink_to("kept/old.json")
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "kept" / "old.json").read_bytes() == b"new"


def test_link_to_itself_is_replaced(tmp_path: Path):
    link = tmp_path / "report.json"
    link.symlink_to("report.json")
    write_bytes(link, b"new")
    assert link.read_bytes() == b"new"


def test_pipe_is_written_to_and_stays(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_bytes(pipe, b"report")
    reader.join(timeout=10)
    assert read == [b"report"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def fill(out: Path, word: str) -> None:
    with new_folder(out) as folder:
        (folder / "file").write_text(word)


def test_folder_that_a_link_points_to_is_replaced(tmp_path: Path):
    fill(tmp_path / "v1", "old")
    (tmp_path / "latest").symlink_to("v1")
    fill(tmp_path / "latest", "new")
    assert (tmp_path / "v1" / "file").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"v1", "latest"}


def test_working_folder_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fill(tmp_path / "bundle", "old")
    monkeypatch.chdir(tmp_path / "bundle")
    fill(Path(), "new")
    assert (tmp_path / "bundle" / "file").read_text() == "new"


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_interrupted_replacement_leaves_one_whole_folder(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ctrl-C before, between and after the two renames."""
    fill(tmp_path / "bundle", "old")
    plain, done = os.replace, []

    def interrupted(source: Path, target: Path) -> None:
        if len(done) < renames:
            plain(source, target)
        done.append(target)
        if len(done) == max(1, renames):
            monkeypatch.setattr(os, "replace", plain)
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "bundle", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (tmp_path / "bundle" / "file").read_text() == ("new" if renames == 2 else "old")
