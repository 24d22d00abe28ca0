"""Gathering what a report needs and writing it: images, explanations, robustness, one file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime._files import write_text
from edge_runtime.errors import (
    LeakError,
    MissingExtraError,
    MissingImagesError,
    UnreadableImagesError,
)
from train import backend, progress
from train.evaluation.evaluation import subgroups_of
from train.output import try_place, writing
from train.report.evidence import Answered, TestImages, find_test_images, read_answers
from train.run import RunFolder

if TYPE_CHECKING:
    from train.evaluation.subgroups import Subgroup
    from train.robustness import Corrupted

REPORT_FILE = "report.html"


def write_report(
    run: RunFolder,
    out: Path | None = None,
    *,
    data: Path | None = None,
    pictures: bool = True,
    robustness: bool = True,
) -> Path:
    """Write the report of a run; it appears only when it is whole.

    Args:
        run: the run.
        out: the file, by default `REPORT_FILE` in the run folder.
        data: where the run's images are now, if they have moved. Where it is not given and they
            are gone or changed, the report says so and does without pictures and robustness.
        pictures: whether the report may show lesions.
        robustness: whether to measure it, which takes most of the time.

    Raises:
        UsageError: the file cannot be written.
        MissingExtraError: a package that draws the report is not installed.
        MissingImagesError, LeakError: the images are not in ``data``.
        RunError: the run's files do not belong together.
    """
    for package in ("jinja2", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"The package {package} is not installed; run "
                '`pip install ./edge_runtime ".[train]"` in the checkout.'
            )
    from train.report.render import render_report

    written = out or run.folder / REPORT_FILE
    try_place(written)  # now, not after minutes of measuring
    images = _images(run, data)
    heat: dict[int, NDArray[np.float32]] = {}
    corrupted: tuple[Corrupted, ...] = ()
    groups: tuple[Subgroup, ...] = ()
    notes: list[str] = []
    if images is not None:
        record = run.run
        groups, notes = subgroups_of(
            images.images, read_answers(run, "test").predictions, record.operating_points,
            bootstrap=record.config.bootstrap, seed=record.config.seed,
        )  # fmt: skip
    if images is not None and (pictures or robustness):
        backend.prepare()
        model, test = run.model(), read_answers(run, "test")
        heat = _heat(model, run, test, images) if pictures else {}
        corrupted = _robustness(model, run, test, images) if robustness else ()
    text = render_report(
        run, pictures=pictures, images=images, heat=heat, subgroups=groups,
        subgroup_notes=notes, corrupted=corrupted,
    )  # fmt: skip
    with writing(written):
        write_text(written, text)
    return written


def _images(run: RunFolder, data: Path | None) -> TestImages | None:
    try:
        return find_test_images(run, data)
    except (MissingImagesError, LeakError, UnreadableImagesError) as error:
        if data is not None:
            raise
        progress.say(f"The report does without pictures and robustness. {error}")
        return None


def _heat(
    model: Any, run: RunFolder, test: Answered, images: TestImages
) -> dict[int, NDArray[np.float32]]:
    from train.report.gradcam import explainable, grad_cam
    from train.report.mistakes import examples, explained

    target = test.predictions.main_target or test.predictions.targets[0]
    threshold = run.run.operating_points[target].threshold
    chosen = [example for _, example in explained(examples(test, target, threshold))]
    if not chosen or not explainable(model):
        return {}
    positions = [example.position for example in chosen]
    squares = np.asarray(images.tensors[positions])
    maps = grad_cam(model, squares, np.array([example.explained for example in chosen]))
    return dict(zip(positions, maps, strict=True))


def _robustness(
    model: Any, run: RunFolder, test: Answered, images: TestImages
) -> tuple[Corrupted, ...]:
    from train.pipeline import predictor
    from train.robustness import CORRUPTIONS, MOST_IMAGES, SEVERITIES, robustness

    count = min(MOST_IMAGES, len(images.tensors))
    progress.say(
        f"robustness: {count} test images under {len(CORRUPTIONS)} corruptions at "
        f"{len(SEVERITIES)} severities"
    )
    with progress.bar("robustness") as update:
        return robustness(
            predictor(model), images.tensors, np.arange(len(images.tensors)), test.predictions,
            run.run.operating_points, seed=run.run.config.seed, progress=update,
        )  # fmt: skip
