"""What was measured of the runtime, as a page for people."""

from __future__ import annotations

from tabulate import tabulate

from benchmarks.runtime.overhead import Beside
from benchmarks.runtime.study import FOLDER, Report

GOALS = {
    ("600 pixels", "runtime, no checks"): 1.10,
    ("600 pixels", "runtime"): 1.5,
    ("12 megapixels", "runtime, no checks"): 1.10,
    ("12 megapixels", "runtime"): 1.10,
}
"""How many times the bare loop's time an answer may take, by size of the image and way."""
START_GOAL, FOLDER_GOAL, PEAK_GOAL_MB, GROWTH_GOAL_MB = 1.2, 1.7, 150.0, 1.0


def page(report: Report, command: str) -> str:
    """The page, in Markdown.

    Args:
        report: what was measured.
        command: how it is measured again.
    """
    machine = report.environment
    notes = "".join(f" {note}" for note in report.notes)
    return "\n\n".join((
        "# What the runtime costs beside a bare loop",
        f"Written by `{command}`; do not edit. {report.model}, {report.variant}, input of "
        f"{report.input_size} pixels, {report.threads} threads, on {machine.cpu or machine.machine}"
        f", {machine.usable_cores} cores, {machine.os}, Python {machine.python}.{notes}",
        "The bare loop (`benchmarks/runtime/bare.py`) decodes with Pillow at the same reduced "
        "scale, shrinks, and calls the same interpreter with as many threads. It checks nothing. "
        "All take turns on the same generated images, so the ratios count and the milliseconds are "
        "this machine's.",
        "## One image",
        _overhead(report),
        "Milliseconds are medians; a ratio is the median of the rounds' ratios, with 95% of the "
        "medians of rounds drawn with replacement.",
        "## Start, folder, memory",
        _others(report),
        "Where the runtime's start goes, medians of starts of their own: "
        + "; ".join(f"{stage}: {taken:.0f} ms" for stage, taken in report.stages_ms.items())
        + ". Python itself comes before that, and an end of the process after it.",
        f"Resident memory while {report.watched:,} images are classified by one process, after "
        f"every twentieth of them, in MB: {_series(report.memory_mb)}. What the C library had "
        f"handed out by then, which a leak would raise: {_series(report.handed_out_mb)}. The rest "
        "are the code and the gaps between blocks.",
    )) + "\n"  # fmt: skip


def _series(megabytes: tuple[float, ...]) -> str:
    return ", ".join(f"{mb:.1f}" for mb in megabytes)


def _overhead(report: Report) -> str:
    rows: list[tuple[str, ...]] = []
    for size, found in report.overhead.items():
        rows.append((size, "bare loop", f"{found.bare_ms:.2f}", "1", ""))
        for name, way in found.ways.items():
            goal = GOALS.get((size, name))
            rows.append((
                size, name, f"{way.milliseconds:.2f}", _ratio(way),
                "" if goal is None else _at_most(goal, way.ratio),
            ))  # fmt: skip
    return _table(("image", "way", "ms", "times the bare loop", "goal"), rows)


def _others(report: Report) -> str:
    one, all_ = report.folder_rate
    first, last = report.memory_mb[0], report.memory_mb[-1]
    return _table(
        ("", "bare loop", "runtime", "", "goal"),
        [
            ("start of Python to the first answer, golden inputs included",
             f"{report.bare_start_ms:.0f} ms", f"{report.start_ms:.0f} ms",
             f"{report.start_ratio:.2f} times", _at_most(START_GOAL, report.start_ratio)),
            (f"a folder of {FOLDER} images: one core, all cores", "",
             f"{one:.0f}, {all_:.0f} images/s", f"{report.folder_gain:.2f} times",
             f"at least {FOLDER_GOAL:g}{_missed(report.folder_gain < FOLDER_GOAL)}"),
            ("peak memory of a process, one image of 12 megapixels",
             f"{report.bare_peak_mb:.0f} MB", f"{report.peak_mb:.0f} MB", "",
             f"under {PEAK_GOAL_MB:g} MB{_missed(report.peak_mb >= PEAK_GOAL_MB)}"),
            (f"memory from the first twentieth to the last of {report.watched:,} images", "",
             f"{last - first:+.1f} MB", "",
             f"at most {GROWTH_GOAL_MB:g} MB{_missed(last - first > GROWTH_GOAL_MB)}"),
        ],
    )  # fmt: skip


def _ratio(way: Beside) -> str:
    return f"{way.ratio:.2f} ({way.low:.2f} to {way.high:.2f})"


def _at_most(goal: float, found: float) -> str:
    return f"at most {goal:g}{_missed(found > goal)}"


def _missed(missed: bool) -> str:
    return ": missed" if missed else ""


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return str(tabulate(rows, heads, "github", disable_numparse=True))
