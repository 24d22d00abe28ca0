"""The main job from end to end on generated images: draw, train, convert, judge, classify."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from convert.conversion import convert
from convert.outcome import Conversion, Options
from edge_runtime import Classifier
from edge_runtime._terminal import quiet_stderr
from edge_runtime.bundle import Bundle
from edge_runtime.errors import DermedgeError, UsageError
from edge_runtime.result import Failure, Result
from train import backend, progress
from train.config import TrainConfig
from train.data.table import read_data
from train.run import RunFolder

CONFIG = TrainConfig(
    arch="plain_cnn", input_size=64, epochs=14, batch_size=32, learning_rate=2e-3,
    augmentation=0.5, bootstrap=200,
)  # fmt: skip
"""Small enough for a minute on two cores, large enough to be worth quantizing."""

_PARTS = ("data", "run", "bundle")
_CLASSIFIED = ("mel", "nv", "bkl")


@dataclass(frozen=True)
class Demonstration:
    """What the demo made.

    Attributes:
        run, conversion: as from `dermedge train` and `dermedge convert`.
        answers: three images of the test part, classified from their files.
        truth: their labels.
    """

    run: RunFolder
    conversion: Conversion
    answers: tuple[Result | Failure, ...]
    truth: tuple[str, ...]


def demonstrate(out: Path, *, seed: int = 0, overwrite: bool = False) -> Demonstration:
    """Write generated images, a run and a bundle into ``out``, and classify three images.

    Args:
        out: folder for `data/`, `run/` and `bundle/`.
        seed: of the images, the training and the calibration.
        overwrite: replace the three where an earlier demo has left them.

    Raises:
        UsageError: ``out`` holds something that may not be replaced, or that no demo has left, or
            the seed cannot be.
    """
    from train.synthetic import write_dataset

    config = replace(CONFIG, seed=seed)
    existing = [name for name in _PARTS if os.path.lexists(out / name)]
    if existing and not overwrite:
        raise UsageError(f"{out} holds {', '.join(existing)} already; add --overwrite.")
    for name in existing:
        _refuse_foreign(out / name)
    backend.prepare()  # what is not installed is named before the drawing
    for name in existing:
        shutil.rmtree(out / name)

    progress.say("1 of 4: drawing dermoscopy-like images (generated: no patient, no claim)")
    with progress.bar("drawing") as update:
        write_dataset(out / "data", seed=seed, progress=update)

    progress.say("2 of 4: training a small CNN")
    from train.training import train

    run = train(read_data(out / "data"), config, out / "run")

    from train.report import write_report

    write_report(run, robustness=False)

    progress.say("3 of 4: converting, and judging every variant against the Keras model")
    options = Options(name="dermedge-demo", seed=seed, bootstrap=config.bootstrap)
    conversion = convert(run, out / "bundle", options)

    answers: tuple[Result | Failure, ...] = ()
    chosen = []
    if conversion.bundle is not None:
        progress.say("4 of 4: classifying three images of the test part")
        test = [row for row in run.rows() if row.split == "test"]
        chosen = [next(row for row in test if row.label == label) for label in _CLASSIFIED]
        with quiet_stderr():
            classifier = Classifier.open(conversion.bundle)
        answers = tuple(classifier.classify_many(out / "data" / row.file for row in chosen))
    return Demonstration(run, conversion, answers, tuple(row.label for row in chosen))


def _refuse_foreign(part: Path) -> None:
    """Refuse to replace what was not made of generated images, and so by no demo."""
    try:
        if part.is_symlink():
            generated = False
        elif part.name == "data":
            generated = read_data(part).description.generated
        elif part.name == "run":
            generated = RunFolder.open(part).run.data.generated
        else:
            generated = Bundle.open(part).manifest.source.generated
    except DermedgeError:
        generated = False
    if not generated:
        raise UsageError(
            f"{part} was not left by a demo, or has been changed since, so it is not replaced; "
            "remove it, or name another --out."
        )
