"""Answers of models that do not exist, with known properties."""

from __future__ import annotations

import numpy as np

from edge_runtime.manifest import Label, OperatingPoint
from train.metrics import Predictions

CODES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
SHARES = (0.04, 0.06, 0.12, 0.02, 0.12, 0.62, 0.02)
LABELS = tuple(Label(code, code, code in ("akiec", "bcc", "mel")) for code in CODES)
POINTS = {
    "melanoma": OperatingPoint(0.2, 0.9, 0.9, 0.7),
    "malignant": OperatingPoint(0.4, 0.9, 0.9, 0.7),
}


def seven_classes(
    images: int = 300, *, seed: int = 0, skill: float = 1.5, lesions: int | None = None,
    digits: int | None = None,
) -> Predictions:  # fmt: skip
    """A model that is right more often the higher its skill; rounded scores have ties."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(CODES), images, p=SHARES)
    logits = rng.normal(size=(images, len(CODES)))
    logits[np.arange(images), truth] += skill
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    if digits is not None:
        probabilities = probabilities.round(digits) + 1e-3
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    groups = np.arange(images) if lesions is None else rng.integers(0, lesions, images)
    return Predictions(
        probabilities.astype(np.float32), truth, groups.astype(str), LABELS, melanoma="mel"
    )


def two_classes(scores: np.ndarray, positive: np.ndarray, groups: np.ndarray | None = None):
    """A benign/malignant model of these scores."""
    labels = (Label("benign", "benign", False), Label("malignant", "malignant", True))
    groups = np.arange(len(scores)) if groups is None else groups
    probabilities = np.stack([1 - scores, scores], axis=1)
    return Predictions(probabilities, positive.astype(np.int64), groups.astype(str), labels, None)
