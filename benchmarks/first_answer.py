"""The program whose start `cold_start` times: load a bundle, classify one image, print the answer.

It is run as a file, in a process of its own: ``first_answer.py BUNDLE VARIANT THREADS IMAGE``. It
prints the label, then the peak of its resident memory in bytes.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Print the answer and the memory; status 2 and a sentence if there is none."""
    from edge_runtime import Classifier, DermedgeError

    folder, variant, threads, image = sys.argv[1:]
    try:
        print(Classifier.open(folder, variant, int(threads)).classify(image).label, flush=True)
    except DermedgeError as error:
        print(error, file=sys.stderr)
        return 2
    print(peak_rss())
    return 0


def peak_rss() -> int:
    """The most resident memory that this process has had, in bytes.

    On Linux this is ``VmHWM``: the ``ru_maxrss`` of a process begins with the peak of the process
    that started it (exec keeps it), so that a small program started by a large one seems large.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, else KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    sys.exit(main())
