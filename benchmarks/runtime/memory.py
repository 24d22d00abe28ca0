"""The program whose memory `benchmarks.runtime` watches: it classifies the same images many times.

It is run as a file, in a process of its own: ``memory.py BUNDLE VARIANT TIMES IMAGE...``. After
every twentieth part of the work it prints two numbers of bytes: its resident memory, and what the C
library has handed out and not got back. A leak raises both; gaps between blocks raise the first.
"""

from __future__ import annotations

import ctypes
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
        print(resident(), handed_out(), flush=True)


def resident() -> int:
    """Resident memory of this process in bytes; Linux only."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


class _Mallinfo2(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later, mallinfo(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost",
        )
    )  # fmt: skip


def handed_out() -> int:
    """Bytes that this process has from malloc and not given back; 0 where nobody counts them."""
    try:
        count = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    count.restype = _Mallinfo2
    counted = count()
    return int(counted.uordblks + counted.hblkhd)


if __name__ == "__main__":
    main()
