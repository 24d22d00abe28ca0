"""What came of the inputs so far, kept in a file, as libFuzzer ends its process without a word."""

from __future__ import annotations

import collections
import json
from dataclasses import dataclass, field
from pathlib import Path

from edge_runtime._files import write_text


@dataclass
class Tally:
    """Counts of one fuzzing process, which a later one may go on with.

    Attributes:
        target: decoding or manifest.
        wanted: mutated inputs that were asked for.
        mutated: how many there were; the corpus, which is read first, does not count.
        outcomes: how many of them ended how: what was reached, or the class of the error.
        seconds: wall-clock time in all.
        slowest_ms: the processor time that the slowest input took.
        peak_mb: the most memory of a process.
    """

    target: str
    wanted: int
    mutated: int = 0
    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: float = 0.0
    slowest_ms: float = 0.0
    peak_mb: float = 0.0

    @classmethod
    def read(cls, file: Path, target: str, wanted: int) -> Tally:
        """What a process for so many inputs has kept there, done or stopped; else a new one."""
        try:
            kept = cls(**json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return cls(target, wanted)
        kept.outcomes = collections.Counter(kept.outcomes)
        return kept if (kept.target, kept.wanted) == (target, wanted) else cls(target, wanted)

    @property
    def done(self) -> bool:
        """Whether there were as many inputs as were asked for."""
        return self.mutated >= self.wanted

    def reached(self, start: str) -> int:
        """How many inputs had an outcome that begins with ``start``."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.startswith(start))

    def write(self, file: Path) -> None:
        """Keep it."""
        write_text(file, json.dumps(vars(self), indent=1))
