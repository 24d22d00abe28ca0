"""Put a real transcript of the demo into the README, between its markers: `make readme`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from edge_runtime._files import write_text

README = Path(__file__).parent.parent / "README.md"
MARKED = re.compile(r"<!-- demo -->.*?<!-- /demo -->", re.DOTALL)


def main() -> None:
    """Run the demo as a newcomer would, and quote what it prints."""
    command = ["dermedge", "demo", "--out", "out/demo", "--overwrite"]
    program = os.path.relpath(Path(sys.executable).parent / command[0], README.parent)
    done = subprocess.run(
        [program, *command[1:]], cwd=README.parent, text=True, stdout=subprocess.PIPE, check=True
    )
    quoted = f"<!-- demo -->\n```\n$ make demo\n{done.stdout.strip()}\n```\n<!-- /demo -->"
    text = README.read_text(encoding="utf-8")
    if not MARKED.search(text):
        sys.exit("README.md has lost its demo markers.")
    write_text(README, MARKED.sub(lambda _: quoted, text))


if __name__ == "__main__":
    main()
