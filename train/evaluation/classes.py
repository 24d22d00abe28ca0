"""Where the classes of a data set and those of a model meet.

A model answers in its own classes, and a data set has its own. Where the codes are the same they
meet; ``--map OLD=NEW`` says that the data's OLD is the model's NEW. A data set that only tells
malignant from benign meets every model at that one question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ClassError, UsageError
from edge_runtime.manifest import Label
from train import progress
from train.data.table import Dataset, class_indices
from train.metrics import Predictions


@dataclass(frozen=True)
class Truth:
    """The right answers to some images, in classes that a model can be measured by.

    Attributes:
        index: of the right class among ``labels``, shape (n,).
        labels: the model's own, or benign and malignant where the images tell no more.
        melanoma: code of the melanoma class among ``labels``, or None.
        classes_known: False where the images tell only malignant from benign.
        notes: what a reader of the figures has to know.
    """

    index: NDArray[np.int64]
    labels: tuple[Label, ...]
    melanoma: str | None
    classes_known: bool
    notes: tuple[str, ...]

    def beside(
        self, answers: NDArray[np.floating], malignant: NDArray[np.bool_], groups: NDArray[np.str_]
    ) -> Predictions:
        """Put a model's answers beside the truth.

        Args:
            answers: the model's probabilities, shape (n, classes of the model).
            malignant: which of the model's classes are, shape (classes of the model,).
            groups: lesion of each image, shape (n,).
        """
        if not self.classes_known:
            total = np.minimum(answers[:, malignant].sum(axis=1, dtype=np.float64), 1.0)
            sides = [total if label.malignant else 1 - total for label in self.labels]
            answers = np.stack(sides, axis=1)
        return Predictions(
            answers, self.index, groups, self.labels, self.melanoma, self.classes_known
        )


def parse_mapping(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The mapping that ``OLD=NEW`` words describe: every NEW that was named for an OLD.

    Raises:
        UsageError: a word is not of that form.
    """
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        old, sign, new = (part.strip() for part in word.partition("="))
        if not old or not sign or not new:
            raise UsageError(
                f'The mapping is {word!r}, expected OLD=NEW, for example "melanoma=mel".'
            )
        found[old] = (*found.get(old, ()), new)
    return found


def map_classes(
    classes: Sequence[str], mapping: Mapping[str, Sequence[str]], codes: Sequence[str]
) -> list[str]:
    """The classes of images in a model's words.

    Args:
        classes: the data's class of each of n images.
        mapping: for an OLD of the data, the NEW ones; the model takes the one that it knows, so
            that one mapping serves two models with different classes.
        codes: the model's classes.

    Returns:
        n classes; those that no mapping concerns stay as they are, known or not.
    """
    fitting = {old: [new for new in news if new in codes] for old, news in mapping.items()}
    return [fitting[name][0] if fitting.get(name) else name for name in classes]


def check_mapping(
    mapping: Mapping[str, Sequence[str]], data: Sequence[str], models: Sequence[Sequence[str]]
) -> None:
    """Refuse a mapping of which a part has no effect, as that is a slip of the pen.

    Args:
        mapping: see `map_classes`.
        data: the classes of the data.
        models: the classes of each model.

    Raises:
        ClassError: an OLD that the data does not have, or a NEW that no model has.
    """
    for old, news in mapping.items():
        if old not in data:
            raise ClassError(
                f"--map names the class {old!r}, which the data does not have; it has "
                f"{', '.join(sorted(data))}."
            )
        for new in news:
            if not any(new in codes for codes in models):
                raise ClassError(
                    f"--map names the class {new!r}, which the model does not know; it knows "
                    f"{', '.join(models[0])}."
                )


