"""From a Keras model that was trained elsewhere to a run folder, which everything else takes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime._strict import RecordError, from_json
from edge_runtime._terminal import quiet_stderr
from edge_runtime.errors import ClassError, ConversionError, UsageError
from edge_runtime.manifest import Metric
from edge_runtime.preprocess import InputRule
from train import backend, progress
from train.config import IMPORTED, TrainConfig
from train.data.split import may_part
from train.data.table import Dataset
from train.data.tensors import digest_files
from train.importing.behaviour import Behaviour, judge, tried_on
from train.importing.file import check_file, digest, read_labels, read_model, read_trained_on
from train.importing.fitting import Sample
from train.importing.normalisation import NORMALISATIONS
from train.importing.parts import divide
from train.importing.record import (
    IMPORT_FILE,
    SCHEMA_VERSION,
    Imported,
    Tried,
    format_import,
)
from train.log import recorded
from train.prepared import Prepared, prepare
from train.run import RunFolder
from train.run_writing import Learnt, write_run

if TYPE_CHECKING:
    from train.importing.foreign import Foreign

COMPARED = 64
"""Validation images on which the file's model is compared with the one that is rebuilt."""


@dataclass(frozen=True)
class Source:
    """What the user hands over and says of it.

    Attributes:
        file: the Keras model.
        labels: a text file, class codes in the order of the model's outputs, one a line; for a
            single output the negative class and then the positive one.
        normalisation: a key of `NORMALISATIONS`; None to find it on the images.
        input_size: side of the input in pixels, of a model that leaves it open.
        input_rule: fields of `edge_runtime.preprocess.InputRule` other than the size.
        trained_on: a list of images that the model was trained on, see `train.importing.parts`.
        accept_unproven: import though the images speak against what is said here.
    """

    file: Path
    labels: Path
    normalisation: str | None = None
    input_size: int | None = None
    input_rule: Mapping[str, object] = field(default_factory=dict)
    trained_on: Path | None = None
    accept_unproven: bool = False


def import_model(
    source: Source, data: Dataset, out: Path, config: TrainConfig | None = None
) -> RunFolder:
    """Check and rebuild a model, calibrate and evaluate it, and write the run folder ``out``.

    Args:
        source: the model, and what is known of it.
        data: labelled images, some of which the model has not seen.
        out: must not exist; appears only when everything in it is written.
        config: its seed, sensitivity and bootstrap are used.

    Raises:
        UsageError: the call is wrong, or the normalisation is not the model's.
        ConversionError: the model cannot be used, or knows nothing of these images.
        ClassError: its classes are not the data's, or are listed in another order.
        DataError: the images cannot be used.
    """
    if out.exists():
        raise UsageError(f"{out} exists already; name another --out, or remove it.")
    if source.normalisation is not None and source.normalisation not in NORMALISATIONS:
        raise UsageError(
            f"There is no normalisation {source.normalisation!r}; choose among "
            f"{', '.join(NORMALISATIONS)}."
        )
    check_file(source.file)
    codes = read_labels(source.labels)
    data = _in_order(data, codes, source.labels)
    listed = read_trained_on(source.trained_on) if source.trained_on else None
    backend.prepare()
    from train.importing.foreign import foreign, input_size

    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of older formats; what goes wrong comes as an error
        model = foreign(read_model(source.file))
    if model.classes != len(codes):
        raise ClassError(
            f"{source.labels.name} lists {len(codes)} classes ({', '.join(codes)}), but "
            f"{source.file.name} ends in {model.words}, which tells {model.classes} apart."
        )
    rule = _input_rule(input_size(model, source.input_size), source.input_rule)
    config = replace(config or TrainConfig(), arch=IMPORTED, input_size=rule.size, pretrained=False)
    _import(source, model, rule, data, listed, out, config)
    return RunFolder.open(out)


