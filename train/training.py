"""One training run, from labelled images to a run folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime._files import sha256, write_text
from edge_runtime.errors import RunError, TrainingError, UsageError
from train import backend, progress
from train.checkpoint import CheckpointFile, full_disk
from train.config import TrainConfig
from train.configuration import (
    CONFIG_FILE,
    Configuration,
    DataConfig,
    configuration,
    differences,
    format_configuration,
    partial_folder,
    read_tables,
)
from train.data.split import may_part
from train.data.table import Dataset
from train.log import recorded
from train.memory import check_fits
from train.prepared import Prepared, prepare
from train.run import RunFolder
from train.run_writing import Learnt, write_run

if TYPE_CHECKING:
    from train.architectures import Built
    from train.fit import Fitted, Parts
    from train.teaching import Teacher

GRID_IMAGES = 6
"""Images in the picture of the augmentation."""

OnEpoch = Callable[[Mapping[str, float]], None]


def fit_only(data: Dataset, config: TrainConfig, *, on_epoch: OnEpoch | None = None) -> Fitted:
    """Fit as `train` does, keep nothing but the history, and leave the test part alone.

    Args:
        data: labelled images; a split that they bring is kept.
        config: how to train.
        on_epoch: called with every new row of the history; what it raises ends the fit.

    Raises:
        UsageError, DataError, TrainingError: as `train`.
    """
    built = _build(data, config)
    prepared = prepare(data, config)
    prepared.check_learnable()
    built = _started(built, prepared, config)
    _announce(prepared, config, built)
    from train.fit import fit

    return fit(
        built.model, _parts(prepared), config, on_epoch=on_epoch,
        teachers=_teachers(prepared, config),
    )  # fmt: skip


def train(
    data: Dataset, config: TrainConfig, out: Path, *, where: DataConfig | None = None,
    on_epoch: OnEpoch | None = None, resume: bool = False, no_more: bool = False,
) -> RunFolder:  # fmt: skip
    """Split, cache, fit, evaluate, and write the run folder ``out``.

    While it runs, ``out`` with ".partial" appended holds the configuration and the last whole
    epoch. It stays there when the run is interrupted.

    Args:
        data: labelled images; a split that they bring is kept.
        config: how to train.
        out: must not exist; appears only when everything in it is written.
        where: the data as the user named them, for the configuration that is kept.
        on_epoch: called with every new row of the history; what it raises ends the run.
        resume: go on with an interrupted run where there is one.
        no_more: with ``resume``: take the best epoch so far, and train no further.

    Raises:
        UsageError: ``out`` exists or was begun already, or the configuration names no known
            architecture.
        RunError: ``resume`` with other data or another configuration.
        DataError: the images cannot be split or read.
        TrainingError: the loss is no longer finite, or memory or disk are too small.
    """
    if out.exists():
        raise UsageError(f"{out} exists already; name another --out, or remove it.")
    chosen = Configuration(where or DataConfig(path=str(data.root.resolve())), config)
    partial = partial_folder(out)
    resumed = _check_begun(partial, chosen, resume)
    built = _build(data, config)
    prepared = prepare(data, config)
    prepared.check_learnable()
    built = _started(built, prepared, config)
    teachers = _teachers(prepared, config)
    check_fits(built.model, config)
    checkpoints = CheckpointFile(partial, _fingerprint(prepared, teachers))
    if checkpoints.load() is None and resumed:  # the former refuses other data
        progress.say(f"no epoch was saved in {partial}, so the training begins anew")
        resumed = False
    _keep(partial, chosen)  # of what is refused until here, no run is logged
    with recorded(out, data.description.name, config, resumed=resumed) as record:
        _announce(prepared, config, built)
        if note := may_part(data.records):
            progress.say(note)
        from train.fit import fit

        def epoch_done(row: Mapping[str, float]) -> None:
            record.epoch(row)
            if on_epoch is not None:
                on_epoch(row)

        fitted = fit(
            built.model, _parts(prepared), config, checkpoints=checkpoints, on_epoch=epoch_done,
            no_more=no_more, teachers=teachers,
        )  # fmt: skip
        try:
            weights = built.weights + _taught_by(config, teachers)
            learnt = Learnt(built.model, weights, fitted.history, fitted.best_epoch)
            write_run(out, prepared, config, learnt, {CONFIG_FILE: format_configuration(chosen)})
        except OSError as error:
            raise TrainingError(f"{full_disk(error, out.parent)}.") from None
        shutil.rmtree(partial, ignore_errors=True)
        folder = RunFolder.open(out)
        record.finished(folder)
        return folder


def show_augmentation(data: Dataset, config: TrainConfig, path: Path) -> None:
    """Draw training images beside what the augmentation makes of them.

    Args:
        data: labelled images.
        config: its augmentation and input size are used.
        path: a PNG.

    Raises:
        UsageError: ``path`` is a folder, or lies in none.
        DataError: the images cannot be split or read.
    """
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise UsageError(f"{path} is a folder or lies in none; name a PNG in a folder that exists.")
    backend.prepare()
    from train.augmentation_grid import write_grid

    prepared = prepare(data, config)
    chosen = np.random.default_rng(config.seed).permutation(prepared.index["train"])[:GRID_IMAGES]
    names = [f"{prepared.rows[i].image_id} ({prepared.rows[i].label})" for i in chosen]
    write_grid(prepared.tensors, chosen, config, path, names)


def _check_begun(partial: Path, chosen: Configuration, resume: bool) -> bool:
    """Whether an interrupted run is there, whose configuration is then the same."""
    file, out = partial / CONFIG_FILE, partial.with_suffix("")
    if not file.is_file():
        return False
    if not resume:
        raise UsageError(
            f"{partial} holds a run that was interrupted; go on with it by --resume {out}, or "
            "remove it."
        )
    kept = configuration(read_tables(file))
    where = replace(chosen.data, resplit=kept.data.resplit)  # the fingerprint knows moved data
    changed = differences(replace(kept, data=where), chosen)
    if changed:
        raise RunError(
            f"{out} was begun otherwise: {', '.join(changed)}; leave that as it was to go on, or "
            "name another --out to train anew."
        )
    return True


def _keep(partial: Path, chosen: Configuration) -> None:
    """Keep the configuration for a run that may be interrupted."""
    try:
        partial.mkdir(parents=True, exist_ok=True)
        write_text(partial / CONFIG_FILE, format_configuration(chosen))
    except OSError as error:
        raise TrainingError(f"{full_disk(error, partial)}.") from None


def _build(data: Dataset, config: TrainConfig) -> Built:
    backend.prepare()
    import keras

    from train.architectures import build

    if config.deterministic:
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    return build(
        config.arch, input_size=config.input_size, classes=len(data.labels),
        dropout=config.dropout, pretrained=config.pretrained and not config.start,
        width=config.width,
    )  # fmt: skip


def _started(built: Built, prepared: Prepared, config: TrainConfig) -> Built:
    if not config.start:
        return built
    from train.starting import started_from

    return started_from(built, RunFolder.open(config.start), prepared)


def _teachers(prepared: Prepared, config: TrainConfig) -> tuple[Teacher, ...]:
    if not config.teacher:
        return ()
    from train.teaching import teacher_of

    return tuple(teacher_of(RunFolder.open(run), prepared) for run in config.teacher)


def _fingerprint(prepared: Prepared, teachers: Sequence[Teacher]) -> str:
    """Of what a run that goes on has to find unchanged."""
    if not teachers:
        return prepared.fingerprint
    digests = " ".join(teacher.digest for teacher in teachers)
    return sha256(f"{prepared.fingerprint} {digests}".encode())


def _taught_by(config: TrainConfig, teachers: Sequence[Teacher]) -> str:
    """Words for the run and its card."""
    if not teachers:
        return ""
    *others, last = [
        f"{Path(run).name} ({teacher.digest[:12]})"
        for run, teacher in zip(config.teacher, teachers, strict=True)
    ]
    if not others:
        return f", taught by the run {last}"
    return f", taught by the runs {', '.join(others)} and {last}"


def _announce(prepared: Prepared, config: TrainConfig, built: Built) -> None:
    progress.say(
        f"{prepared.data.description.name}: "
        + ", ".join(f"{len(index)} {name}" for name, index in prepared.index.items())
        + f" images, {len(prepared.data.labels)} classes; {config.arch} at {config.input_size} px; "
        + built.weights
    )


def _parts(prepared: Prepared) -> Parts:
    from train.fit import Parts

    index, truth = prepared.index, prepared.truth
    return Parts(prepared.tensors, index["train"], truth["train"].truth, index["val"], truth["val"])
