"""Write the corpus to start from: `python -m tests.fuzz.seeds`. All files are generated.

Entries named by a digest were found by coverage and are not written here; they stay.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from tests.fuzz.generating import heic_file, image_file
from tests.fuzz.mutating_manifest import pack

CORPUS = Path(__file__).parent / "corpus"
_EACH = 8
_LARGEST = 3000


def main() -> None:
    """Some files of every format, and some bundles."""
    for file_format in ("JPEG", "PNG", "BMP", "TIFF", "WebP"):
        chance = random.Random(file_format)
        written = 0
        while written < _EACH:
            content = image_file(chance, file_format)
            if len(content) <= _LARGEST:
                _write(f"decoding/{file_format.lower()}-{written}", content)
                written += 1
    chance = random.Random("HEIC")
    for index in range(4):
        _write(f"decoding/heic-{index}", heic_file(chance))
    _write("manifest/small", _bundle())


def _bundle() -> bytes:
    from tests.edge_runtime.small import write_small_bundle

    with tempfile.TemporaryDirectory() as folder:
        bundle = write_small_bundle(Path(folder) / "bundle")
        names = ("manifest.json", "labels.txt")
        return pack({name: (bundle / name).read_bytes() for name in names})


def _write(name: str, content: bytes) -> None:
    (CORPUS / name).parent.mkdir(parents=True, exist_ok=True)
    (CORPUS / name).write_bytes(content)


if __name__ == "__main__":
    main()
