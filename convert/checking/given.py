"""The lines of a device beside the labelled images: who answered what, and who answered nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from convert.checking.lines import Answer, Refusal
from convert.checking.matching import ByName
from edge_runtime.errors import DataError
from train import progress
from train.data.table import Dataset, Record


@dataclass(frozen=True)
class Given:
    """What a device answered about the images of one split.

    Attributes:
        answers: by variant, then by row of the split.
        refused: rows for which the device wrote an error.
    """

    answers: Mapping[str, Mapping[int, Answer]]
    refused: frozenset[int]


def given_answers(
    lines: Sequence[Answer | Refusal], data: Dataset, records: Sequence[Record], name: str
) -> Given:
    """Find the image of every line; lines of images outside the split are counted and passed over.

    The same answer twice counts once. An image that was refused and answered has its answer.

    Args:
        lines: of the file.
        data: all images, so that names are not taken for those of another split.
        records: the n images of the split, out of ``data``.
        name: of the file, for messages.

    Raises:
        DataError: a name that several images have, or two answers of one variant that differ.
    """
    by_name = ByName(data.records, data.root)
    row_of = {record.image_id: row for row, record in enumerate(records)}
    answers: dict[str, dict[int, Answer]] = defaultdict(dict)
    refused: set[int] = set()
    elsewhere, unknown = 0, []
    for line in lines:
        found = [data.records[index].image_id for index in by_name.find(line.file)]
        rows = [row_of[image_id] for image_id in found if image_id in row_of]
        if not rows:
            elsewhere += bool(found)
            unknown += [] if found else [line.file]
            continue
        if len(found) > 1:
            raise DataError(
                f"Line {line.line} of {name} is of {line.file}, which may be any of {len(found)} "
                f"images ({', '.join(found[:3])}); classify from a folder that tells them apart."
            )
        if isinstance(line, Refusal):
            refused.add(rows[0])
            continue
        earlier = answers[line.variant].setdefault(rows[0], line)
        told = [(one.probabilities, one.decision) for one in (earlier, line)]
        if told[0] != told[1]:
            raise DataError(
                f"Lines {earlier.line} and {line.line} of {name} give different answers of "
                f"{line.variant} about {found[0]}; keep the one that counts."
            )
    _say(elsewhere, unknown)
    return Given(answers, frozenset(refused))


def _say(elsewhere: int, unknown: Sequence[str]) -> None:
    if elsewhere:
        progress.say(f"note: {elsewhere} lines are of images outside the split; passed over.")
    if unknown:
        progress.say(
            f"note: {len(unknown)} lines are of images that the data does not have (first: "
            f"{unknown[0]}); passed over."
        )
