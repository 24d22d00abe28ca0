"""What `make fuzz` runs: both targets on all cores, to a number of inputs in all, with a summary.

Corpora grow in the output folder from one call to the next, and a call that was stopped is gone on
with. A failing input stays in ``crashes`` there; once mended, it belongs into tests/fuzz/crashes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import decoding, manifest
from tests.fuzz.tally import Tally

SHARES = (("decoding", 0.4), ("decoding", 0.4), ("manifest", 0.1), ("manifest", 0.1))
"""The fuzzing processes, and which part of the inputs each one gets."""

LEAST_REACHED = 0.3
"""The part of all inputs that has to come through to the end, or only refusals are tested."""

REACHED = {"decoding": decoding.REACHED, "manifest": manifest.REACHED}
ROOT = Path(__file__).parents[2]
_TOLD_EVERY = 30  # seconds


@dataclass(frozen=True)
class Process:
    """One fuzzing process: its place among `SHARES`, where it works, how many inputs it gets."""

    shard: int
    target: str
    folder: Path
    inputs: int

    def tally(self) -> Tally:
        """How far it is."""
        return Tally.read(self.folder / f"{self.shard}.json", self.target, self.inputs)

    def run(self) -> int:
        """Fuzz; its exit status, which is not 0 after a crash, a hang or a memory limit."""
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "tests.fuzz.fuzzer", self.target, str(self.folder),
                 "--inputs", str(self.inputs), "--shard", str(self.shard)]  # fmt: skip
        with (self.folder / f"{self.shard}.log").open("ab") as log:
            return subprocess.run(words, stdout=log, stderr=log, cwd=ROOT).returncode


def main() -> int:
    """Run all processes, tell how far they are, and print the summary; 1 after a crash."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    processes = [
        Process(shard, target, arguments.out.resolve() / target, round(arguments.inputs * share))
        for shard, (target, share) in enumerate(SHARES)
    ]
    began = time.time()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        running = [pool.submit(process.run) for process in processes]
        while not all(future.done() for future in running):
            time.sleep(1)
            if int(time.time() - began) % _TOLD_EVERY == 0:
                print(_progress(processes), file=sys.stderr, flush=True)
    statuses = [future.result() for future in running]
    print(summary([process.tally() for process in processes]))
    failed = [process for process, status in zip(processes, statuses, strict=True) if status]
    for process in failed:
        log = process.folder / f"{process.shard}.log"
        print(f"{process.target} ended with status {statuses[process.shard]}; see {log}")
    kept = sorted(arguments.out.glob("*/crashes/*"))
    for file in kept:
        print(f"a failing input: {file}")
    return 1 if failed or kept else 0


def summary(tallies: list[Tally]) -> str:
    """A table of the targets, then their outcomes, then what all inputs came to."""
    lines = ["target         inputs   reached  a second   slowest     peak"]
    for target, start in REACHED.items():
        own = [tally for tally in tallies if tally.target == target]
        inputs = sum(tally.mutated for tally in own)
        reached = sum(tally.reached(start) for tally in own)
        rate = sum(tally.mutated / max(tally.seconds, 1e-9) for tally in own) / len(own)
        lines.append(
            f"{target:10}{inputs:11,}{reached / max(1, inputs):10.1%}{rate:10.0f}"
            f"{max(t.slowest_ms for t in own):7.0f} ms{max(t.peak_mb for t in own):6.0f} MB"
        )
    lines.append("")
    for target in REACHED:
        counts = sum((t.outcomes for t in tallies if t.target == target), Counter[str]())
        told = ", ".join(f"{outcome} {count:,}" for outcome, count in counts.most_common())
        lines.append(f"{target}: {told}")
    inputs = sum(tally.mutated for tally in tallies)
    reached = sum(tally.reached(REACHED[tally.target]) for tally in tallies)
    share = reached / max(1, inputs)
    enough = "as required" if share >= LEAST_REACHED else "TOO FEW"
    lines += ["", f"{inputs:,} mutated inputs, {share:.1%} to the end "
                  f"(at least {LEAST_REACHED:.0%}: {enough})"]  # fmt: skip
    return "\n".join(lines)


def _progress(processes: list[Process]) -> str:
    told = []
    for process in processes:
        tally = process.tally()
        told.append(f"{process.target} {tally.mutated:,} of {process.inputs:,}")
    return "; ".join(told)


if __name__ == "__main__":
    sys.exit(main())
