"""The reader of PyTorch checkpoints, which needs no PyTorch and runs nothing that it reads."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import TrainingError
from train.architectures._torch_checkpoint import (
    MAGIC_NUMBER,
    PROTOCOL_VERSION,
    read_checkpoint,
)

STORED = np.arange(6, dtype="<f4")


def opcodes(value: Any) -> bytes:
    """What pushes ``value`` in a pickle: without the header and the final stop."""
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor_pickle(
    offset: Any = 0, size: Any = (2, 3), strides: Any = (1, 2), stored: int = STORED.size
) -> bytes:
    """A pickle of ``{"weight": tensor}`` as PyTorch writes it, put together without PyTorch."""
    key, device = opcodes("7"), opcodes("cpu")
    kind = opcodes("storage") + b"ctorch\nFloatStorage\n"
    storage = b"(" + kind + key + device + opcodes(stored) + opcodes(None) + b"tQ"
    view = b"".join(map(opcodes, (offset, size, strides)))
    gradient = opcodes(False) + b"ccollections\nOrderedDict\n)R"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + gradient + b"tR"
    return b"\x80\x02}" + opcodes("weight") + tensor + b"s."


def checkpoint(
    tensors: bytes,
    *,
    magic: int = MAGIC_NUMBER,
    version: int = PROTOCOL_VERSION,
    little_endian: bool = True,
    keys: Any = ("7",),
    count: int = STORED.size,
) -> bytes:
    header = (magic, version, {"little_endian": little_endian})
    before = b"".join(pickle.dumps(value, protocol=2) for value in header)
    after = pickle.dumps(list(keys), protocol=2) + struct.pack("<q", count)
    return before + tensors + after + STORED.tobytes()


def read(content: bytes, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(content)
    return read_checkpoint(path)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ({"size": (2, 3), "strides": (3, 1)}, [[0, 1, 2], [3, 4, 5]]),
        ({"size": (2, 3), "strides": (1, 2)}, [[0, 2, 4], [1, 3, 5]]),
        ({"offset": 4, "size": (2,), "strides": (1,)}, [4, 5]),
        ({"offset": 5, "size": (), "strides": ()}, 5),
        ({"size": (1, 6), "strides": (10**30, 1)}, [[0, 1, 2, 3, 4, 5]]),
    ],
)
def test_strided_tensor_is_read(view: dict[str, Any], expected: Any, tmp_path: Path) -> None:
    (name, array), *rest = read(checkpoint(tensor_pickle(**view)), tmp_path).items()
    assert (name, rest, array.dtype) == ("weight", [], np.float32)
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    "view",
    [
        {"offset": 1},
        {"offset": 6, "size": (), "strides": ()},
        {"size": (2, 3), "strides": (3, 2)},
        {"size": (2, 3), "strides": (1, 10**30)},
        {"size": (10**9,), "strides": (0,)},
    ],
)
def test_tensor_outside_its_storage_is_refused(view: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="reaches outside its storage of 6 elements"):
        read(checkpoint(tensor_pickle(**view)), tmp_path)


@pytest.mark.parametrize(
    "view",
    [
        {"offset": -1},
        {"size": (2, 3), "strides": (-1, 2)},
        {"size": (-2, -3)},
        {"size": (0, 3)},
        {"size": (2, 3, 1)},
        {"size": [2, 3]},
        {"size": (2.0, 3)},
        {"size": (1,) * 9, "strides": (1,) * 9},
    ],
)
def test_tensor_of_impossible_shape_is_refused(view: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no proper offset, size and strides"):
        read(checkpoint(tensor_pickle(**view)), tmp_path)


class _Calls:
    """Pickled, it calls a function with arguments on being read."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("place", ["magic number", "tensors", "inside the tensors"])
@pytest.mark.parametrize("function", [os.system, eval, exec])
def test_malicious_pickle_is_refused_and_not_run(
    function: Callable[..., Any], place: str, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    shell = f"echo > {trace}"
    python = f"__import__('pathlib').Path({str(trace)!r}).touch()"
    attack = _Calls(function, shell if function is os.system else python)
    content = {
        "magic number": pickle.dumps(attack, protocol=2),
        "tensors": checkpoint(pickle.dumps(attack, protocol=2)),
        "inside the tensors": checkpoint(pickle.dumps({"weight": attack}, protocol=2)),
    }[place]
    with pytest.raises(TrainingError, match=f"it names .*{function.__name__}"):
        read(content, tmp_path)
    assert not trace.exists()

    pickle.loads(pickle.dumps(attack, protocol=2))  # the attack is a real one
    assert trace.exists()


GOOD = tensor_pickle()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (checkpoint(GOOD, magic=MAGIC_NUMBER + 1), "magic number"),
        (checkpoint(GOOD, version=1000), "protocol version 1000, expected 1001"),
        (checkpoint(GOOD, little_endian=False), "not little-endian"),
        (checkpoint(GOOD, keys=["8"]), "not those that its tensors use"),
        (checkpoint(GOOD, keys=["7", "7"]), "not those that its tensors use"),
        (checkpoint(GOOD, keys=[{}]), "not those that its tensors use"),
        (checkpoint(GOOD, count=5), "has 5 elements, expected 6"),
        (checkpoint(tensor_pickle(stored=2**60), count=2**60), "ends inside storage"),
        (checkpoint(GOOD)[:-1], "ends inside storage"),
        (checkpoint(GOOD) + b"\0", "bytes after the last storage"),
        (checkpoint(pickle.dumps([1, 2], protocol=2)), "holds a list"),
        (checkpoint(pickle.dumps({"weight": 1}, protocol=2)), "not a named tensor"),
        (checkpoint(GOOD.replace(b"FloatStorage", b"CudaTensor99")), "torch.CudaTensor99"),
        (checkpoint(GOOD.replace(b"storage", b"modules")), "refers to something outside"),
        (b"", "damaged"),
        (b"PK\x03\x04 a checkpoint of PyTorch 1.6", "damaged"),
    ],
)
def test_damaged_checkpoint_is_refused_in_words(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=reason):
        read(content, tmp_path)


def test_missing_checkpoint_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        read_checkpoint(tmp_path / "nothing.pth")
