"""What reaches a terminal, a pipe, or nobody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime._terminal import visible
from tests.conftest import Command

RED = "\x1b[31m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lesion 1.jpg", "lesion 1.jpg"),
        ("Größe 山.jpg", "Größe 山.jpg"),
        ("", ""),
        (f"{RED}x", r"\x1b[31mx"),
        ("a\nb\rc\td\0", r"a\nb\rc\td\x00"),
        ("left\u202eright\u2028", r"left\u202eright\u2028"),
        (os.fsdecode(b"\xff.jpg"), os.fsdecode(b"\xff.jpg")),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_its_escape(text: str, shown: str):
    assert visible(text) == shown


def test_names_of_files_cannot_write_to_the_terminal(
    dermedge: Command, bundle: Path, images: list[Path], tmp_path: Path
):
    good, bad = tmp_path / f"{RED}good\n.jpg", tmp_path / f"{RED}bad.jpg"
    shutil.copy(images[0], good)
    bad.write_text("a,b\n")
    (tmp_path / RED).mkdir()
    calls: list[tuple[int, list[object]]] = [
        (0, [good]), (1, [good, bad]), (1, [bad]), (1, [tmp_path / f"{RED}none.jpg"]),
        (2, [tmp_path / RED]), (2, [good, f"--{RED}"]), (2, [good, "--model", tmp_path / RED]),
    ]  # fmt: skip
    for status, words in calls:
        done = dermedge("classify", "--model", bundle, *words, check=status)
        assert "\x1b" not in done.stdout + done.stderr
        assert r"\x1b[31m" in done.stdout + done.stderr
    renamed = Path(shutil.copytree(bundle, tmp_path / f"{RED}bundle"))
    for verb in ("doctor", "info"):
        done = dermedge(verb, renamed, check=0)
        assert "\x1b" not in done.stdout + done.stderr


def test_json_is_json_whatever_the_terminal_can_show(
    dermedge: Command, bundle: Path, images: list[Path], tmp_path: Path
):
    file = tmp_path / "Läsion 山 \N{MICROSCOPE}.jpg"
    shutil.copy(images[0], file)
    for words in (["classify", file, "--model", bundle], ["doctor", bundle], ["info", bundle]):
        done = dermedge(*words, "--json", check=0, PYTHONIOENCODING="ascii")
        told = json.loads(done.stdout)
        if words[0] == "classify":
            assert told["file"] == str(file)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_trouble(
    closed: str, bundle: Path, images: list[Path], tmp_path: Path
):
    """As where a service or a script has closed them; what is still open gets what is for it."""
    command = Path(sys.executable).parent / "dermedge"
    missing = tmp_path / "none.jpg"
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", command, "classify", images[0], missing, "--model",
         bundle, "--json"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    first_and_missing = [str(images[0]), str(missing)]
    files = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    assert files == ([] if ">&-" in closed.replace("2>&-", "") else first_and_missing)
    assert done.stderr.startswith("" if "2>&-" in closed else "2 images: 1 failed, ")
    assert "Traceback" not in done.stderr
