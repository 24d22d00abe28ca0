"""No model is judged by images that it was trained on, whatever they are called."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from edge_runtime._files import sha256
from edge_runtime.bundle import Bundle
from edge_runtime.errors import IntegrityError, LeakError
from edge_runtime.manifest import BundleFile, format_manifest
from tests.conftest import Command
from tests.train.evaluation.test_evaluate import QUICK, class_folders
from train.data.table import read_data
from train.evaluation.evaluation import evaluate_subject
from train.evaluation.images import images_of_data, images_of_run
from train.evaluation.subject import open_subject
from train.evaluation.trained_on import DIGITS, TRAINED_ON_FILE, trained_on_run

if TYPE_CHECKING:
    from train.run import RunFolder


def listing(bundle: Path, run: RunFolder) -> Path:
    """The bundle with a list of its training images, as conversion writes it."""
    lines = sorted(row.sha256[:DIGITS] for row in run.rows() if row.split == "train")
    content = ("\n".join(lines) + "\n").encode()
    (bundle / TRAINED_ON_FILE).write_bytes(content)
    manifest = Bundle.open(bundle).manifest
    others = [entry for entry in manifest.other_files if entry.file != TRAINED_ON_FILE]
    entry = BundleFile(TRAINED_ON_FILE, sha256(content))
    manifest = replace(manifest, other_files=(*others, entry))
    (bundle / "manifest.json").write_text(format_manifest(manifest))
    return bundle


def test_renamed_training_image_is_refused(run_folder: RunFolder, tmp_path: Path, inside: Command):
    data = class_folders(tmp_path / "new", run_folder, ["test"])
    trained = next(row for row in run_folder.rows() if row.split == "train")
    copied = data / trained.label / "holiday.jpg"
    shutil.copy(Path(run_folder.run.data_folder) / trained.file, copied)
    done = inside("evaluate", run_folder.folder, "--data", data, "--bootstrap", 100, check=2)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "1 of " in line
    assert "holiday.jpg" in line
    assert "--skip-trained" in line


def test_training_images_are_left_out_on_request(run_folder: RunFolder, tmp_path: Path):
    images = images_of_data(
        read_data(class_folders(tmp_path, run_folder, ["train", "test"])), "test"
    )
    subject = open_subject(run_folder.folder)
    found = evaluate_subject(subject, images, replace(QUICK, skip_trained=True))
    splits = [row.split for row in run_folder.rows()]
    assert found.n == splits.count("test")
    note = f"{splits.count('train')} of {splits.count('train') + found.n} images were left out"
    assert found.notes[0].startswith(note)


def test_other_photographs_of_trained_lesions_are_left_out_too(
    run_folder: RunFolder, tmp_path: Path
):
    """A smaller copy under the same lesion has another digest, and the answer has been learnt."""
    images = images_of_data(
        read_data(class_folders(tmp_path, run_folder, ["train", "test"])), "test"
    )
    subject = open_subject(run_folder.folder)
    trained = [subject.trained_on.contains(digest) for digest in images.digests]
    first = trained.index(True)
    tested = trained.index(False)
    records = list(images.records)
    for index in (first, tested):
        records[index] = replace(records[index], lesion_id="L1")
    found = evaluate_subject(
        subject, replace(images, records=tuple(records)), replace(QUICK, skip_trained=True)
    )
    assert found.n == trained.count(False) - 1
    assert "or on others of the same lesions (1)" in found.notes[0]


def test_nothing_but_training_images_is_refused_even_then(run_folder: RunFolder):
    images = images_of_run(run_folder, "train")
    with pytest.raises(LeakError, match="none are left"):
        evaluate_subject(open_subject(run_folder.folder), images, replace(QUICK, skip_trained=True))


def test_bundle_with_a_list_refuses_its_training_images(
    own_bundle: Path, run_folder: RunFolder, tmp_path: Path
):
    data = read_data(class_folders(tmp_path / "new", run_folder, ["train"]))
    subject = open_subject(listing(own_bundle, run_folder))
    with pytest.raises(LeakError, match="was trained on"):
        evaluate_subject(subject, images_of_data(data, "test"), QUICK)
    own = images_of_run(run_folder, "test")
    notes = evaluate_subject(subject, own, QUICK).notes
    assert any("lists the files that it was trained on and no lesions" in note for note in notes)


def test_altered_list_of_training_images_is_refused(own_bundle: Path, run_folder: RunFolder):
    (listing(own_bundle, run_folder) / TRAINED_ON_FILE).write_text("")
    with pytest.raises(IntegrityError, match=TRAINED_ON_FILE):
        open_subject(own_bundle)


def test_bundle_without_a_list_says_that_it_cannot_be_checked(own_bundle: Path, generated: Path):
    manifest = Bundle.open(own_bundle).manifest
    others = tuple(entry for entry in manifest.other_files if entry.file != TRAINED_ON_FILE)
    (own_bundle / "manifest.json").write_text(
        format_manifest(replace(manifest, other_files=others))
    )
    images = images_of_data(read_data(generated), "test")
    found = evaluate_subject(open_subject(own_bundle), images, QUICK)
    assert any("cannot be checked" in note for note in found.notes)


def test_lesions_and_ids_of_the_training_images_are_noted(run_folder: RunFolder, tmp_path: Path):

    data = class_folders(tmp_path, run_folder, ["test"])
    row = next(row for row in run_folder.rows() if row.split == "train")
    with Image.open(Path(run_folder.run.data_folder) / row.file) as image:
        image.reduce(2).save(data / row.label / f"{row.image_id}.png")
    images = images_of_data(read_data(data), "test")
    found = evaluate_subject(open_subject(run_folder.folder), images, QUICK)
    assert any(note.startswith("1 images bear the id") for note in found.notes)


def test_numbers_of_files_in_the_folders_of_classes_are_no_names(
    run_folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Image 1 of a class here and image 1 of any class there have nothing in common."""
    data = class_folders(tmp_path, run_folder, ["test"])
    for folder in data.iterdir():
        for number, file in enumerate(sorted(folder.iterdir())):
            file.rename(folder / f"{number}.png")
    images = images_of_data(read_data(data), "test")
    subject = open_subject(run_folder.folder)

    def noted(ids: Iterable[str]) -> bool:
        seen = replace(subject.trained_on, ids=frozenset(ids))
        found = evaluate_subject(replace(subject, trained_on=seen), images, QUICK)
        return any("bear the id" in note for note in found.notes)

    assert not noted(map(str, range(20)))
    trained = [row for row in run_folder.rows() if row.split == "train"]
    assert trained_on_run(run_folder).ids == {row.image_id for row in trained}
    numbered = [replace(row, image_id=f"{row.label}/{n // 2}.jpg") for n, row in enumerate(trained)]
    monkeypatch.setattr(type(run_folder), "rows", lambda _: numbered)
    assert trained_on_run(run_folder).ids == frozenset()
