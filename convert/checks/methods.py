"""Which number tells a picture of anything from one that a model knows: candidates, compared.

The model file ends in a softmax, so what is left of "maximum logit" and "energy" is the greatest
probability and the entropy; a conformal set of a threshold on the probability is empty exactly
where the greatest probability is below it, so it ranks pictures alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.checks.fitting import describe, learn_familiar
from edge_runtime import appearance
from edge_runtime.bundle import Bundle
from train.evaluation.execution import run_images

REFUSED = (0.02, 0.05)
NEIGHBOURS = 5


@dataclass(frozen=True)
class Compared:
    """One candidate.

    Attributes:
        name: for people.
        auc: of pictures of anything against validation images.
        found: share of these pictures refused, where the share `REFUSED` of the validation images
            is.
    """

    name: str
    auc: float
    found: tuple[float, ...]


def compare(
    bundle: Bundle, learnt: NDArray[np.float32], familiar: NDArray[np.float32],
    known: NDArray[np.uint8], other: NDArray[np.uint8],
) -> list[Compared]:  # fmt: skip
    """Compare the candidates.

    Args:
        bundle: whose preferred variant is asked.
        learnt: features of training images.
        familiar: what was learnt of them.
        known: validation images, uint8 of shape (n, size, size, 3).
        other: pictures of anything else, of shape (m, size, size, 3).
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import NearestNeighbors

    images = np.concatenate([known, other])
    truth = np.arange(len(images)) >= len(known)
    variant = bundle.manifest.variants[0]
    answers = run_images(
        bundle.model(variant), variant.format, images, np.arange(len(images))
    ).astype(np.float64)
    described = np.stack([describe(image) for image in images])
    away = np.array([appearance.distance(one, familiar) for one in described])
    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(_whitened(learnt, familiar))
    coarse = np.stack([_coarse(image) for image in images])
    means = learn_familiar(coarse[: len(known)])  # in its favour: it has seen what it is asked
    candidates = {
        "greatest probability": -answers.max(axis=1),
        "entropy of the probabilities": -(answers * np.log(answers + 1e-12)).sum(axis=1),
        "colours on a 4 x 4 grid, Mahalanobis": np.array(
            [appearance.distance(one, means) for one in coarse]
        ),
        f"features of the picture, {NEIGHBOURS}th nearest of the training images":
            nearest.kneighbors(_whitened(described, familiar))[0][:, -1],
        "features of the picture, Mahalanobis (used)": away,
        "the same and entropy, sum of ranks": _ranks(away) + _ranks(
            -(answers * np.log(answers + 1e-12)).sum(axis=1)
        ),
    }  # fmt: skip
    found = []
    for name, score in candidates.items():
        limits = np.quantile(score[~truth], [1 - share for share in REFUSED])
        shares = tuple(float((score[truth] > limit).mean()) for limit in limits)
        found.append(Compared(name, float(roc_auc_score(truth, score)), shares))
    return found


def _whitened(described: NDArray[np.float32], familiar: NDArray[np.float32]) -> NDArray[np.float32]:
    whitened: NDArray[np.float32] = (described - familiar[0]) @ familiar[1:]
    return whitened


def _coarse(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    side = image.shape[0] // 4 * 4
    blocks = image[:side, :side].reshape(4, side // 4, 4, side // 4, 3).mean(axis=(1, 3))
    return blocks.ravel().astype(np.float32)


def _ranks(score: NDArray[np.float64]) -> NDArray[np.float64]:
    return score.argsort().argsort() / len(score)
