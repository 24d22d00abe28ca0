"""`dermedge demo`: the main job from end to end, for real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from convert.variants import DEFAULT_VARIANTS
from edge_runtime.bundle import Bundle
from edge_runtime.commands import main

if TYPE_CHECKING:
    from tests.conftest import Command
    from train.run import RunFolder


def test_demo_trains_converts_judges_and_classifies(dermedge: Command, tmp_path: Path) -> None:
    done = dermedge("demo", "--json", cwd=tmp_path, check=0)
    assert "Traceback" not in done.stderr
    (line,) = done.stdout.splitlines()
    printed = json.loads(line)
    assert printed["generated"] is True
    assert printed["bundle"] == "out/demo/bundle"

    variants = {one["name"]: one for one in printed["variants"]}
    assert list(variants) == list(DEFAULT_VARIANTS)
    for one in variants.values():
        assert one["verdict"] == "pass", one
        assert 0.80 < one["metrics"]["melanoma_auc"]["value"] < 0.99
        assert one["difference"]["melanoma_auc"]["high"] < 0.01
        assert one["median_ms"] > 0
    manifest = Bundle.open(tmp_path / "out" / "demo" / "bundle").manifest
    assert {variant.name for variant in manifest.variants} == set(DEFAULT_VARIANTS)
    assert manifest.source.generated
    assert manifest.source.licence == "CC0-1.0"

    answers = printed["classified"]
    assert len(answers) == 3
    for answer in answers:
        assert (tmp_path / answer["file"]).is_file()
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert answer["model"]["variant"] == "tflite_int8"
        assert "error" not in answer

    before = sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*"))
    again = dermedge("demo", cwd=tmp_path, check=2)
    assert again.stderr.count("\n") == 1
    assert "holds data, run, bundle already; add --overwrite" in again.stderr
    assert sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*")) == before


def test_demo_with_a_wrong_seed_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path / "demo"), "--seed", "-1"]) == 2
    assert "seed is -1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_no_demo_has_left_is_not_replaced(
    tmp_path: Path, run_folder: RunFolder, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "project"
    (own / "data").mkdir(parents=True)
    (own / "data" / "my_labels.csv").write_text("image_id,dx\n")
    words = ["demo", "--out", str(own), "--overwrite"]
    assert main(words) == 2
    assert f"{own / 'data'} was not left by a demo" in capsys.readouterr().err
    assert (own / "data" / "my_labels.csv").exists()

    shutil.rmtree(own / "data")
    (own / "data").symlink_to(run_folder.run.data_folder)
    assert main(words) == 2
    assert "data was not left by a demo" in capsys.readouterr().err

    (own / "data").unlink()
    for name, kept in (("run", run_folder.folder), ("bundle", bundle)):
        shutil.copytree(kept, own / name)
    assert main([*words, "--seed", "-1"]) == 2  # generated, so only the seed is wrong
    assert "seed is -1" in capsys.readouterr().err
    assert {part.name for part in own.iterdir()} == {"run", "bundle"}
    for file in (own / "run" / "run.json", own / "bundle" / "manifest.json"):
        text = file.read_text()
        changed = text.replace('"name": "generated"', '"name": "clinic"')
        file.write_text(changed.replace('"generated": true', '"generated": false'))
        assert file.read_text() != text
        assert main(words) == 2
        assert f"{file.parent} was not left by a demo" in capsys.readouterr().err
        file.write_text(text)
    assert {part.name for part in own.iterdir()} == {"run", "bundle"}
