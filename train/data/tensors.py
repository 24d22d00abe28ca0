"""Images as one uint8 array on disk, made once through the device's own preprocessing.

The array is a memory-mapped ``.npy`` file in the cache folder (``DERMEDGE_CACHE``, by default
``~/.cache/dermedge``), named by a hash of the files' contents and of the input rule. A second run
with the same images starts at once, and a changed image is never served from an old cache.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from edge_runtime import __version__ as runtime_version
from edge_runtime._files import sha256
from edge_runtime._strict import to_json
from edge_runtime.backends import usable_cores
from edge_runtime.errors import ImageError, UnreadableImagesError
from edge_runtime.image import read
from edge_runtime.preprocess import InputRule, load_input

CACHE_VARIABLE = "DERMEDGE_CACHE"
_CHUNK = 64
_SHOWN = 3

Progress = Callable[[int, int], None]


def digest_files(files: Sequence[Path]) -> list[str]:
    """SHA-256 of every file's content, in order.

    Raises:
        UnreadableImagesError: files that cannot be read; names the first ones.
    """

    def digest(file: Path) -> str | ImageError:
        try:
            return sha256(read(file))
        except ImageError as error:
            return error

    with ThreadPoolExecutor(usable_cores()) as pool:
        answers = list(pool.map(digest, files))
    _refuse([str(answer) for answer in answers if isinstance(answer, ImageError)], len(files))
    return [str(answer) for answer in answers]


def load_tensors(
    files: Sequence[Path], digests: Sequence[str], rule: InputRule, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """The input tensors of image files, from the cache where it has them.

    Args:
        files: n image files.
        digests: SHA-256 of their contents, from `digest_files`.
        rule: the model's input rule.
        progress: called with (done, n).

    Returns:
        read-only memory-mapped uint8 array of shape (n, size, size, 3), in the order of ``files``.

    Raises:
        UnreadableImagesError: images that cannot be decoded; names the first ones.
    """
    path = _cache_folder() / f"{_key(digests, rule)}.npy"
    if not path.is_file():
        _fill(path, files, rule, progress)
    tensors: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return tensors


def _key(digests: Sequence[str], rule: InputRule) -> str:
    facts = {
        "files": list(digests), "rule": to_json(rule), "runtime": runtime_version,
        "pillow": PIL.__version__,
    }  # fmt: skip
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _cache_folder() -> Path:
    folder = Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "dermedge")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _fill(path: Path, files: Sequence[Path], rule: InputRule, progress: Progress | None) -> None:
    """Preprocess all files on all cores into a file beside ``path``, then rename it."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        array = np.lib.format.open_memmap(
            beside, mode="w+", dtype=np.uint8, shape=(len(files), *rule.shape)
        )
        errors: list[str] = []
        context = multiprocessing.get_context("spawn")
        workers = min(usable_cores(), -(-len(files) // _CHUNK))
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            pending = {
                pool.submit(_tensors_of, files[start : start + _CHUNK], rule): start
                for start in range(0, len(files), _CHUNK)
            }
            done = 0
            try:
                for future in as_completed(pending):
                    tensors, failed = future.result()
                    array[pending[future] : pending[future] + len(tensors)] = tensors
                    errors += failed
                    done += len(tensors)
                    if progress is not None:
                        progress(done, len(files))
            finally:
                pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the rest
        _refuse(errors, len(files))
        array.flush()
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _tensors_of(files: Sequence[Path], rule: InputRule) -> tuple[NDArray[np.uint8], list[str]]:
    """Tensors of some files (zeros where one failed) and the sentences of those that failed."""
    tensors = np.zeros((len(files), *rule.shape), np.uint8)
    errors = []
    for index, file in enumerate(files):
        try:
            tensors[index] = load_input(file, rule)
        except ImageError as error:
            errors.append(str(error))
    return tensors, errors


def _refuse(errors: Sequence[str], count: int) -> None:
    if errors:
        raise UnreadableImagesError(
            f"{len(errors)} of {count} images cannot be used: {' '.join(sorted(errors)[:_SHOWN])}"
            f"{' ...' if len(errors) > _SHOWN else ''} Replace them or take them out of the data."
        )
