"""Generated images and the data set made of them."""

from __future__ import annotations

import csv
import hashlib
import os
import stat
import subprocess
import sys
import textwrap
import tomllib
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_runtime.errors import UsageError
from train.synthetic import DEFAULT_LESIONS, LABELS, render, write_dataset
from train.synthetic.dataset import plan

REPOSITORY = Path(__file__).parents[2]
SMALL = {"width": 64, "height": 48}


def run_python(code: str, *, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh process that finds the packages."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": "random"}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def auc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """Chance that a positive is larger than a negative."""
    return float(np.mean(positive[:, None] > negative[None, :]))


# ---------------------------------------------------------------- one image


def test_labels_are_those_of_ham10000():
    assert LABELS == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(("width", "height"), [(200, 150), (97, 131), (32, 32)])
def test_image_has_the_size_asked_for(label: str, width: int, height: int):
    image = render(label, 1, width=width, height=height)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert image.flags["C_CONTIGUOUS"]
    assert image.std() > 2


def test_another_process_draws_the_same_bytes():
    code = """
        import hashlib
        from train.synthetic import LABELS, render
        images = [render(k, s, view=s % 2) for k in LABELS for s in range(4)]
        print(hashlib.sha256(b"".join(i.tobytes() for i in images)).hexdigest())
    """
    np.random.seed(1)  # a global state that must not matter
    images = [render(label, seed, view=seed % 2) for label in LABELS for seed in range(4)]
    here = hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()
    there = run_python(code)
    assert there.returncode == 0, there.stderr
    assert there.stdout.strip() == here


def test_seed_label_and_view_each_change_the_image():
    first = render("mel", 5)
    for other in (render("mel", 6), render("nv", 5), render("mel", 5, view=1)):
        assert np.abs(first.astype(int) - other).mean() > 3


def test_larger_image_shows_the_same_photograph():
    small = render("nv", 3, width=200, height=150).astype(float)
    large = Image.fromarray(render("nv", 3, width=600, height=450)).reduce(3)
    assert np.corrcoef(small.ravel(), np.asarray(large, float).ravel())[0, 1] > 0.97


