"""The main job from end to end on generated images: draw, train, convert, judge, classify."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from convert.conversion import convert
from convert.outcome import Conversion, Options
from edge_runtime import Classifier
from edge_runtime._terminal import quiet_stderr
from edge_runtime.errors import UsageError
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
        UsageError: ``out`` holds something and may not be replaced.
    """
    from train.synthetic import write_dataset

    existing = [name for name in _PARTS if (out / name).exists()]
    if existing and not overwrite:
        raise UsageError(f"{out} holds {', '.join(existing)} already; add --overwrite.")
    backend.prepare()  # what is not installed is named before the drawing
    for name in existing:
        shutil.rmtree(out / name)

    progress.say("1 of 4: drawing dermoscopy-like images (generated: no patient, no claim)")
    with progress.bar("drawing") as update:
        write_dataset(out / "data", seed=seed, progress=update)

    progress.say("2 of 4: training a small CNN")
    from train.training import train

    config = TrainConfig(**{**vars(CONFIG), "seed": seed})
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
