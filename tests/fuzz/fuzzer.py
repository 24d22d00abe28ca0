"""One fuzzing process under atheris: `python -m tests.fuzz.fuzzer TARGET FOLDER --inputs N`.

Coverage of the Python code of edge_runtime, Pillow and pillow_heif guides it; their native code
has none to show. `make fuzz` starts two of these at a time.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import atheris

from tests.fuzz.tally import Tally
from tests.fuzz.watching import MEGABYTES, peak_megabytes

HERE = Path(__file__).parent
_WRITTEN_EVERY = 1000  # inputs
_INSTRUMENTED = ["edge_runtime", "PIL", "pillow_heif"]
_HANGS_AFTER = 60  # seconds by the clock, of which a busy machine may give it few
_INTERPRETER_MEGABYTES = 256  # for atheris and what is imported


def load_target(name: str) -> Any:
    """The target's module, with all that it will use instrumented."""
    for module in [m for m in sys.modules if m.partition(".")[0] in (*_INSTRUMENTED, "tests")]:
        if module not in ("tests", "tests.fuzz", __name__):
            del sys.modules[module]  # imported above, before there was instrumentation
    with atheris.instrument_imports(include=_INSTRUMENTED):
        formats = importlib.import_module("edge_runtime.formats").FORMATS
        for known in formats.values():
            importlib.import_module(known.module)
        for late in ("PIL.ImageCms", "edge_runtime.tiff"):  # which are imported when needed
            importlib.import_module(late)
        return importlib.import_module(f"tests.fuzz.{name}")


def main() -> None:
    """Fuzz until there were as many mutated inputs as asked for; never returns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=("decoding", "manifest"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--shard", type=int, default=0)
    arguments = parser.parse_args()
    target = load_target(arguments.target)
    corpus, crashes = arguments.folder / "corpus", arguments.folder / "crashes"
    corpus.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    file = arguments.folder / f"{arguments.shard}.json"
    tally = Tally.read(file, arguments.target, arguments.inputs)
    if tally.done:  # the next campaign, on the corpus of the last one
        tally = Tally(arguments.target, arguments.inputs)
    began, before = time.perf_counter(), tally.seconds
    is_mutated = False

    def mutate(content: bytes, most: int, seed: int) -> bytes:
        nonlocal is_mutated
        is_mutated = True
        mutated: bytes = target.mutate(bytes(content), random.Random(seed))
        return mutated[:most]

    def keep() -> None:
        tally.seconds = before + time.perf_counter() - began
        tally.peak_mb = max(tally.peak_mb, peak_megabytes())
        tally.write(file)

    def run(content: bytes) -> None:
        nonlocal is_mutated
        started = time.process_time()
        outcome = "crash"
        try:
            outcome = target.check(content)
        finally:
            if is_mutated:
                is_mutated = False
                tally.mutated += 1
                tally.outcomes[outcome] += 1
                taken_ms = 1000 * (time.process_time() - started)
                if taken_ms > tally.slowest_ms:
                    tally.slowest_ms = taken_ms
                    file.with_suffix(".slowest").write_bytes(content)
                if tally.done or outcome == "crash" or tally.mutated % _WRITTEN_EVERY == 0:
                    keep()
        if tally.done:
            sys.stderr.flush()
            os._exit(0)

    atheris.Setup(
        [
            sys.argv[0], f"-max_len={target.LARGEST}", f"-timeout={_HANGS_AFTER}",
            f"-rss_limit_mb={MEGABYTES + _INTERPRETER_MEGABYTES}", f"-artifact_prefix={crashes}/",
            f"-seed={1 + arguments.shard + 1000 * tally.mutated % 2**31}", "-print_final_stats=0",
            str(corpus), str(HERE / "corpus" / arguments.target),
            str(HERE / "crashes" / arguments.target),
        ],
        run, custom_mutator=mutate,
    )  # fmt: skip
    keep()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
