"""Images with the group that must not be torn apart, and tables made of them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from edge_runtime._files import write_bytes, write_text
from train.audit.auditing import Audit
from train.data.split import split
from train.data.table import Dataset, read_data

TURN, ZOOM = 25.0, 0.2
"""Largest turn in degrees, and how much a copy is enlarged: the changes that both studies name."""


@dataclass(frozen=True)
class Image:
    """One image of a table; the fields are its columns.

    Attributes:
        image_id, file, dx: as in `train.data.table`.
        lesion_id: the group; images of one group show one lesion or one picture.
        split: its part, or empty.
    """

    image_id: str
    file: str
    dx: str
    lesion_id: str
    split: str = ""


def audited(found: Audit, leave_out: Iterable[int] = ()) -> list[Image]:
    """The images of an audit, grouped by what it found to belong together.

    Args:
        found: the audit.
        leave_out: indices of images to leave out.
    """
    group = {
        member: f"group{number}"
        for number, members in enumerate(_joined(found))
        for member in members
    }
    left_out = set(leave_out)
    return [
        Image(f"{index:06d}", str(item.record.file.resolve()), item.record.label,
              group.get(index, f"image{index}"))
        for index, item in enumerate(found.items)
        if index not in left_out
    ]  # fmt: skip


def conflicting(found: Audit) -> set[int]:
    """Indices of images whose picture has labels that contradict each other."""
    return {member for group in found.findings.conflicts for member in group.members}


def by_group(images: Sequence[Image], table: Path, description: Path | None) -> list[Image]:
    """The images with a leak-free split, 80/10/10, stratified by class."""
    data = split(
        written(images, table, description), [image.image_id for image in images], seed=0,
        val_fraction=0.1, test_fraction=0.1,
    )  # fmt: skip
    return [
        replace(image, split=record.split or "")
        for image, record in zip(images, data.records, strict=True)
    ]


def at_random(images: Sequence[Image], folder: Path) -> list[Image]:
    """The images split 80/10/10 by chance, every one a group of its own.

    dermedge refuses a split that tears copies of a file apart, so every file is written again with
    its number behind its last byte, as any download or re-encoding would change it.
    """
    order = np.random.default_rng(0).permutation(len(images))
    parts = np.array(["train"] * len(images), dtype=object)
    tenth = len(images) // 10
    parts[order[:tenth]], parts[order[tenth : 2 * tenth]] = "val", "test"
    folder.mkdir(parents=True, exist_ok=True)
    return [
        replace(image, file=str(_unique(image, folder)), lesion_id=image.image_id, split=str(part))
        for image, part in zip(images, parts, strict=True)
    ]


def with_copies(images: Sequence[Image], folder: Path, per_class: int) -> list[Image]:
    """The images, and so many turned, mirrored and enlarged copies of each class beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    copies = []
    for label in sorted({image.dx for image in images}):
        of_class = [image for image in images if image.dx == label]
        for number in range(per_class):
            source = of_class[int(rng.integers(len(of_class)))]
            name = f"copy-{label}-{number:05d}".replace(" ", "_")
            target = folder / f"{name}.jpg"
            turn, zoom = rng.uniform(-TURN, TURN), rng.uniform(0, ZOOM)
            _copy(Path(source.file), target, float(turn), float(zoom), bool(rng.random() < 0.5))
            copies.append(replace(source, image_id=name, file=str(target.resolve())))
    return [*images, *copies]


def balancing(images: Sequence[Image], folder: Path) -> list[Image]:
    """The images, and copies of the rarer class until both are as many."""
    counts = Counter(image.dx for image in images)
    (_, most), (rare, least) = counts.most_common()
    return [
        *images,
        *with_copies([image for image in images if image.dx == rare], folder, most - least)[least:],
    ]


def written(images: Sequence[Image], table: Path, description: Path | None) -> Dataset:
    """The images as a CSV on disk, read back."""
    table.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [f.name for f in fields(Image)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, images))
    write_text(table, buffer.getvalue())
    return read_data(table, description)


def _joined(found: Audit) -> list[set[int]]:
    """Connected components of duplicates and of lesions with one id."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    lesions: dict[str, int] = {}
    pairs = [
        (lesions.setdefault(item.lesion, index), index)
        for index, item in enumerate(found.items)
        if item.lesion
    ]
    for group in found.findings.duplicates:
        pairs += [(group.members[0], member) for member in group.members]
    count = len(found.items)
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    _, component = connected_components(links, directed=False)
    order = np.argsort(component, kind="stable")
    edges = np.flatnonzero(np.diff(component[order])) + 1
    return [set(members.tolist()) for members in np.split(order, edges)]


def _unique(image: Image, folder: Path) -> Path:
    target = folder / f"{image.image_id}{Path(image.file).suffix}"
    if not target.exists():
        write_bytes(target, Path(image.file).read_bytes() + image.image_id.encode())
    return target.resolve()


def _copy(source: Path, target: Path, turn: float, zoom: float, mirrored: bool) -> None:
    if target.exists():
        return
    with Pillow.open(source) as opened:
        picture = opened.convert("RGB")
    width, height = picture.size
    inner = (zoom / 2 * width, zoom / 2 * height, (1 - zoom / 2) * width, (1 - zoom / 2) * height)
    picture = picture.rotate(turn, Pillow.Resampling.BILINEAR)
    picture = picture.resize((width, height), Pillow.Resampling.BILINEAR, box=inner)
    if mirrored:
        picture = picture.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    write_bytes(target, buffer.getvalue())
