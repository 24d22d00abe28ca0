"""How everything in a report looks: the colours and the lettering, in one place.

Colours are Okabe & Ito's, which people with any colour vision tell apart (Color Universal Design,
2008). Plots are drawn in the light ones; in the page every colour becomes a CSS variable, so that
a plot follows the reader's light or dark setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Colour:
    """One colour of the page, as ``#rrggbb``, on a light and on a dark ground."""

    light: str
    dark: str


PALETTE: Mapping[str, Colour] = MappingProxyType(
    {
        "paper": Colour("#fdfdfc", "#15181c"),
        "card": Colour("#f4f5f3", "#1e2227"),
        "ink": Colour("#1c2126", "#e6e8ea"),
        "muted": Colour("#5b646d", "#a3acb5"),
        "line": Colour("#d9dcd8", "#343a41"),
        "blue": Colour("#0072b2", "#56b4e9"),
        "vermillion": Colour("#d55e00", "#f28a3c"),
        "green": Colour("#00805c", "#2fc49a"),
        "warn": Colour("#8a4b00", "#f0b35a"),
        "warn-ground": Colour("#fff3df", "#3a2c14"),
    }
)
"""CSS variables by name. A test holds that every light colour occurs once, as plots rely on it."""

TRAIN, VAL, TEST = "green", "vermillion", "blue"
SPLIT_COLOURS: Mapping[str, str] = MappingProxyType({"train": TRAIN, "val": VAL, "test": TEST})
SPLIT_LINES: Mapping[str, Any] = MappingProxyType({"train": ":", "val": (0, (5, 2)), "test": "-"})
SPLIT_WORDS: Mapping[str, str] = MappingProxyType(
    {"train": "training", "val": "validation", "test": "test"}
)


def light(name: str) -> str:
    """The colour that plots are drawn in."""
    return PALETTE[name].light


def matplotlib_style() -> Any:
    """Settings for `matplotlib.rc_context`, a dictionary."""
    ink, muted, line = light("ink"), light("muted"), light("line")
    return {
        "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
        "font.size": 9, "font.family": "DejaVu Sans",  # measures the text; the page's font shows it
        "text.color": ink, "text.parse_math": False,  # a class name may hold a dollar sign
        "axes.edgecolor": line, "axes.labelcolor": muted, "axes.titlecolor": ink,
        "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left",
        "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "grid.color": line, "grid.linewidth": 0.6, "axes.axisbelow": True,
        "xtick.color": line, "ytick.color": line,
        "xtick.labelcolor": muted, "ytick.labelcolor": muted,
        "legend.frameon": False, "legend.fontsize": 8.5, "lines.linewidth": 1.8,
        "svg.fonttype": "none", "svg.hashsalt": "dermedge",
    }  # fmt: skip
