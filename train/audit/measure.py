"""How many known copies does the audit find, and how many pairs does it call copies wrongly?

    python -m train.audit.measure --data ham10000 --images 500 --others 2000

Every transform makes one copy of every image; the copies of one transform are compared with the
images and with ``--others`` more. A copy counts as found when it is paired with its own image. A
pair of different images counts as false, unless both are photographs of one lesion: those are
counted by themselves.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.errors import DermedgeError, UsageError
from edge_runtime.image import decode, read
from train.audit.copies import compare
from train.audit.findings import Item, same_pictures
from train.audit.pictures import Pictures, read_pictures
from train.audit.sources import Source, read_sources
from train.audit.transforms import TRANSFORMS
from train.data.table import Record


@dataclass(frozen=True)
class Recall:
    """What was found of the copies by one transform.

    Attributes:
        transform: its name.
        copies, found: how many there were, and how many were paired with their own image.
        false: pairs of different lesions that were called one picture, by their image ids.
        possible: pairs between different lesions that there are.
        one_lesion: pairs of different photographs of one lesion that were called one picture.
        one_lesion_possible: such pairs that there are.
    """

    transform: str
    copies: int
    found: int
    false: tuple[tuple[str, str], ...]
    possible: int
    one_lesion: int
    one_lesion_possible: int


def measure(
    source: Source, images: int, others: int, seed: int = 0,
    progress: Callable[[str], None] = lambda name: None,
) -> list[Recall]:  # fmt: skip
    """Put ``images`` pictures through every transform and look for them among ``others`` more.

    Pictures whose file occurs twice in the data are used once.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(source.records))[: images + others]
    records = [source.records[index] for index in order]
    originals = read_pictures([record.file for record in records])
    answers = []
    for name, transform in TRANSFORMS.items():
        progress(name)
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for index, record in enumerate(records[:images]):
                picture = decode(read(record.file), name=record.file.name).pixels
                files.append(Path(folder) / f"{index}.png")
                transform(picture, rng).save(files[-1], compress_level=1)
            made = read_pictures(files)
        answers.append(_judge(name, source, records, originals, made, images))
    return answers


def _judge(
    name: str, source: Source, records: Sequence[Record], originals: Pictures, made: Pictures,
    images: int,
) -> Recall:  # fmt: skip
    both = Pictures(
        originals.facts + made.facts,
        np.concatenate([originals.grey, made.grey]),
        np.concatenate([originals.sketches, made.sketches]),
        np.concatenate([originals.aspects, made.aspects]),
    )
    origin = np.concatenate([np.arange(len(records)), np.arange(images)])
    lesions = [record.lesion_id or record.image_id for record in records]
    compared = compare(both, np.arange(len(origin)), lambda what, done, total: None)
    # As if no lesion were known: that is the harder case.
    items = [
        Item(source, Record(str(i), records[o].file, records[o].label), str(i))
        for i, o in enumerate(origin)
    ]
    pairs = [(int(origin[a]), int(origin[b])) for a, b, _ in same_pictures(items, compared)]
    found = len({a for a, b in pairs if a == b})
    one_lesion = sum(a != b and lesions[a] == lesions[b] for a, b in pairs)
    count = len(origin)
    sizes = np.unique([lesions[o] for o in origin], return_counts=True)[1].astype(int)
    within = int((sizes * (sizes - 1) // 2).sum())
    false = tuple(
        (records[min(a, b)].image_id, records[max(a, b)].image_id)
        for a, b in pairs
        if lesions[a] != lesions[b]
    )
    return Recall(
        name, images, found, false,
        count * (count - 1) // 2 - within, one_lesion, within - images,
    )  # fmt: skip


def table(answers: Sequence[Recall]) -> str:
    """The measurement for people."""
    from tabulate import tabulate

    rows = [
        [a.transform, a.copies, a.found, f"{a.found / a.copies:.3f}", len(a.false),
         f"{a.one_lesion} of {a.one_lesion_possible}"]
        for a in answers
    ]  # fmt: skip
    copies, found = sum(a.copies for a in answers), sum(a.found for a in answers)
    false, possible = sum(len(a.false) for a in answers), sum(a.possible for a in answers)
    rows.append(["all", copies, found, f"{found / copies:.3f}", false, ""])
    distinct = sorted({pair for a in answers for pair in a.false})
    named = "".join(f"\n  {first} and {second}" for first, second in distinct)
    head = ["transform", "copies", "found", "recall", "false pairs", "one lesion, two photographs"]
    body = tabulate(rows, head, disable_numparse=True)
    return (
        f"{body}\n\nFalse pairs: {false} of {possible:,} pairs of different lesions "
        f"({false / possible:.1e}).{named}"
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", required=True, metavar="DATA")
    parser.add_argument("--images", type=int, default=500, metavar="N")
    parser.add_argument("--others", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    path, shelf = Path(arguments.data), os.environ.get("DERMEDGE_DATA")
    if shelf and not path.exists():
        path = Path(shelf) / path
    try:
        (source,) = read_sources([path])
        if not 0 < arguments.images <= len(source.records):
            raise UsageError(
                f"--images is {arguments.images}, expected 1 to {len(source.records)}."
            )
    except DermedgeError as error:
        print(error, file=sys.stderr)
        return 2
    answers = measure(
        source, arguments.images, arguments.others, arguments.seed,
        lambda name: print(name, file=sys.stderr),
    )  # fmt: skip
    print(table(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
