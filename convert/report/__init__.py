"""One HTML file that shows a bundle: its variants, what they lost, and what was tried for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime._lazy import lazy_names

if TYPE_CHECKING:
    from convert.report.render import render_report

__all__ = ["render_report"]

_MODULES = {"render_report": "render"}

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
