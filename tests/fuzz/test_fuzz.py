"""The short form of `make fuzz`: the corpus, every past crash, and some thousand mutated inputs."""

from __future__ import annotations

import importlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.campaign import LEAST_REACHED
from tests.fuzz.containers import join, split
from tests.fuzz.generating import image_file
from tests.fuzz.mutating import mutate_image
from tests.fuzz.mutating_manifest import pack, unpack

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MUTATED = {"decoding": 2000, "manifest": 300}
LARGEST_CORPUS = 300_000  # bytes; it is committed


def entries(kind: str) -> list[Path]:
    return sorted(path for path in (HERE / kind).glob("*/*") if path.is_file())


@pytest.mark.parametrize("file", entries("crashes"), ids=lambda file: file.name)
def test_input_that_once_failed_fails_no_more(file: Path):
    importlib.import_module(f"tests.fuzz.{file.parent.name}").check(file.read_bytes())


@pytest.mark.parametrize("target", ["decoding", "manifest"])
def test_corpus_is_survived_and_much_of_it_reaches_the_end(target: str):
    module = importlib.import_module(f"tests.fuzz.{target}")
    files = sorted((HERE / "corpus" / target).iterdir())
    outcomes = [module.check(file.read_bytes()) for file in files]
    assert any(outcome.startswith(module.REACHED) for outcome in outcomes)
    assert sum(file.stat().st_size for file in files) < LARGEST_CORPUS


@pytest.mark.parametrize("target", ["decoding", "manifest"])
def test_mutated_inputs_end_well_and_a_third_of_them_reaches_the_end(target: str):
    words = [sys.executable, "-m", "tests.fuzz.blind", target, str(MUTATED[target])]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["mutated"] == MUTATED[target]
    assert len(told["outcomes"]) >= 3  # refusals of several kinds, too
    if target == "decoding":
        assert told["reached"] >= LEAST_REACHED * told["mutated"]


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WebP"])
def test_file_taken_apart_and_put_together_is_the_same_file(file_format: str):
    for seed in range(20):
        content = image_file(random.Random(seed), file_format)
        parts = split(content)
        assert parts is not None
        assert parts.chunks
        assert join(parts) == content


def test_same_seed_gives_the_same_input():
    content = image_file(random.Random(1))
    assert content == image_file(random.Random(1))
    ways = {mutate_image(content, random.Random(seed)) for seed in range(40)}
    assert ways == {mutate_image(content, random.Random(seed)) for seed in range(40)}
    assert len(ways) > 30


def test_packed_files_are_unpacked():
    files = {"manifest.json": b'{"a": 1}\n', "labels.txt": b"nv\nmel\n", "manifest.sig": b"\n\0x"}
    assert unpack(pack(files)) == files
    assert unpack(b'{"a": 1}') == {"manifest.json": b'{"a": 1}'}
