"""`dermedge check`: the gate again, on any labelled images.

check               a bundle's variants, executed here          `convert.checking.again`
check_predictions   what a device answered                      `convert.checking.device`
check_against       a bundle against an earlier one             `convert.checking.release`
"""

from __future__ import annotations

from convert.checking.again import check
from convert.checking.device import check_predictions
from convert.checking.release import check_against

__all__ = ["check", "check_against", "check_predictions"]
