"""Write docs/errors.md and docs/api.md from the code: `make docs`.

errors.md quotes sentences that were provoked (`tests/edge_runtime/provoking.py`); api.md quotes
docstrings and the commands' help. A test fails where a page is stale.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))  # tests, which is not installed


def pages() -> dict[Path, str]:
    """What the pages have to say."""
    from docs.pages import api, errors

    with tempfile.TemporaryDirectory() as folder:
        return {DOCS / "errors.md": errors.page(Path(folder)), DOCS / "api.md": api.page()}


def main() -> None:
    """Write the pages, and say which of them have changed."""
    from edge_runtime._files import write_text

    for file, text in pages().items():
        if not file.is_file() or file.read_text("utf-8") != text:
            write_text(file, text)
            print(f"{file.name} was written anew")


if __name__ == "__main__":
    main()
