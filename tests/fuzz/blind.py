"""The same mutations without guidance and without atheris: `python -m tests.fuzz.blind TARGET N`.

It is what `make test` runs. The same seed gives the same inputs. It ends with a line of JSON, or
with status 1 and the file that it wrote a failing input to.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz.tally import Tally
from tests.fuzz.watching import peak_megabytes

HERE = Path(__file__).parent
_KEPT_EVERY = 50  # mutated inputs are mutated again, so that some are many steps away


def main() -> int:
    """Mutate entries of the corpus and check what comes out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=("decoding", "manifest"))
    parser.add_argument("inputs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    target = importlib.import_module(f"tests.fuzz.{arguments.target}")
    chance = random.Random(arguments.seed)
    pool = [file.read_bytes() for file in sorted((HERE / "corpus" / arguments.target).iterdir())]
    tally = Tally(arguments.target, arguments.inputs)
    began = time.perf_counter()
    while not tally.done:
        content = target.mutate(chance.choice(pool), chance)[: target.LARGEST]
        started = time.process_time()
        try:
            outcome = target.check(content)
        except Exception:
            traceback.print_exc()
            with tempfile.NamedTemporaryFile(prefix="crash-", delete=False) as file:
                file.write(content)
            print(f"input {tally.mutated} is kept in {file.name}", file=sys.stderr)
            return 1
        tally.slowest_ms = max(tally.slowest_ms, 1000 * (time.process_time() - started))
        tally.mutated += 1
        tally.outcomes[outcome] += 1
        if tally.mutated % _KEPT_EVERY == 0:
            pool.append(content)
    tally.seconds, tally.peak_mb = time.perf_counter() - began, peak_megabytes()
    print(json.dumps({**vars(tally), "reached": tally.reached(target.REACHED)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
