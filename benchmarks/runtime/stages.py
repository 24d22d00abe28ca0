"""Where a start's time goes: run as a file, ``stages.py BUNDLE VARIANT THREADS IMAGE``.

It goes through what `Classifier.open` and the first `classify` do, and prints an object of
milliseconds by stage, then the peak of its memory in bytes.
"""

from __future__ import annotations

import itertools
import json
import sys
import time


def main() -> None:
    """Print the stages and the memory."""
    folder, variant_name, threads, image = sys.argv[1:]
    ends: list[tuple[str, float]] = [("", time.perf_counter())]

    def done(stage: str) -> None:
        ends.append((stage, time.perf_counter()))

    import numpy  # noqa: F401
    from ai_edge_litert.interpreter import Interpreter  # noqa: F401
    from PIL import Image  # noqa: F401

    done("imports of the bare loop: NumPy, Pillow, LiteRT")
    import edge_runtime.backends.litert
    import edge_runtime.classifier  # noqa: F401
    from edge_runtime.bundle import Bundle
    from edge_runtime.classifier import Classifier
    from edge_runtime.selection import choose_variant

    done("imports of the runtime")
    bundle = Bundle.open(folder)
    variant, backend = choose_variant(bundle, variant_name, None)
    done("manifest")
    classifier = Classifier(bundle, variant, backend, threads=int(threads))
    done("digest of the model file, interpreter, checks")
    classifier.self_test()
    done("golden inputs")
    classifier.classify(image)
    done("first answer")
    taken = {
        stage: round((end - begun) * 1000, 2)
        for (_, begun), (stage, end) in itertools.pairwise(ends)
    }
    print(json.dumps(taken), flush=True)
    from benchmarks.first_answer import peak_rss

    print(peak_rss())


if __name__ == "__main__":
    main()