def ring_colours(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What a rotation leaves alone: red over blue in rings about the lesion."""
    height, width, _ = image.shape
    y, x = np.mgrid[:height, :width]
    contrast = 255.0 - image[..., 2]
    weight = np.clip(contrast - np.median(contrast), 0, None) * (image.sum(-1) > 60)
    centre = [(weight * axis).sum() / weight.sum() for axis in (y, x)]
    radius = np.hypot(y - centre[0], x - centre[1]) / height
    rings = [(radius >= low) & (radius < low + 0.06) for low in np.arange(0.0, 0.42, 0.06)]
    return np.array([np.median(image[ring], axis=0) for ring in rings]).ravel()


def test_views_show_one_lesion_in_different_photographs():
    labels = [LABELS[seed % 7] for seed in range(70)]
    views = [
        np.array([ring_colours(render(k, s, view=v, **SMALL)) for s, k in enumerate(labels)])
        for v in (0, 1)
    ]
    first, second = (v - v.mean(0) for v in views)
    likeness = np.corrcoef(first, second)[:70, 70:]
    same, other = np.diag(likeness), likeness[~np.eye(70, dtype=bool)]
    assert np.median(same) > 0.7
    assert abs(np.median(other)) < 0.3
    assert auc(same, other) > 0.8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"label": "melanoma", "seed": 0}, "melanoma.*akiec, bcc"),
        ({"label": "mel", "seed": -1}, "0 or more"),
        ({"label": "mel", "seed": 0, "view": -1}, "0 or more"),
        ({"label": "mel", "seed": 0, "width": 20}, "at least 32"),
    ],
)
def test_wrong_argument_is_refused(arguments: dict[str, object], words: str):
    with pytest.raises(UsageError, match=words):
        render(**arguments)  # type: ignore[arg-type]


# ---------------------------------------------------------------- many images


@pytest.fixture(scope="module")
def many() -> dict[str, NDArray[np.uint8]]:
    """(80, 48, 64, 3) of every class."""
    return {label: np.stack([render(label, s, **SMALL) for s in range(80)]) for label in LABELS}


def test_dark_corners_and_skin_tone_do_not_depend_on_the_class(many):
    corners = {k: v[:, :6, :6].astype(float).mean((1, 2)) for k, v in many.items()}  # (80, 3)
    everything = np.concatenate(list(corners.values()))
    dark = everything.max(1) < 60
    assert 0.03 < dark.mean() < 0.4  # there is something to test
    tone = everything[~dark]
    for label, colours in corners.items():
        is_dark = colours.max(1) < 60
        error = np.sqrt(dark.mean() * (1 - dark.mean()) / len(is_dark))
        assert abs(is_dark.mean() - dark.mean()) < 3.5 * error, label
        lit = colours[~is_dark]
        error = tone.std(0) / np.sqrt(len(lit))
        assert (np.abs(lit.mean(0) - tone.mean(0)) < 3.5 * error).all(), label


def test_skin_is_light_on_most_and_dark_on_some(many):
    brightness = np.concatenate([np.percentile(v[..., 1], 80, axis=(1, 2)) for v in many.values()])
    assert np.mean(brightness > 140) > 0.5
    assert np.mean(brightness < 110) > 0.05


def test_melanomas_and_nevi_overlap_but_differ(many):
    def colours(image: NDArray[np.uint8]) -> float:
        """How far the hues (blue over red) of the darker half of the middle lie apart."""
        middle = image[12:36, 16:48].astype(float).reshape(-1, 3)
        brightness = middle.sum(1)
        dark = middle[brightness <= np.median(brightness)]
        hue = dark[:, 2] / (dark[:, 0] + 1)
        return float(np.percentile(hue, 95) - np.median(hue))

    spread = {label: np.array([colours(image) for image in many[label]]) for label in ("mel", "nv")}
    assert 0.6 < auc(spread["mel"], spread["nv"]) < 0.95


def test_vascular_lesions_are_redder_than_nevi(many):
    def blue_over_green(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        middle = images[:, 20:28, 28:36].astype(float).mean((1, 2))
        return middle[:, 2] / middle[:, 1]

    assert auc(blue_over_green(many["vasc"]), blue_over_green(many["nv"])) > 0.8


# ---------------------------------------------------------------- the data set

LESIONS = {"df": 10, "mel": 20, "nv": 30}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generated") / "data"
    return write_dataset(folder, lesions=LESIONS, seed=1, processes=1, **SMALL)


def test_every_row_has_an_image_that_says_it_is_generated(dataset):
    rows = rows_of(dataset)
    assert list(rows[0]) == ["lesion_id", "image_id", "dx", "split", "source"]
    assert {row["source"] for row in rows} == {"generated"}
    names = sorted(path.name for path in (dataset / "images").iterdir())
    assert names == sorted(f"{row['image_id']}.jpg" for row in rows)
    assert names[0] == "GEN_0000001.jpg"
    for name in names:
        with Image.open(dataset / "images" / name) as image:
            assert image.format == "JPEG"
            assert image.size == (64, 48)
            assert image.info["comment"].startswith(b"generated, not a patient")


def test_comment_of_an_image_draws_it_again(dataset):
    row = rows_of(dataset)[7]
    with Image.open(dataset / "images" / f"{row['image_id']}.jpg") as image:
        _, call = image.info["comment"].decode().split(": ", 1)
        again = eval(call.replace(")", ", **SMALL)"), {"render": render, "SMALL": SMALL})
        assert row["dx"] in call
        assert np.abs(np.asarray(image, float) - again).mean() < 6


def test_description_has_exactly_the_agreed_keys(dataset):
    described = tomllib.loads((dataset / "dataset.toml").read_text(encoding="utf-8"))
    assert "no patients" in described.pop("description")
    assert described == {
        "name": "generated",
        "licence": "CC0-1.0",
        "citation": "",
        "melanoma": "mel",
        "malignant": ["akiec", "bcc", "mel"],
    }


def test_split_is_by_lesion_and_the_same_in_every_class(dataset):
    lesions = defaultdict(set)
    for row in rows_of(dataset):
        lesions[row["lesion_id"]].add((row["dx"], row["split"]))
    assert all(len(found) == 1 for found in lesions.values())
    counts = Counter(found.pop() for found in lesions.values())
    for label, number in LESIONS.items():
        by_split = [counts[label, split] for split in ("train", "val", "test")]
        assert sum(by_split) == number
        assert by_split == pytest.approx([0.54 * number, 0.26 * number, 0.2 * number], abs=1)


def test_about_a_third_of_the_lesions_have_two_photographs(dataset):
    views = Counter(Counter(row["lesion_id"] for row in rows_of(dataset)).values())
    assert set(views) == {1, 2}
    assert 0.2 < views[2] / sum(LESIONS.values()) < 0.4


def test_image_order_does_not_betray_the_class(dataset):
    labels = [row["dx"] for row in rows_of(dataset)]
    changes = sum(a != b for a, b in pairwise(labels))
    assert changes > len(labels) / 4


def test_default_data_set_is_large_enough_to_decide_on_melanoma():
    photographs = list(plan(DEFAULT_LESIONS, 0, (200, 150)))
    assert 2500 < len(photographs) < 2700
    melanoma = Counter(p.split for p in photographs if p.label == "mel")
    assert melanoma["val"] >= 150
    assert melanoma["test"] >= 120
    assert set(DEFAULT_LESIONS) == set(LABELS)
    assert min(DEFAULT_LESIONS.values()) >= 60
    assert max(DEFAULT_LESIONS, key=DEFAULT_LESIONS.__getitem__) == "nv"


def test_several_processes_write_the_same_files_as_one(tmp_path):
    steps: list[tuple[int, int]] = []
    lesions = {"mel": 20, "nv": 20}
    alone = write_dataset(tmp_path / "a", lesions=lesions, processes=1, width=32, height=32)
    together = write_dataset(
        tmp_path / "b",
        lesions=lesions,
        processes=2,
        width=32,
        height=32,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert files_of(alone) == files_of(together)
    total = len(rows_of(alone))
    assert len(steps) > 1
    assert steps == sorted(steps)
    assert steps[-1] == (total, total)


def test_another_seed_gives_other_lesions(tmp_path):
    a, b = (
        write_dataset(tmp_path / str(s), lesions={"nv": 3}, seed=s, processes=1, **SMALL)
        for s in (0, 1)
    )
    assert not set(files_of(a / "images").values()) & set(files_of(b / "images").values())


def test_folder_with_something_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        write_dataset(tmp_path, lesions={"nv": 1}, processes=1, **SMALL)
    assert files_of(tmp_path) == {"notes.txt": b"mine"}


def test_empty_folder_is_filled(tmp_path):
    (tmp_path / "new").mkdir()
    write_dataset(tmp_path / "new", lesions={"nv": 1}, processes=1, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new" / "dataset.toml").is_file()


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX")
def test_folder_is_as_open_as_any_other(tmp_path):
    (tmp_path / "usual").mkdir()
    made = write_dataset(tmp_path / "made", lesions={"nv": 1}, processes=1, **SMALL)
    usual = stat.S_IMODE((tmp_path / "usual").stat().st_mode)
    assert stat.S_IMODE(made.stat().st_mode) == usual


@pytest.mark.parametrize("processes", [1, 2])
def test_failed_run_leaves_nothing_behind(tmp_path, processes: int):
    def fail(done: int, total: int) -> None:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_dataset(
            tmp_path / "data", lesions={"nv": 60}, processes=processes, progress=fail, **SMALL
        )
    assert list(tmp_path.iterdir()) == []


def test_unguarded_script_is_told_what_to_do_and_leaves_nothing_behind(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from train.synthetic import write_dataset\n"
        "write_dataset(Path('out/data'), lesions={'nv': 60}, processes=2, width=32, height=32)\n"
    )
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "UsageError: a process that draws images ended early" in done.stderr.splitlines()[-1]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lesions": {"melanoma": 3}}, "unknown labels melanoma"),
        ({"lesions": {"mel": -1, "nv": 4}}, "0 or more"),
        ({"lesions": {"mel": 0}}, "not all of them 0"),
        ({"lesions": {}}, "not all of them 0"),
        ({"seed": -1}, "seed is -1"),
        ({"processes": 0}, "processes is 0"),
        ({"width": 8}, "at least 32"),
    ],
)
def test_wrong_data_set_argument_is_refused(tmp_path, arguments: dict[str, object], words: str):
    with pytest.raises(UsageError, match=words):
        write_dataset(tmp_path / "data", **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "/data"])
def test_path_through_a_file_is_refused(tmp_path, below: str):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match=r"name (a new|another) folder"):
        write_dataset(Path(f"{tmp_path}/file{below}"), lesions={"nv": 1}, processes=1, **SMALL)
    assert files_of(tmp_path) == {"file": b"mine"}


def test_importing_it_loads_no_heavy_package():
    done = run_python(
        """
        import sys, train.synthetic
        heavy = {"tensorflow", "keras", "sklearn", "scipy"} & set(sys.modules)
        assert not heavy, heavy
        """
    )
    assert done.returncode == 0, done.stderr
