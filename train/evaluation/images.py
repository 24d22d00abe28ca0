"""The images on which a model is evaluated."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends import usable_cores
from edge_runtime.errors import UnreadableImagesError
from edge_runtime.manifest import Label
from train.data.split import groups_of, names_lesion
from train.data.table import Dataset, Record
from train.data.tensors import digest_files
from train.run import RunFolder


@dataclass(frozen=True)
class Images:
    """Labelled images of one split.

    Attributes:
        data: name of the data set.
        split: which part of it.
        records: n images.
        digests: SHA-256 of their files.
        labels, melanoma: all classes of the data set, and which of them is melanoma.
    """

    data: str
    split: str
    records: tuple[Record, ...]
    digests: tuple[str, ...]
    labels: tuple[Label, ...]
    melanoma: str | None

    @property
    def files(self) -> list[Path]:
        """Where the n images are."""
        return [record.file for record in self.records]

    @property
    def classes(self) -> list[str]:
        """Class of each of the n images, as the data calls it."""
        return [record.label for record in self.records]

    @property
    def groups(self) -> NDArray[np.str_]:
        """What intervals resample, shape (n,): the lesion, or the content of the file."""
        return np.array(groups_of(self.records, self.digests))

    @property
    def lesions_known(self) -> int:
        """How many images name their lesion."""
        return sum(names_lesion(record.lesion_id) for record in self.records)

    def without(self, left_out: Sequence[bool]) -> Images:
        """The same, less the images that are marked; ``left_out`` has n entries."""
        kept = [index for index, marked in enumerate(left_out) if not marked]
        return Images(
            self.data, self.split, tuple(self.records[index] for index in kept),
            tuple(self.digests[index] for index in kept), self.labels, self.melanoma,
        )  # fmt: skip

    def resolutions(self) -> list[str]:
        """Width x height of each file in pixels, from its header.

        Raises:
            UnreadableImagesError: a header that cannot be read.
        """
        with contextlib.suppress(ImportError):  # an extra, without which no HEIC was decoded
            import pillow_heif

            pillow_heif.register_heif_opener()  # or Pillow knows no HEIC header
        with ThreadPoolExecutor(usable_cores()) as pool:
            return list(pool.map(_resolution, self.files))


def images_of_data(data: Dataset, split: str) -> Images:
    """The images of one split of a data set.

    Raises:
        TableError: the split is empty.
        UnreadableImagesError: a file cannot be read.
    """
    records = data.of_split(split)
    digests = digest_files([record.file for record in records])
    name = data.description.name
    return Images(name, split, records, tuple(digests), data.labels, data.melanoma)


def images_of_run(run: RunFolder, split: str) -> Images:
    """The images of one split of the data that a run was trained on, proved to be the same.

    Raises:
        MissingImagesError: an image is gone.
        LeakError: an image is no longer the one that the run has seen.
    """
    rows, files = run.find_images(split)
    records = tuple(
        Record(row.image_id, file, row.label, row.lesion_id or None, row.split, row.attributes)
        for row, file in zip(rows, files, strict=True)
    )
    digests = [row.sha256 for row in rows]
    name = run.run.data.name
    return Images(name, split, records, tuple(digests), run.run.labels, run.run.melanoma)


def _resolution(file: Path) -> str:
    from PIL import Image

    try:
        with Image.open(file) as image:
            return f"{image.width}x{image.height}"
    except (OSError, ValueError) as error:
        raise UnreadableImagesError(
            f"The header of {file.name} cannot be read ({error}); replace the image."
        ) from None