def renamed(
    data: Dataset, mapping: Mapping[str, Sequence[str]], labels: Sequence[Label]
) -> Dataset:
    """A data set whose images bear the classes of a model, see `map_classes`.

    Where the two hold a class to be of different malignancy, that is said.

    Raises:
        ClassError: see `check_mapping`.
    """
    codes = [label.code for label in labels]
    check_mapping(mapping, data.codes, [codes])
    classes = [record.label for record in data.records]
    names = map_classes(classes, mapping, codes)
    meeting = {old: new for old, new in zip(classes, names, strict=True) if new in codes}
    for note in _disagreements(meeting, data.labels, labels):
        progress.say(f"note: {note}")
    return data.with_records(
        replace(record, label=name) for record, name in zip(data.records, names, strict=True)
    )


def meet(
    classes: Sequence[str], data: Sequence[Label], data_melanoma: str | None,
    labels: tuple[Label, ...], melanoma: str | None, mapping: Mapping[str, Sequence[str]],
) -> Truth:  # fmt: skip
    """The truth of some images in the classes of a model.

    Args:
        classes: the data's class of each of n images.
        data, data_melanoma: all classes of the data set, and which of them is melanoma.
        labels, melanoma: the same of the model.
        mapping: see `map_classes`.

    Raises:
        ClassError: a class that the model does not know, or images of one class only.
    """
    codes = [label.code for label in labels]
    mapped = map_classes(classes, mapping, codes)
    if len(set(mapped)) < 2:
        raise ClassError(
            f"The {len(mapped)} images are all of the class {mapped[0]!r}, expected at least two "
            "classes; evaluate on images that differ."
        )
    if _tells_malignancy_only(data, data_melanoma) and not {*mapped} & {*codes}:
        told = tuple(data)
        note = (
            "the data only tells malignant from benign, so only the sum of the model's malignant "
            "classes is measured"
        )
        index = class_indices(mapped, [label.code for label in told])
        return Truth(index, told, None, classes_known=False, notes=(note,))
    _refuse_unknown(mapped, classes, data, labels)
    index = class_indices(mapped, codes)
    notes = _disagreements(dict(zip(classes, mapped, strict=True)), data, labels)
    return Truth(index, labels, melanoma, classes_known=True, notes=notes)


def missing_targets(predictions: Predictions) -> tuple[str, ...]:
    """A note for every target whose figures these images cannot give."""
    notes = []
    for target in predictions.targets:
        if not predictions.decidable(target):
            found = "only" if predictions.positive(target).any() else "no"
            notes.append(f"the images hold {found} {target}, so the {target} figures are left out")
    return tuple(notes)


def _tells_malignancy_only(data: Sequence[Label], melanoma: str | None) -> bool:
    return melanoma is None and sorted(label.malignant for label in data) == [False, True]


def _refuse_unknown(
    mapped: Sequence[str], classes: Sequence[str], data: Sequence[Label], labels: Sequence[Label]
) -> None:
    codes = [label.code for label in labels]
    counts = Counter(old for old, new in zip(classes, mapped, strict=True) if new not in codes)
    if not counts:
        return
    unknown = sorted(counts)
    names = {label.code: label.name for label in data}
    same_name = {label.name: label.code for label in labels}
    maps = " ".join(
        f'--map "{code}={same_name.get(names.get(code, ""), "CLASS")}"' for code in unknown
    )
    plural = "classes" if len(unknown) > 1 else "class"
    raise ClassError(
        f"The data has the {plural} {', '.join(map(repr, unknown))} ({counts.total()} images), "
        f"which the model does not know (it knows {', '.join(codes)}); say which of its classes "
        f"they are with {maps}, or take their images out."
    )


def _disagreements(
    meeting: Mapping[str, str], data: Sequence[Label], labels: Sequence[Label]
) -> tuple[str, ...]:
    """Notes on classes that the data and the model hold to be of different malignancy."""
    of_data = {label.code: label.malignant for label in data}
    of_model = {label.code: label.malignant for label in labels}
    words = {True: "malignant", False: "benign"}
    return tuple(
        f"the data calls {old} {words[of_data[old]]} and the model calls {new} "
        f"{words[of_model[new]]}; the model's view counts"
        for old, new in sorted(meeting.items())
        if of_data[old] != of_model[new]
    )
