"""The second target: a bundle folder whose manifest, labels and signature are the input.

An input is `manifest.json` alone, or several files one after the other, each behind a line
``-- name --`` (what Go calls txtar), so that a corpus entry can be read by people.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from edge_runtime.bundle import Bundle
from edge_runtime.errors import BundleError, ManifestError
from edge_runtime.manifest import LABELS_FILE, MANIFEST_FILE, format_manifest, parse_manifest
from edge_runtime.signature import SIGNATURE_FILE
from tests.fuzz.mutating_manifest import mutate_bundle as mutate
from tests.fuzz.mutating_manifest import public_key, unpack
from tests.fuzz.watching import Violation, one_sentence, watched

__all__ = ["LARGEST", "REACHED", "check", "mutate"]

REACHED = "opened"
"""How the outcome of an input begins that came through to the end: `Bundle.open` has returned."""

LARGEST = 12 * 1024
"""Longer inputs are cut off."""


def check(content: bytes) -> str:
    """Parse and open, and check all that must hold; what came of it, or the error's class.

    Raises:
        Violation: it does not.
        Exception: one that is no `BundleError` came out.
    """
    files = unpack(content)
    parsed = _parse(files[MANIFEST_FILE])
    folder = _folder()
    for name in (MANIFEST_FILE, LABELS_FILE, SIGNATURE_FILE):
        (folder / name).unlink(missing_ok=True)
        if name in files:
            (folder / name).write_bytes(files[name])
    with watched():
        try:
            bundle = Bundle.open(folder)
            for damage in bundle.damages():
                one_sentence(damage)
        except BundleError as error:
            one_sentence(error)
            opened = type(error).__name__
        else:
            opened = REACHED
        try:
            Bundle.open(folder, require_signature=public_key())
            signed = REACHED
        except BundleError as error:
            one_sentence(error)
            signed = type(error).__name__
    if (opened == ManifestError.__name__) == parsed or signed not in (opened, "SignatureError"):
        raise Violation(f"parsed: {parsed}, opened: {opened}, with its signature: {signed}")
    return "opened, signed" if signed == REACHED else opened


def _parse(content: bytes) -> bool:
    """Whether the manifest parses; what does is the same after it was written and read again."""
    with watched():
        try:
            manifest = parse_manifest(content)
        except ManifestError as error:
            one_sentence(error)
            return False
        text = format_manifest(manifest)
        again = parse_manifest(text.encode("utf-8"))
    if again != manifest:
        raise Violation("what was parsed is another after it was written and parsed again")
    return True


@functools.cache
def _folder() -> Path:
    """A small bundle of this process's own."""
    from tests.edge_runtime.small import write_small_bundle

    folder = Path(tempfile.mkdtemp(prefix="dermedge-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_small_bundle(folder / "bundle")
