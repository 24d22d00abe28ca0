"""`write_dataset`: a folder of generated images with labels and a split by lesion."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edge_runtime.errors import UsageError
from train.synthetic.image import render
from train.synthetic.recipes import LABELS

#: Lesions of each class that `write_dataset` draws by default: nevi are the most frequent, as in
#: HAM10000, but melanomas are frequent enough (at least 150 images in validation, 120 in test) for
#: a statistical test on them to decide something.
DEFAULT_LESIONS: Mapping[str, int] = {
    "akiec": 140,
    "bcc": 230,
    "bkl": 300,
    "df": 100,
    "mel": 460,
    "nv": 720,
    "vasc": 110,
}

SPLITS: Mapping[str, float] = {"train": 0.54, "val": 0.26, "test": 0.20}  # shares of lesions
TWO_VIEWS = 0.30  # share of lesions that were photographed twice

NOTICE = "generated, not a patient"

_COLUMNS = ("lesion_id", "image_id", "dx", "split", "source")
_JPEG_QUALITY = 92
_BATCH = 32  # images that one process draws at a time


@dataclass(frozen=True)
class Photograph:
    """One row of the table, and all that a process needs to draw it."""

    lesion_id: str
    image_id: str
    label: str
    split: str
    seed: int
    view: int
    size: tuple[int, int]  # width, height


def write_dataset(
    folder: Path,
    *,
    lesions: Mapping[str, int] | None = None,
    seed: int = 0,
    width: int = 200,
    height: int = 150,
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `images/*.jpg`, `metadata.csv` and `dataset.toml` into a new `folder`, and return it.

    `lesions` is the number of lesions by class (`DEFAULT_LESIONS`). The split is by lesion and the
    same in every class; about 30% of the lesions have two photographs. The same arguments give the
    same files. `progress` is called with the number of images done and the number of all.

    The images are drawn by `processes` processes (None: one for each core; 1: the calling one).
    They are started afresh ("spawn"), so that a script needs its ``if __name__ == "__main__":``.

    The folder appears when it is complete, and not at all if something fails. Raises UsageError if
    it exists and is not empty, or if an argument cannot be used.
    """
    counts = DEFAULT_LESIONS if lesions is None else lesions
    folder = Path(folder)
    _check(folder, counts, seed, processes)
    photographs = list(plan(counts, seed, (width, height)))
    render(LABELS[0], 0, width=width, height=height)  # a size that cannot be drawn fails here
    with _appearing(folder) as partial:
        (partial / "images").mkdir()
        _draw_all(photographs, partial / "images", processes, progress)
        _write_table(photographs, partial / "metadata.csv")
        (partial / "dataset.toml").write_text(_describe(photographs), encoding="utf-8")
    return folder


def _check(folder: Path, counts: Mapping[str, int], seed: int, processes: int | None) -> None:
    unknown = sorted(set(counts) - set(LABELS))
    if unknown:
        raise UsageError(
            f"unknown labels {', '.join(unknown)}: expected some of {', '.join(LABELS)}."
        )
    if any(count < 0 for count in counts.values()) or not sum(counts.values()):
        raise UsageError("the numbers of lesions have to be 0 or more, and not all of them 0.")
    if seed < 0:
        raise UsageError(f"seed is {seed}: it has to be 0 or more.")
    if processes is not None and processes < 1:
        raise UsageError(f"processes is {processes}: it has to be 1 or more, or None for all.")
    if folder.is_dir():
        if any(folder.iterdir()):
            raise UsageError(f"{folder} exists and is not empty: name a new folder.")
    elif folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} exists and is not a folder: name a new folder.")


def plan(counts: Mapping[str, int], seed: int, size: tuple[int, int]) -> Iterator[Photograph]:
    """Every photograph of the data set, in an order that tells nothing about class or split."""
    drawn = []
    for label in sorted(counts):
        for split, number in _apportion(counts[label]).items():
            twice = round(TWO_VIEWS * number)
            drawn += [(label, split, 2 if index < twice else 1) for index in range(number)]
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(drawn))
    image = 0
    for lesion, place in enumerate(order, start=1):
        label, split, views = drawn[place]
        for view in range(views):
            image += 1
            yield Photograph(
                lesion_id=f"GEN_LESION_{lesion:07d}",
                image_id=f"GEN_{image:07d}",
                label=label,
                split=split,
                seed=seed * 10_000_000 + lesion,  # other seeds give other lesions
                view=view,
                size=size,
            )


def _apportion(number: int) -> dict[str, int]:
    """`number` lesions over the splits, in whole numbers that add up (largest remainders)."""
    shares = {split: number * share for split, share in SPLITS.items()}
    whole = {split: int(share) for split, share in shares.items()}
    by_remainder = sorted(SPLITS, key=lambda split: whole[split] - shares[split])
    for split in by_remainder[: number - sum(whole.values())]:
        whole[split] += 1
    return whole


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A new folder that takes the name `folder` if the block succeeds and vanishes if it fails."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise UsageError(
            f"cannot write into {folder.parent} ({error.strerror}): name another folder."
        ) from error
    try:
        partial = hidden / "partial"  # mkdtemp's own folder is closed to other users
        partial.mkdir()
        yield partial
        if folder.is_dir():
            folder.rmdir()
        os.replace(partial, folder)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _draw_all(
    photographs: list[Photograph],
    images: Path,
    processes: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    done = 0
    for number in _drawn(photographs, images, processes or os.cpu_count() or 1):
        done += number
        if progress is not None:
            progress(done, len(photographs))


def _drawn(photographs: list[Photograph], images: Path, processes: int) -> Iterator[int]:
    """Draw batch after batch; the size of each as it is done."""
    starts = range(0, len(photographs), _BATCH)
    batches = [photographs[start : start + _BATCH] for start in starts]
    if processes == 1 or len(batches) == 1:
        yield from (_draw_batch(batch, images) for batch in batches)
        return
    context = multiprocessing.get_context("spawn")  # forking a process with threads can hang it
    with ProcessPoolExecutor(min(processes, len(batches)), mp_context=context) as pool:
        futures = [pool.submit(_draw_batch, batch, images) for batch in batches]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise UsageError(
                "a process that draws images ended early: call write_dataset under "
                '`if __name__ == "__main__":` if this is a script, or with processes=1.'
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _draw_batch(batch: Iterable[Photograph], images: Path) -> int:
    """Draw and write some photographs; how many. Runs in a process of its own."""
    number = 0
    for item in batch:
        width, height = item.size
        pixels = render(item.label, item.seed, view=item.view, width=width, height=height)
        Image.fromarray(pixels).save(
            images / f"{item.image_id}.jpg",
            quality=_JPEG_QUALITY,
            comment=f'{NOTICE}: render("{item.label}", {item.seed}, view={item.view})',
        )
        number += 1
    return number


def _write_table(photographs: Iterable[Photograph], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for item in photographs:
            writer.writerow((item.lesion_id, item.image_id, item.label, item.split, "generated"))


def _describe(photographs: list[Photograph]) -> str:
    """The text of dataset.toml: what this is, its licence, and which classes are malignant."""
    description = (
        f"{len(photographs)} dermoscopy-like images of {len({p.lesion_id for p in photographs})} "
        "lesions, generated by a program: no patients, no photographs. For demonstrations and "
        "tests; figures measured on them say nothing about real lesions."
    )
    values = {
        "name": "generated",
        "description": description,
        "licence": "CC0-1.0",
        "citation": "",
        "melanoma": "mel",
        "malignant": ["akiec", "bcc", "mel"],
    }
    # JSON strings and lists of strings are valid TOML.
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
