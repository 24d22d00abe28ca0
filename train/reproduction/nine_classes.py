"""First study: nine classes, images added by augmentation, then split by chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.manifest import Metric
from train import progress
from train.audit.auditing import audit
from train.config import TrainConfig
from train.data import description
from train.data.shelf import find
from train.report.evidence import read_history
from train.reproduction.images import (
    Image,
    at_random,
    audited,
    by_group,
    conflicting,
    with_copies,
    written,
)
from train.run import RunFolder
from train.training import train

COLLECTION = "isic_9class"
COPIES = 500
"""Added to every class, which brings 2,359 images to 6,859; the study names no number."""
CONFIG = TrainConfig(
    arch="plain_cnn", input_size=96, epochs=30, batch_size=32, learning_rate=1e-3, dropout=0.25,
    augmentation=0.0, monitor="val_loss",
)  # fmt: skip
"""Batch normalization and dropout as in the study; the copies are its augmentation."""
DESCRIPTION = Path(description.__file__).parent / "descriptions" / f"{COLLECTION}.toml"
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "melanoma_auc")


@dataclass(frozen=True)
class Outcome:
    """One way to share out the images, and what came of it.

    Attributes:
        images: "as downloaded" or "after audit".
        protocol: "as published" or "leak-free".
        counts: images by part, copies included.
        train_accuracy, val_accuracy: of the last epoch, as the study quotes them.
        test: metrics on the images that were held out.
    """

    images: str
    protocol: str
    counts: dict[str, int]
    train_accuracy: float
    val_accuracy: float
    test: dict[str, Metric]


def outcomes(work: Path) -> Iterator[Outcome]:
    """Train four times, or read what was trained before.

    Args:
        work: folder for tables, copies and runs; what is there is used again.
    """
    with progress.bar("audit") as update:
        everything = audit([find(COLLECTION)], progress=lambda _, done, of: update(done, of))
    for name, left_out in (("as downloaded", set()), ("after audit", conflicting(everything))):
        images = audited(everything, left_out)
        images = _without_rare(images)
        place = work / name.replace(" ", "-")
        published = at_random(
            with_copies(images, place / "copies", COPIES), place / "published-files"
        )
        yield _outcome(name, "as published", published, place / "published")
        shared = by_group(images, place / "shared.csv", DESCRIPTION)
        kept = [image for image in shared if image.split != "train"]
        learnt = [image for image in shared if image.split == "train"]
        clean = [*kept, *with_copies(learnt, place / "training-copies", COPIES)]
        yield _outcome(name, "leak-free", clean, place / "leak-free")


def _without_rare(images: list[Image]) -> list[Image]:
    """The images of classes with at least three groups, which a split takes."""
    groups = {(image.dx, image.lesion_id) for image in images}
    counts = {label: sum(dx == label for dx, _ in groups) for label in {dx for dx, _ in groups}}
    return [image for image in images if counts[image.dx] >= 3]


def _outcome(name: str, protocol: str, images: list[Image], place: Path) -> Outcome:
    out = place / "run"
    if not out.exists():
        data = written(images, place / "table.csv", DESCRIPTION)
        train(data, CONFIG, out, resume=True)
    run = RunFolder.open(out)
    last = read_history(run)[-1]
    return Outcome(
        name, protocol,
        {part: sum(counts.values()) for part, counts in run.run.counts.items()},
        last["accuracy"], last["val_accuracy"],
        {metric: run.run.metrics["test"][metric] for metric in METRICS},
    )  # fmt: skip
