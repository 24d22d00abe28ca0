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
from tests.edge_runtime.changing import Document, edit_manifest
from tests.edge_runtime.making import encode, noise

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


def test_bundles_cannot_write_to_the_terminal(dermedge: Command, small_bundle: Path):
    def name_it(document: Document) -> None:
        document["name"] = f"{RED}\nname"
        document["labels"][0]["name"] = f"{RED}label"

    edit_manifest(small_bundle, name_it)
    renamed = small_bundle.rename(small_bundle.with_name(f"{RED}bundle"))
    for verb in ("doctor", "info"):
        done = dermedge(verb, renamed, check=0)
        assert "\x1b" not in done.stdout + done.stderr
        assert r"\x1b[31m\nname" in done.stdout
    assert r"\x1b[31mlabel" in dermedge("info", renamed).stdout


@pytest.mark.parametrize("verb", ["audit", "evaluate", "bench", "check"])
def test_verbs_of_the_toolkit_show_names_as_text_too(
    dermedge: Command, small_bundle: Path, tmp_path: Path, verb: str
):
    folder = tmp_path / "data" / "mel"
    folder.mkdir(parents=True)
    for label in ("mel", "nv"):
        (tmp_path / "data" / label).mkdir(exist_ok=True)
        for number in range(2):
            image = tmp_path / "data" / label / f"{RED}{number}.png"
            image.write_bytes(encode(noise(seed=len(label) + number), "PNG"))
    (folder / f"{RED}text.jpg").write_text("no image")
    edit_manifest(small_bundle, lambda document: document.update(name=f"{RED}name"))
    data = ["--data", tmp_path / "data"]
    words: dict[str, list[object]] = {
        "audit": [tmp_path / "data"], "bench": [small_bundle, "--runs", 10],
        "evaluate": [small_bundle, *data, "--bootstrap", 0], "check": [small_bundle, *data],
    }  # fmt: skip
    done = dermedge(verb, *words[verb])
    assert "\x1b" not in done.stdout + done.stderr
    assert r"\x1b[31m" in done.stdout + done.stderr


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
@pytest.mark.parametrize("call", ["good", "missing image", "name of no text", "missing bundle"])
def test_closed_streams_are_no_trouble(
    closed: str, call: str, bundle: Path, images: list[Path], tmp_path: Path
):
    """As where a service or a script has closed them; what is still open gets what is for it."""
    command = Path(sys.executable).parent / "dermedge"
    other = {
        "good": images[1], "missing image": tmp_path / "none.jpg", "missing bundle": images[1],
        "name of no text": os.fsdecode(b"none\xff.jpg"),
    }[call]  # fmt: skip
    model = tmp_path / "none" if call == "missing bundle" else bundle
    form = ["--json"] if call != "name of no text" else []
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", command, "classify", other, images[0], "--model",
         model, *form],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == {"good": 0, "missing bundle": 2}.get(call, 1)
    if ">&-" in closed.replace("2>&-", "") or call == "missing bundle":
        assert done.stdout == ""
    elif form:
        files = [json.loads(line)["file"] for line in done.stdout.splitlines()]
        assert files == [str(other), str(images[0])]
    else:
        assert done.stdout.startswith(f"{images[0]}: ")
    assert (done.stderr == "") == ("2>&-" in closed)
    assert "Traceback" not in done.stderr


def test_native_noise_of_a_closed_stream_does_not_get_into_files(tmp_path: Path):
    """Without a descriptor 2, the next file that is opened would get it."""
    program = (
        "import os, sys\n"
        "from edge_runtime._terminal import open_streams, quiet_stderr\n"
        "open_streams()\n"
        "with open(sys.argv[1], 'w') as file, quiet_stderr():\n"
        "    os.write(2, b'noise')\n"
        "    file.write('report')\n"
    )
    words = ["sh", "-c", '"$@" <&- 2>&-', "sh", sys.executable, "-c", program, tmp_path / "file"]
    subprocess.run(words, check=True, timeout=60)
    assert (tmp_path / "file").read_text() == "report"
