"""The program whose memory `benchmarks.runtime` watches: it classifies the same images many times.

It is run as a file, in a process of its own: ``memory.py BUNDLE VARIANT TIMES IMAGE...``. It prints
its resident memory in bytes, once after every twentieth part of the work, one number a line.
"""

from __future__ import annotations

import itertools
import sys

SAMPLES = 20


def main() -> None:
    """Classify, and print the memory."""
    from edge_runtime import Classifier

    folder, variant, times, *files = sys.argv[1:]
    classifier = Classifier.open(folder, variant)
    images = itertools.cycle(files)
    for _ in range(SAMPLES):
        for file in itertools.islice(images, int(times) // SAMPLES):
            classifier.classify(file)
        print(resident(), flush=True)


def resident() -> int:
    """Resident memory of this process in bytes; Linux only."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
