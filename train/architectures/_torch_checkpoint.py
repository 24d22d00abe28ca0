"""Reads a PyTorch checkpoint of the legacy format without PyTorch and without running its code.

The file (PyTorch before 1.6, ``torch/serialization.py``) is five pickles and then raw numbers:
a magic number, a protocol version, facts about the machine, the named tensors, the keys of the
storages; then for each storage its number of elements (int64) and the elements. A tensor is a
view of a storage: an offset, a size and strides, all counted in elements.

A pickle is a program, so this one may only name an ordered dictionary, a tensor and a few kinds
of storage. Nothing that it names has an effect: what comes back are plain tuples, checked before
any of them becomes an array.
"""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import TrainingError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
MAX_DIMENSIONS = 8

_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


class _Storage(NamedTuple):
    key: Any
    kind: Any
    elements: Any


class _Tensor(NamedTuple):
    storage: Any
    offset: Any
    size: Any
    strides: Any


def read_checkpoint(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read the tensors of a legacy PyTorch checkpoint.

    Args:
        path: a file written by ``torch.save`` before PyTorch 1.6: a dictionary of tensors.

    Returns:
        Name to array, each contiguous, of the checkpoint's own shape and dtype.

    Raises:
        TrainingError: not such a file, damaged, or naming anything but tensors.
    """
    try:
        with path.open("rb") as file:
            tensors, storages = _read(file)
        return {name: _array(name, tensor, storages) for name, tensor in tensors.items()}
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    except _Refused as error:
        raise TrainingError(f"{path.name} is not a checkpoint that can be read: {error}") from error


class _Refused(Exception):
    """Why a checkpoint was refused, as a clause."""


class _Unpickler(pickle.Unpickler):
    """Names of classes become inert stand-ins; a name that is not listed ends the reading."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor_recorder()
        if module == "torch" and name in _STORAGES:
            return name
        raise _Refused(f"it names {module}.{name}, which is not part of a tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", kind, key, _device, elements, None):
                return _Storage(key, kind, elements)
        raise _Refused("it refers to something outside that is not a plain storage")


def _tensor_recorder() -> Callable[..., _Tensor]:
    # A new function each time: a pickle may set attributes of what it is given.
    def record(
        storage: Any, offset: Any, size: Any, strides: Any, _grad: Any, _hooks: Any, *_more: Any
    ) -> _Tensor:
        return _Tensor(storage, offset, size, strides)

    return record


def _load(file: BinaryIO) -> Any:
    try:
        return _Unpickler(file).load()
    except _Refused:
        raise
    except Exception as error:  # a damaged pickle fails in any way that Python can
        raise _Refused(f"a pickle in it is damaged ({type(error).__name__})") from error


def _read(file: BinaryIO) -> tuple[dict[str, _Tensor], dict[str, NDArray[np.generic]]]:
    if _load(file) != MAGIC_NUMBER:
        raise _Refused("it does not begin with the magic number of the legacy format")
    if (version := _load(file)) != PROTOCOL_VERSION:
        raise _Refused(f"it has protocol version {version!r}, expected {PROTOCOL_VERSION}")
    machine = _load(file)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise _Refused("its numbers are not little-endian")

    tensors = _load(file)
    if not isinstance(tensors, dict):
        raise _Refused(f"it holds a {type(tensors).__name__}, expected a dictionary of tensors")
    declared: dict[str, _Storage] = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise _Refused(f"its entry {name!r} is not a named tensor")
        storage = _checked_storage(tensor.storage)
        if declared.setdefault(storage.key, storage) != storage:
            raise _Refused(f"storage {storage.key!r} is described in two ways")

    keys = _load(file)
    listed = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not listed or sorted(keys) != sorted(declared):
        raise _Refused("the storages that it lists are not those that its tensors use")
    storages = {key: _read_storage(file, declared[key]) for key in keys}
    if file.read(1):
        raise _Refused("there are bytes after the last storage")
    return tensors, storages


def _checked_storage(storage: Any) -> _Storage:
    if (
        isinstance(storage, _Storage)
        and isinstance(storage.key, str)
        and isinstance(storage.kind, str)
        and storage.kind in _STORAGES
        and _is_count(storage.elements)
    ):
        return storage
    raise _Refused("a tensor in it has no proper storage")


def _read_storage(file: BinaryIO, storage: _Storage) -> NDArray[np.generic]:
    elements = int.from_bytes(file.read(8), "little")
    if elements != storage.elements:
        raise _Refused(
            f"storage {storage.key!r} has {elements} elements, expected {storage.elements}"
        )
    dtype = np.dtype(_STORAGES[storage.kind])
    left = os.fstat(file.fileno()).st_size - file.tell()
    if elements * dtype.itemsize > left:
        raise _Refused(f"it ends inside storage {storage.key!r}")
    return np.frombuffer(file.read(elements * dtype.itemsize), dtype)


def _array(
    name: str, tensor: _Tensor, storages: dict[str, NDArray[np.generic]]
) -> NDArray[np.generic]:
    storage, offset, size, strides = storages[tensor.storage.key], *tensor[1:]
    if not (
        _is_count(offset)
        and isinstance(size, tuple)
        and isinstance(strides, tuple)
        and len(size) == len(strides) <= MAX_DIMENSIONS
        and all(_is_count(number) for number in size + strides)
        and prod(size) > 0
    ):
        raise _Refused(f"tensor {name} has no proper offset, size and strides")
    # The stride of an axis of length 1 is never taken and may be any number.
    steps = [stride if n > 1 else 0 for n, stride in zip(size, strides, strict=True)]
    last = offset + sum((n - 1) * step for n, step in zip(size, steps, strict=True))
    # More elements than its storage: strides of 0 would blow a few bytes up to any size.
    if last >= storage.size or prod(size) > storage.size:
        raise _Refused(f"tensor {name} reaches outside its storage of {storage.size} elements")
    view = np.lib.stride_tricks.as_strided(
        storage[offset:], size, [step * storage.itemsize for step in steps], writeable=False
    )
    return np.array(view, order="C")


def _is_count(number: Any) -> bool:
    return type(number) is int and number >= 0