def _import(
    source: Source, model: Foreign, rule: InputRule, data: Dataset, listed: frozenset[str] | None,
    out: Path, config: TrainConfig,
) -> None:  # fmt: skip
    from train.importing.network import rebuild

    digests = digest_files([record.file for record in data.records])
    divided = divide(data, digests, config.seed, listed)
    prepared = prepare(divided.data, config, rule)
    progress.say(
        f"{data.description.name}: "
        + ", ".join(f"{len(index)} {name}" for name, index in prepared.index.items())
        + f" images; {divided.assumed}"
    )
    if note := may_part(data.records):
        progress.say(note)
    found = _behaviour(source, model, prepared, config.seed)
    chosen = NORMALISATIONS[found.normalisation]
    rebuilt = rebuild(model, rule.size, chosen)
    difference = _difference(model, rebuilt, prepared, found)
    imported = Imported(
        schema_version=SCHEMA_VERSION,
        file=source.file.name,
        sha256=digest(source.file),
        ending=model.words,
        normalisation=chosen.name,
        declared=source.normalisation is not None,
        checked_on=found.images,
        tried={
            name: Tried(fit.loss, Metric(fit.auc, fit.auc_low, fit.auc_high))
            for name, fit in found.fits.items()
        },
        difference=difference,
        trained_on=divided.assumed,
        accepted=found.accepted,
    )
    learnt = Learnt(
        rebuilt,
        f"imported from {imported.file} (SHA-256 {imported.sha256[:16]}), trained elsewhere; "
        f"normalisation {chosen.name}",
    )
    try:
        with recorded(out, data.description.name, config) as record:
            write_run(out, prepared, config, learnt, {IMPORT_FILE: format_import(imported)})
            record.finished(RunFolder.open(out))
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written ({error.strerror}); free some space, or name another --out."
        ) from None


def _in_order(data: Dataset, codes: Sequence[str], file: Path) -> Dataset:
    """The data with its classes in the order of the model's outputs."""
    labels = {label.code: label for label in data.labels}
    if set(labels) != set(codes):
        raise ClassError(
            f"{file.name} lists the classes {', '.join(codes)}, but {data.root.name} has "
            f"{', '.join(labels)}; both have to name the same ones."
        )
    return replace(data, labels=tuple(labels[code] for code in codes))


def _input_rule(size: int, said: Mapping[str, object]) -> InputRule:
    if "size" in said:
        raise UsageError("The input rule's size is the model's; say it with --input-size.")
    try:
        return from_json(InputRule, {"size": size, **said}, "the input rule")
    except RecordError as error:
        raise UsageError(f"{str(error)[:1].upper()}{str(error)[1:]}; correct the call.") from None


def _behaviour(source: Source, model: Foreign, prepared: Prepared, seed: int) -> Behaviour:
    truth = prepared.truth["val"]
    chosen = tried_on(truth.truth, seed)
    sample = Sample.of(truth.truth[chosen], truth.groups[chosen], model.classes, seed)
    images = prepared.tensors[prepared.index["val"][chosen]]
    answers = {}
    with progress.bar("normalisation", len(NORMALISATIONS), "rule") as update:
        for done, (name, rule) in enumerate(NORMALISATIONS.items(), 1):
            answers[name] = model.probabilities(images, rule)
            update(done)
    found = judge(
        answers, sample, prepared.data.codes, declared=source.normalisation,
        accept_unproven=source.accept_unproven,
    )  # fmt: skip
    shown = ", ".join(f"{name} ({fit.words})" for name, fit in found.fits.items())
    progress.say(
        f"{source.file.name}: {model.words} at {prepared.rule.size} px; normalisation "
        f"{found.normalisation}, "
        + ("as declared" if source.normalisation else "found on the images")
        + f"; tried on {found.images} validation images: {shown}"
    )
    if found.accepted:
        progress.say(f"accepted: {found.accepted}")
    return found


def _difference(model: Foreign, rebuilt: object, prepared: Prepared, found: Behaviour) -> float:
    """Largest difference of a probability between the two models.

    Raises:
        ConversionError: it is more than rounding.
    """
    from train.pipeline import predictor

    rows = prepared.index["val"][:COMPARED]
    before = model.probabilities(prepared.tensors[rows], NORMALISATIONS[found.normalisation])
    after = predictor(rebuilt)(prepared.tensors, rows)
    difference = float(np.abs(before - after).max())
    if not difference <= model.tolerance:  # or not a number
        raise ConversionError(
            f"The rebuilt model answers otherwise than the file's (by up to {difference:.4f}, "
            f"expected at most {model.tolerance}); build the model from Keras's own layers."
        )
    return difference
