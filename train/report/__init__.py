"""One HTML file that shows a run: how it was trained, how well it does, and where it goes wrong.

>>> from train.report import write_report
>>> write_report(RunFolder.open("runs/first"), Path("runs/first/report.html"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime._lazy import lazy_names

if TYPE_CHECKING:
    from train.report.render import render_report
    from train.report.writing import write_report

__all__ = ["render_report", "write_report"]

_MODULES = {"render_report": "render", "write_report": "writing"}

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
