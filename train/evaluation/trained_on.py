"""What a model was trained on, so that it is never judged by what it has learnt by heart.

Files are told by their content, whatever they are called and wherever they lie now; a copy that was
resized or saved again is another file, which only the audit finds. A run knows its images from
`split.csv`; a bundle from `trained_on.txt`: one line a training image, the first `DIGITS`
hexadecimal digits of the SHA-256 of its file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from edge_runtime.bundle import Bundle
from edge_runtime.errors import LeakError
from train.data.table import Record
from train.run import RunFolder

TRAINED_ON_FILE = "trained_on.txt"
DIGITS = 16
"""64 bits: two of a million files share them with a probability of 3e-8."""


@dataclass(frozen=True)
class TrainedOn:
    """What is known of the images behind a model; empty sets where nothing is.

    Attributes:
        known: whether the training images can be told at all.
        digests: first `DIGITS` digits of the SHA-256 of each training image.
        chosen_on: the same of the validation images, on which thresholds were chosen.
        ids: stems of the training images' ids; none where one occurs twice, as where the files of
            every class are numbered from 1: such a number names no image.
        lesions: ids of the lesions that were trained on.
    """

    known: bool
    digests: frozenset[str] = frozenset()
    chosen_on: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    lesions: frozenset[str] = frozenset()

    def contains(self, digest: str) -> bool:
        """Whether a file of this SHA-256 was trained on."""
        return digest[:DIGITS] in self.digests


def trained_on_run(run: RunFolder) -> TrainedOn:
    """The training and validation images of a run."""
    rows = run.rows()
    seen = [row for row in rows if row.split == "train"]
    return TrainedOn(
        known=True,
        digests=frozenset(row.sha256[:DIGITS] for row in seen),
        chosen_on=frozenset(row.sha256[:DIGITS] for row in rows if row.split == "val"),
        ids=_names([row.image_id for row in seen]),
        lesions=frozenset(row.lesion_id for row in seen if row.lesion_id),
    )


def trained_on_text(run: RunFolder) -> str:
    """The content of `trained_on.txt` for a run's bundle."""
    return "".join(f"{digits}\n" for digits in sorted(trained_on_run(run).digests))


def trained_on_bundle(bundle: Bundle) -> TrainedOn:
    """The training images that a bundle lists, if it does.

    Raises:
        IntegrityError: the list is missing or altered though the manifest names it.
    """
    listed = {entry.file: entry.sha256 for entry in bundle.manifest.other_files}
    if TRAINED_ON_FILE not in listed:
        return TrainedOn(known=False)
    text = bundle.read(TRAINED_ON_FILE, listed[TRAINED_ON_FILE]).decode("ascii", "replace")
    return TrainedOn(known=True, digests=frozenset(line[:DIGITS] for line in text.split()))


def refuse_trained(
    records: Sequence[Record], digests: Sequence[str], trained: TrainedOn, title: str
) -> None:
    """Refuse images that a model was trained on.

    Args:
        records: n images.
        digests: SHA-256 of their files.
        trained: what the model has seen.
        title: what the model is called.

    Raises:
        LeakError: names how many there are and the first one.
    """
    pairs = zip(records, digests, strict=True)
    seen = [record for record, digest in pairs if trained.contains(digest)]
    if seen:
        raise LeakError(
            f"{len(seen)} of {len(records)} images are among those that {title} was trained on "
            f"(first: {seen[0].file.name}), whatever they are called here; use others, or leave "
            "them out (`dermedge evaluate` does, with --skip-trained)."
        )


def overlap_notes(
    records: Sequence[Record], digests: Sequence[str], split: str, trained: TrainedOn, title: str
) -> list[str]:
    """What a reader has to know of images that are near to those a model has seen.

    Args:
        records, digests, trained, title: as for `refuse_trained`; no image was trained on.
        split: which part of the data they are.
    """
    if not trained.known:
        notes = [f"whether {title} was trained on these images cannot be checked: it lists none"]
    else:
        notes = []
    if any(digest[:DIGITS] in trained.chosen_on for digest in digests):
        notes.append(f"the thresholds of {title} were chosen on images that are among these")
    elif split == "val":
        notes.append(f"if these are the validation images of {title}, its thresholds were chosen "
                     "on them")  # fmt: skip
    named = _names([record.image_id for record in records]) & trained.ids
    alike = sum(
        record.lesion_id in trained.lesions or _stem(record.image_id) in named for record in records
    )
    if alike:
        notes.append(
            f"{alike} images bear the id of an image or of a lesion that {title} was trained on, "
            "with other content: resized copies, perhaps; `dermedge audit` tells"
        )
    return notes


def _names(image_ids: Sequence[str]) -> frozenset[str]:
    """Stems that name an image wherever it lies; none where one of them means two."""
    stems = frozenset(map(_stem, image_ids))
    return stems if len(stems) == len(image_ids) else frozenset()


def _stem(image_id: str) -> str:
    return PurePath(image_id).stem
