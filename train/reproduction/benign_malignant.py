"""Second study: benign or malignant, augmented, tuned, cross-validated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edge_runtime._files import write_text
from train import progress
from train.audit.auditing import audit
from train.config import Augmentation, TrainConfig
from train.crossval.validation import CrossValidation, cross_validate
from train.data.shelf import find
from train.data.table import Dataset
from train.reproduction.images import Image, at_random, audited, balancing, conflicting, written
from train.tuning.search import Tuned, Wish, tune
from train.tuning.space import make_space

COLLECTIONS = ("ham10000", "isic2017")
MALIGNANT = frozenset({"mel", "bcc", "akiec"})
FOLDS, TRIALS = 5, 12
CONFIG = TrainConfig(
    arch="plain_cnn", input_size=64, epochs=12, batch_size=32, learning_rate=1e-3, dropout=0.25,
    augment=Augmentation(
        rotation=25, zoom=0.2, horizontal_flip=0.5, vertical_flip=0, shift=0, brightness=0,
        contrast=0, saturation=0, hue=0, colour_cast=0, blur_share=0, jpeg_share=0, coarse_share=0,
    ),
)  # fmt: skip
"""Rotation, zoom and horizontal flip, as in the study."""
RANGES = (("learning_rate", "3e-4:1e-2"), ("batch_size", "16,32,64"), ("epochs", "5:12"),
          ("augmentation", "1"), ("dropout", "0.25"), ("weight_decay", "0.02"))  # fmt: skip
"""What the study tuned: learning rate, batch size and epochs."""
_DESCRIPTION = """name = "ham10000 and isic2017, benign or malignant"
malignant = ["malignant"]
licence = "CC-BY-NC-4.0"

[names]
malignant = "Malignant"
benign = "Benign"
"""


@dataclass(frozen=True)
class Study:
    """The second study.

    Attributes:
        images: of both collections together.
        tuned: the search on leak-free data.
        published: folds by chance, after copies of malignant images have made both classes equal.
        clean: folds by lesion and picture, augmentation of the training part only.
    """

    images: int
    tuned: Tuned
    published: CrossValidation
    clean: CrossValidation


def study(work: Path) -> Study:
    """Tune, then cross-validate twice with the same settings, or read what was done before.

    Args:
        work: folder for tables, copies and runs; what is there is used again.
    """
    with progress.bar("audit") as update:
        everything = audit(
            [find(name) for name in COLLECTIONS], {"sk": "bkl"},
            progress=lambda _, done, of: update(done, of),
        )  # fmt: skip
    images = [
        replace(image, dx="malignant" if image.dx in MALIGNANT else "benign")
        for image in audited(everything, conflicting(everything))
    ]
    clean = _written(images, work / "clean")
    tuned = tune(clean, CONFIG, work / "tuned", Wish(make_space(CONFIG, RANGES), trials=TRIALS))
    more = balancing(images, work / "copies")
    torn = [replace(image, split="") for image in at_random(more, work / "published-files")]
    return Study(
        images=len(images),
        tuned=tuned,
        published=_folds(_written(torn, work / "published"), tuned.config, work / "published-cv"),
        clean=_folds(clean, tuned.config, work / "clean-cv"),
    )


def _written(images: list[Image], folder: Path) -> Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "dataset.toml", _DESCRIPTION)
    return written(images, folder / "table.csv", None)


def _folds(data: Dataset, config: TrainConfig, out: Path) -> CrossValidation:
    return cross_validate(data, config, out, folds=FOLDS)
