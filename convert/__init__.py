"""A run folder in, checked model files out: a bundle.

>>> from convert import Options, convert
>>> convert(RunFolder.open("runs/first"), Path("bundles/first"), Options())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime._lazy import lazy_names

if TYPE_CHECKING:
    from convert.checking import check
    from convert.conversion import convert
    from convert.gate.judge import Margins
    from convert.outcome import Conversion, Options

__all__ = ["Conversion", "Margins", "Options", "check", "convert"]

_MODULES = {
    "Conversion": "outcome",
    "Margins": "gate.judge",
    "Options": "outcome",
    "check": "checking",
    "convert": "conversion",
}

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
