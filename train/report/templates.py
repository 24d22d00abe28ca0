"""The templates of the reports: one set-up for all of them, and how they write numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def environment(*folders: Path) -> Any:
    """A Jinja environment that finds the templates of ``folders``, and those that all share here.

    What is filled in is escaped; a name that is not there is an error.
    """
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "thousands": lambda count: f"{count:,}"}
    return made


def number(value: float | None, digits: int = 3) -> str:
    """A rounded number without the sign of a zero; a dash where there is none."""
    if value is None or np.isnan(value):
        return "–"  # noqa: RUF001
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text
