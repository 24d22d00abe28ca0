"""Changes to a copy of a bundle: a damage, or a consistent edit whose digests all fit."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_runtime._files import sha256

Document = dict[str, Any]
Change = Callable[[Document], object]

PATHS_OUT_OF_THE_BUNDLE = [
    "../x", "/x", "C:\\x", "C:x", "C:/x", "a/../../x", "a/..", "..", "a\\b", "..\\x",
    "\\\\host\\share\\x", "", "a\0b",
]  # fmt: skip


def read_manifest(bundle: Path) -> Document:
    """The parsed manifest."""
    document: Document = json.loads((bundle / "manifest.json").read_text("utf-8"))
    return document


def edit_manifest(bundle: Path, change: Change) -> None:
    """Let ``change`` alter the parsed manifest, and write it back."""
    document = read_manifest(bundle)
    change(document)
    (bundle / "manifest.json").write_text(json.dumps(document), "utf-8")


def replace_file(bundle: Path, file: str, content: bytes) -> None:
    """Write another content to a file of the bundle and its digest to the manifest."""
    (bundle / file).write_bytes(content)

    def tell(document: Document) -> None:
        entries = [
            entry
            for part in ("variants", "golden_inputs", "other_files")
            for entry in document[part]
            if entry["file"] == file
        ]
        assert entries, f"the manifest does not list {file}"
        for entry in entries:
            entry["sha256"] = sha256(content)

    edit_manifest(bundle, tell)


def variant(document: Document, name: str) -> Document:
    """The entry of one variant."""
    (entry,) = (entry for entry in document["variants"] if entry["name"] == name)
    found: Document = entry
    return found


def set_verdicts(bundle: Path, **verdicts: str) -> None:
    """Give the named variants a verdict, and every other one "fail"."""

    def judge(document: Document) -> None:
        assert set(verdicts) <= {entry["name"] for entry in document["variants"]}
        for entry in document["variants"]:
            entry["verdict"] = verdicts.get(entry["name"], "fail")

    edit_manifest(bundle, judge)


def altered(document: Document, change: Change) -> str:
    """The text of a manifest that ``change`` has altered."""
    own = copy.deepcopy(document)
    change(own)
    return json.dumps(own)


def put(*path: str | int, value: object) -> Change:
    """A change that puts ``value`` at a place."""

    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


def drop(*path: str | int) -> Change:
    """A change that removes what is at a place."""

    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return change
