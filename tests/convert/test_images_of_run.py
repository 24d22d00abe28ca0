"""Which images of a run are converted with: found again, unchanged, and the right ones."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.calibration import calibration_rows
from convert.evidence import images_of_run
from edge_runtime.errors import DataError, LeakError, MissingImagesError
from train.run import RunFolder, SplitRow

# The run's images


@pytest.fixture
def moved(run_folder: RunFolder, generated: Path, tmp_path: Path) -> tuple[RunFolder, Path]:
    """The run with its images somewhere else than it remembers."""
    shutil.copytree(run_folder.folder, tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    record["data_folder"] = str(tmp_path / "where they were")
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    shutil.copytree(generated, tmp_path / "where they are")
    return RunFolder.open(tmp_path / "run"), tmp_path / "where they are"


def test_images_that_have_moved_are_asked_for_and_found(
    moved: tuple[RunFolder, Path], run_folder: RunFolder
) -> None:
    run, data = moved
    with pytest.raises(MissingImagesError, match=r"703 of 703 .* say with --data where they are"):
        images_of_run(run)
    for where in (data, data / "metadata.csv"):
        found = images_of_run(run, where)
        assert found.rows == images_of_run(run_folder).rows
    np.testing.assert_array_equal(found.tensors, images_of_run(run_folder).tensors)


def test_changed_image_is_refused(moved: tuple[RunFolder, Path]) -> None:
    run, data = moved
    changed = data / run.rows()[5].file
    Image.new("RGB", (100, 75)).save(changed)
    with pytest.raises(LeakError, match=rf"1 images have changed .*{changed.name}.*restore them"):
        images_of_run(run, data)


def test_missing_image_is_refused(moved: tuple[RunFolder, Path]) -> None:
    run, data = moved
    (data / run.rows()[5].file).unlink()
    with pytest.raises(DataError, match=r"1 of 703 images of the run are not in"):
        images_of_run(run, data)


# Calibration images


def row(number: int, label: str, split: str, digest: str = "") -> SplitRow:
    return SplitRow(
        f"i{number}", f"{number}.jpg", digest or f"{number:064x}", label, f"L{number}", split
    )


def test_calibration_images_are_training_images_of_all_classes_alike(
    run_folder: RunFolder,
) -> None:
    rows = run_folder.rows()
    drawn = calibration_rows(rows, 60, 0)
    assert Counter(rows[index].split for index in drawn) == {"train": 60}
    assert Counter(rows[index].label for index in drawn) == {"bkl": 20, "mel": 20, "nv": 20}
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert calibration_rows(rows, 60, 0).tolist() == drawn.tolist()
    assert calibration_rows(rows, 60, 1).tolist() != drawn.tolist()


def test_class_that_runs_out_leaves_its_share_to_the_others() -> None:
    rows = [row(n, "mel" if n < 4 else "nv", "train") for n in range(100)]
    drawn = calibration_rows(rows, 30, 0)
    assert Counter(rows[index].label for index in drawn) == {"mel": 4, "nv": 26}
    assert calibration_rows(rows, 1000, 0).tolist() == list(range(100))


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_calibration_image_that_is_also_held_out_is_refused(held_out: str) -> None:
    rows = [row(0, "mel", "train", "a" * 64), row(1, "nv", "train"), row(2, "mel", held_out)]
    assert calibration_rows(rows, 10, 0).tolist() == [0, 1]
    copied = [*rows, row(3, "nv", held_out, "a" * 64)]
    with pytest.raises(LeakError, match="i0 is also in validation or test"):
        calibration_rows(copied, 10, 0)
