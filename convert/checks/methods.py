"""Which number tells a picture of anything from one that a model knows: candidates, compared.

The model file ends in a softmax, so what is left of "maximum logit" and "energy" is the greatest
probability and the entropy; a conformal set of a threshold on the probability is empty exactly
where the greatest probability is below it, so it ranks pictures alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.checks.fitting import CLASS_POWER, class_weights, describe, learn_familiar
from edge_runtime import appearance
from edge_runtime.bundle import Bundle
from train.evaluation.execution import run_images

REFUSED = (0.02, 0.03, 0.05)
NEIGHBOURS = (1, 5)


@dataclass(frozen=True)
class Compared:
    """One candidate.

    Attributes:
        name: for people.
        auc: of pictures of anything against validation images.
        found: share of these pictures refused, where the share `REFUSED` of the validation images
            is.
        least: the class of which most are refused then, and the share of it that is not.
    """

    name: str
    auc: float
    found: tuple[float, ...]
    least: tuple[tuple[str, float], ...]


def compare(
    bundle: Bundle, learnt: NDArray[np.float32], learnt_labels: Sequence[str],
    trained_labels: Sequence[str], known: NDArray[np.uint8], known_labels: Sequence[str],
    other: NDArray[np.uint8],
) -> list[Compared]:  # fmt: skip
    """Compare the candidates.

    Args:
        bundle: whose preferred variant is asked.
        learnt, learnt_labels: features of training images, and their classes.
        trained_labels: classes of all training images.
        known, known_labels: validation images, uint8 of shape (n, size, size, 3), and their
            classes.
        other: pictures of anything else, of shape (m, size, size, 3).
    """
    images = np.concatenate([known, other])
    variant = bundle.manifest.variants[0]
    answers = run_images(
        bundle.model(variant), variant.format, images, np.arange(len(images))
    ).astype(np.float64)
    entropy = -(answers * np.log(answers + 1e-12)).sum(axis=1)
    coarse = np.stack([_coarse(image) for image in images])
    # In its favour: it has seen what it is asked.
    means = learn_familiar(coarse[: len(known)], class_weights(known_labels, known_labels))
    scores = {
        "greatest probability": -answers.max(axis=1),
        "entropy of the probabilities": entropy,
        "colours on a 4 x 4 grid, Mahalanobis": _away(coarse, means),
        **_of_appearance(
            np.stack([describe(image) for image in images]), learnt, learnt_labels, trained_labels
        ),
    }
    scores["the one used and entropy, sum of ranks"] = _ranks(scores[_USED]) + _ranks(entropy)
    return [_judged(name, score, np.array(known_labels)) for name, score in scores.items()]


_USED = "features of the picture, Mahalanobis, classes by the root of their share (used)"


def _of_appearance(
    described: NDArray[np.float32], learnt: NDArray[np.float32], labels: Sequence[str],
    trained: Sequence[str],
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    from sklearn.neighbors import NearestNeighbors

    scores = {}
    for name, power in (
        ("features of the picture, Mahalanobis, every image alike", 1.0),
        (_USED, CLASS_POWER),
        ("features of the picture, Mahalanobis, every class alike", 0.0),
    ):
        weights = class_weights(labels, trained, power)
        scores[name] = _away(described, learn_familiar(learnt, weights))
    familiar = learn_familiar(learnt, class_weights(labels, trained))
    for count in NEIGHBOURS:
        nearest = NearestNeighbors(n_neighbors=count).fit(_whitened(learnt, familiar))
        name = f"the same features, nearest training image no. {count} ({learnt.nbytes:,} bytes)"
        scores[name] = nearest.kneighbors(_whitened(described, familiar))[0][:, -1]
    return scores


def _judged(name: str, score: NDArray[np.float64], labels: NDArray[np.str_]) -> Compared:
    from sklearn.metrics import roc_auc_score

    known, other = score[: len(labels)], score[len(labels) :]
    limits = [float(np.quantile(known, 1 - share)) for share in REFUSED]
    truth = np.arange(len(score)) >= len(labels)
    return Compared(
        name,
        float(roc_auc_score(truth, score)),
        tuple(float((other > limit).mean()) for limit in limits),
        tuple(
            min(
                ((code, float((known[labels == code] <= limit).mean()))
                 for code in sorted(set(labels.tolist()))),
                key=lambda each: each[1],
            )
            for limit in limits
        ),
    )  # fmt: skip


def _away(described: NDArray[np.float32], familiar: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.array([appearance.distance(one, familiar) for one in described])


def _whitened(described: NDArray[np.float32], familiar: NDArray[np.float32]) -> NDArray[np.float32]:
    whitened: NDArray[np.float32] = (described - familiar[0]) @ familiar[1:]
    return whitened


def _coarse(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    side = image.shape[0] // 4 * 4
    blocks = image[:side, :side].reshape(4, side // 4, 4, side // 4, 3).mean(axis=(1, 3))
    return blocks.ravel().astype(np.float32)


def _ranks(score: NDArray[np.float64]) -> NDArray[np.float64]:
    return score.argsort().argsort() / len(score)
