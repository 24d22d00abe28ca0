"""Places that long work is written to are tried first, and refused in one sentence."""

from __future__ import annotations

import errno
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


def test_full_disk_is_left_to_the_command_line(small_disk: Path):
    file = small_disk / "report.html"
    with pytest.raises(OSError, match="No space left") as caught, writing(file):
        write_bytes(file, bytes(1_000_000))
    assert caught.value.errno == errno.ENOSPC
