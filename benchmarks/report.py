"""What a benchmark found: as data, as JSON for machines, as a table for people.

The JSON is one object with the keys of `Report`, whose dataclasses are its schema: ``bundle``,
``model``, ``images``, ``settings``, ``results``, ``skipped``, ``environment``, ``notes``. More keys
may be added beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.environment import Environment
from benchmarks.latency import Stages
from edge_runtime._strict import to_json


@dataclass(frozen=True)
class Model:
    """Name and version, from the bundle's manifest."""

    name: str
    version: str


@dataclass(frozen=True)
class Images:
    """What was classified: how many images, of which mean size (10^6 pixels), from where."""

    source: Literal["generated", "files"]
    count: int
    megapixels: float


@dataclass(frozen=True)
class Settings:
    """How much was measured of each variant and thread count."""

    runs: int
    warm_up_runs: int
    cold_starts: int


@dataclass(frozen=True)
class Measured:
    """The figures of one variant with one number of threads.

    Attributes:
        backend: the interpreter that ran it.
        stages: milliseconds by stage and percentile.
        images_per_second: images one after another.
        cold_start_ms: median from starting a process to its first answer.
        peak_rss_mb: median of that process's largest resident memory, 10^6 bytes.
    """

    variant: str
    threads: int
    backend: str
    stages: Stages
    images_per_second: float
    cold_start_ms: float
    peak_rss_mb: float


@dataclass(frozen=True)
class Skipped:
    """A variant that cannot run here, and why."""

    variant: str
    reason: str


@dataclass(frozen=True)
class Report:
    """Everything that a benchmark found.

    Attributes:
        bundle: the folder, as it was named.
        notes: doubts about the figures, in words.
    """

    bundle: str
    model: Model
    images: Images
    settings: Settings
    results: tuple[Measured, ...]
    skipped: tuple[Skipped, ...]
    environment: Environment
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready types."""
        value: dict[str, Any] = to_json(self)
        return value


# Broken into lines, as tabulate makes a column two characters wider than its head.
_HEADS = (
    "\n\n\nvariant", "\n\n\nthreads", "\n\nread\np50", "\n\ndecode\np50", "pre-\npro-\ncess\np50",
    "\n\nchecks\np50", "in-\nfer-\nence\np50", "\n\ntotal\np50", "\n\ntotal\np90", "\n\ntotal\np99",
    "\nimages\nper\nsecond", "\ncold\nstart\nms", "\npeak\nRSS\nMB",
)  # fmt: skip


def as_text(report: Report) -> str:
    """What people read: the machine, a table that fits 120 columns, what was left out."""
    from tabulate import tabulate

    images, settings, environment = report.images, report.settings, report.environment
    kind = "generated image" if images.source == "generated" else "image"
    table = tabulate(
        [_row(entry) for entry in report.results],
        _HEADS,
        "simple",
        disable_numparse=True,
        colalign=["left", *["right"] * (len(_HEADS) - 1)],
    )
    lines = [
        f"model    {report.model.name} {report.model.version} ({report.bundle})",
        f"machine  {_machine(environment)}",
        f"system   {environment.os}, Python {environment.python}",
        f"         {', '.join(' '.join(entry) for entry in environment.versions.items())}",
        f"images   {_count(images.count, kind)}, "
        f"{images.megapixels:.2f} megapixels on average, read from the file cache",
        f"runs     {settings.runs} of each row, percentiles in ms; cold start and peak RSS: "
        f"median of {_count(settings.cold_starts, 'fresh process', 'es')}",
        "",
        str(table),
    ]
    lines += [f"\n{entry.variant} was left out: {entry.reason}" for entry in report.skipped]
    return "\n".join(lines)


def _row(entry: Measured) -> list[str]:
    stages = entry.stages
    medians = (
        stages.read, stages.decode, stages.preprocess, stages.checks, stages.inference,
        stages.total,
    )  # fmt: skip
    milliseconds = [*(stage.p50 for stage in medians), stages.total.p90, stages.total.p99]
    return [
        entry.variant,
        str(entry.threads),
        *(f"{value:.2f}" for value in milliseconds),
        f"{entry.images_per_second:.1f}",
        f"{entry.cold_start_ms:.0f}",
        f"{entry.peak_rss_mb:.0f}",
    ]


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def _machine(environment: Environment) -> str:
    parts = [
        environment.cpu or "unknown processor",
        environment.machine,
        f"{environment.usable_cores} of {environment.cores} cores usable",
    ]
    if environment.memory_mb is not None:
        parts.append(f"{environment.memory_mb / 1000:.1f} GB")
    if environment.governor is not None:
        parts.append(f"governor {environment.governor}")
    if environment.load_average is not None:
        parts.append(f"load {environment.load_average:.1f}")
    return ", ".join(parts)
