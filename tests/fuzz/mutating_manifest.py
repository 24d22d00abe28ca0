"""Changes to a manifest and to what lies beside it, drawn from a random generator.

Most work on the parsed JSON, so that what comes out is JSON again and reaches the schema's checks;
digests and signatures are made to fit again more often than not, or nothing would get past them.
"""

from __future__ import annotations

import copy
import functools
import json
import random
from collections.abc import Callable
from typing import Any

from edge_runtime._files import sha256
from edge_runtime.manifest import LABELS_FILE, MANIFEST_FILE
from edge_runtime.signature import SIGNATURE_FILE
from tests.edge_runtime.changing import PATHS_OUT_OF_THE_BUNDLE
from tests.fuzz.mutating import damage

_FILES = (MANIFEST_FILE, LABELS_FILE, SIGNATURE_FILE)
_SEED = b"a key that signs nothing but this"[:32]
_SURROGATE = "\ud800"

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, 1.0, -0.0, 1e-320, 1e308, 2**63, 10**400, float("nan"),
    float("inf"), "", "a", "mel", "nv", "tflite_f32", "x" * 300, "two\nlines", "\x1b[31m",
    _SURROGATE, "\u2028", "ä", "\U0001f600", [], {}, [[]], [0], {"": 0}, {"a": 1}, ["x"],
    *PATHS_OUT_OF_THE_BUNDLE,
    ".", "./labels.txt", "golden", "golden/0.png", "a/" * 200, "CON", "nul.txt", "x" * 5000,
)  # fmt: skip
_KEYS = ("", "name", "file", "extra", "two\nlines", "\x1b[31m", _SURROGATE, "ä", "x" * 300)


def unpack(content: bytes) -> dict[str, bytes]:
    """The files of an input; always with a manifest, which is everything before the first line."""
    files: dict[str, bytes] = {}
    name, lines = MANIFEST_FILE, []
    for line in content.split(b"\n"):
        found = next((file for file in _FILES if line == f"-- {file} --".encode()), None)
        if found is None:
            lines.append(line)
            continue
        if lines:
            files[name] = b"\n".join(lines)
        name, lines = found, []
    files[name] = b"\n".join(lines)
    return {MANIFEST_FILE: b"", **files}


def pack(files: dict[str, bytes]) -> bytes:
    """The input that `unpack` takes apart."""
    return b"\n".join(f"-- {name} --\n".encode() + content for name, content in files.items())


def mutate_bundle(content: bytes, chance: random.Random) -> bytes:
    """An input like ``content``."""
    files = dict(unpack(content))
    kind = chance.random()
    if kind < 0.12:
        file = chance.choice(list(files))
        files[file] = damage(files[file], chance)
    elif kind < 0.16:
        files.pop(chance.choice(_FILES), None)
        files.setdefault(MANIFEST_FILE, content[:2000])
    else:
        try:
            document = _whole() if chance.random() < 0.5 else json.loads(files[MANIFEST_FILE])
            files = _change_document(document, files, chance)
        except (ValueError, RecursionError):  # not JSON, or too deep to be changed
            files = _change_document(_whole(), files, chance)
    if chance.random() < 0.5:
        signature = _private_key().sign(files[MANIFEST_FILE])
        files[SIGNATURE_FILE] = damage(signature, chance) if chance.random() < 0.2 else signature
    return pack(files)


def _change_document(
    document: Any, files: dict[str, bytes], chance: random.Random
) -> dict[str, bytes]:
    labels = files.get(LABELS_FILE, b"nv\nmel\n")
    for _ in range(chance.choice((0, 0, 1, 1, 1, 1, 2, 3))):
        document = chance.choices(_CHANGES, _WEIGHTS)[0](document, chance)
    if chance.random() < 0.8:
        labels = _fit(document, labels, chance)
    if chance.random() < 0.8:
        files = {**files, LABELS_FILE: labels}
    return {**files, MANIFEST_FILE: _text(document, chance)}


@functools.cache
def public_key() -> bytes:
    """The 32 bytes of the key that signs inputs."""
    found: bytes = _private_key().public_key().public_bytes_raw()
    return found


@functools.cache
def _private_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(_SEED)


@functools.cache
def _whole_text() -> str:
    import tempfile
    from pathlib import Path

    from tests.edge_runtime.small import write_small_bundle

    with tempfile.TemporaryDirectory() as folder:
        return (write_small_bundle(Path(folder) / "bundle") / MANIFEST_FILE).read_text("utf-8")


