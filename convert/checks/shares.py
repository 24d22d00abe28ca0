"""Shares of images that are refused, with 95% intervals, as `docs/quality.md` writes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import Metric
from train.evaluation.bootstrap import interval
from train.evaluation.shares import resampled_shares, share_by_lesion, wilson

_RESAMPLES, _SEED = 2000, 0


def share(marked: NDArray[np.bool_]) -> str:
    """A share with Wilson's interval."""
    value = float(marked.mean())
    return _told(Metric(value, *wilson(value, len(marked))))


def by_photograph(found: NDArray[np.bool_], photographs: NDArray[np.str_]) -> str:
    """A share of pictures, with an interval that resamples the photographs they were cut from.

    Where all are found the interval is that of the rule of three (JAMA 249, 1983, 1743-1745).
    """
    if found.all():
        share = Metric(1.0, 1 - 3 / len(np.unique(photographs)), 1.0)
    else:
        share = share_by_lesion(found, photographs, _RESAMPLES, _SEED)
    return f"{_told(share)} of {len(found)}"


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
