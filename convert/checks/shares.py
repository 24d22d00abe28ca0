"""Shares of images that are refused, with 95% intervals, as `docs/quality.md` writes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import Metric
from train.evaluation.bootstrap import interval
from train.evaluation.shares import resampled_shares, share_by_lesion

_RESAMPLES, _SEED = 2000, 0


def share(marked: NDArray[np.bool_], groups: NDArray[np.str_]) -> str:
    """A share of pictures, with an interval that resamples what they show.

    Where all or none are marked the interval is that of the rule of three (JAMA 249, 1983,
    1743-1745).

    Args:
        marked: shape (n,).
        groups: the lesion that each shows, or the photograph that it was cut from, shape (n,).
    """
    value = float(marked.mean())
    if 0 < value < 1:
        return _told(share_by_lesion(marked, groups, _RESAMPLES, _SEED))
    reach = min(1.0, 3 / len(np.unique(groups)))
    return _told(Metric(value, max(0.0, value - reach), min(1.0, value + reach)))


def by_lesion(
    refused: NDArray[np.bool_], melanoma: NDArray[np.bool_], groups: NDArray[np.str_]
) -> Metric:
    """Difference of the shares refused, melanomas less the rest, with an interval over lesions."""
    rng = np.random.default_rng(_SEED)
    drawn = [
        resampled_shares(refused[part], groups[part], _RESAMPLES, rng)
        for part in (melanoma, ~melanoma)
    ]
    apart = refused[melanoma].mean() - refused[~melanoma].mean()
    return interval("difference", float(apart), [drawn[0] - drawn[1]])


def _told(share: Metric) -> str:
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"