def _whole() -> Any:
    return json.loads(_whole_text())


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value within ``value``; not deeper than a manifest is."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in items:
        found.append((*path, key))
        if isinstance(item, (dict, list)) and len(path) < 8:
            found += _places(item, (*path, key))
    return found


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def _somewhere(document: Any, chance: random.Random) -> tuple[Any, Any] | None:
    """A container within the document, and one of its keys."""
    places = _places(document) if isinstance(document, (dict, list)) else []
    if not places:
        return None
    path = chance.choice(places)
    return _at(document, path[:-1]), path[-1]


def _put(document: Any, chance: random.Random) -> Any:
    place = _somewhere(document, chance)
    if place is None:
        return chance.choice(_VALUES)
    place[0][place[1]] = copy.deepcopy(chance.choice(_VALUES))
    return document


def _adjust(document: Any, chance: random.Random) -> Any:
    """Change a value to another of its own kind, so that more of the manifest stays valid."""
    for _ in range(6):
        place = _somewhere(document, chance)
        if place is None:
            return document
        value = place[0][place[1]]
        if isinstance(value, bool):
            place[0][place[1]] = not value
        elif isinstance(value, int):
            place[0][place[1]] = value + chance.choice((-1, 1, 100, 10**30))
        elif isinstance(value, float):
            place[0][place[1]] = chance.choice((value / 2, 0, 1, chance.random(), -value))
        elif isinstance(value, str):
            changed = (value + "x", value[:-1], value.upper(), value + "é")
            place[0][place[1]] = chance.choice(changed)
        else:
            continue
        return document
    return document


def _drop(document: Any, chance: random.Random) -> Any:
    place = _somewhere(document, chance)
    if place is not None:
        del place[0][place[1]]
    return document


def _double(document: Any, chance: random.Random) -> Any:
    place = _somewhere(document, chance)
    if place is not None and isinstance(place[0], list) and len(place[0]) < 50:
        place[0].append(copy.deepcopy(place[0][place[1]]))
    elif place is not None and isinstance(place[0], dict):
        place[0][chance.choice(_KEYS)] = copy.deepcopy(place[0][place[1]])
    return document


def _move(document: Any, chance: random.Random) -> Any:
    """Put what stands at one place at another, too."""
    one, other = _somewhere(document, chance), _somewhere(document, chance)
    if one is not None and other is not None:
        one[0][one[1]] = copy.deepcopy(other[0][other[1]])
    return document


def _relabel(document: Any, chance: random.Random) -> Any:
    """Rename a class everywhere."""
    old, new = chance.choice(("nv", "mel")), chance.choice(_VALUES)
    if not isinstance(document, dict) or not isinstance(new, str):
        return _adjust(document, chance)
    for label in document["labels"] if isinstance(document.get("labels"), list) else ():
        if isinstance(label, dict) and label.get("code") == old:
            label["code"] = new
    if document.get("melanoma") == old:
        document["melanoma"] = new
    return document


def _fit(document: Any, labels: bytes, chance: random.Random) -> bytes:
    """Labels as the manifest says, or damaged ones, and their digest in the manifest."""
    try:
        if chance.random() < 0.6:
            labels = "".join(f"{label['code']}\n" for label in document["labels"]).encode()
        elif chance.random() < 0.5:
            labels = damage(labels, chance)
        for entry in document["other_files"]:
            if entry["file"] == LABELS_FILE:
                entry["sha256"] = sha256(labels)
    except (KeyError, TypeError, UnicodeEncodeError, IndexError):
        pass  # the manifest is too far from one by now
    return labels


def _text(document: Any, chance: random.Random) -> bytes:
    text = json.dumps(document, indent=1, ensure_ascii=chance.random() < 0.5)
    kind = chance.random()
    if kind < 0.03:
        text = text.replace("{", '{"name": 1, "name": 2, ', 1)
    elif kind < 0.06:
        depth = chance.choice((10, 300, 900, 980, 990, 995, 1000, 5000))
        deep = chance.choice(("[" * depth + "]" * depth, '{"a":' * depth + "0" + "}" * depth))
        text = chance.choice((deep, text.replace("1", deep, 1), text.replace('"tiny"', deep, 1)))
    elif kind < 0.07:
        text = text.replace("0.5", "5" * chance.choice((400, 4300, 5000)))
    coding = chance.choice(("utf-16", "utf-32", "latin-1", "utf-8-sig")) if kind > 0.96 else "utf-8"
    return text.encode(coding, "replace")


_TABLE: tuple[tuple[Callable[[Any, random.Random], Any], int], ...] = (
    (_put, 18), (_adjust, 44), (_drop, 4), (_double, 10), (_move, 8), (_relabel, 16),
)  # fmt: skip
_CHANGES = [change for change, _ in _TABLE]
_WEIGHTS = [weight for _, weight in _TABLE]
