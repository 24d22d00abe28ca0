"""Accidents that the gate has to notice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_runtime._files import sha256
from edge_runtime.bundle import Bundle
from edge_runtime.checks import Inspector
from edge_runtime.preprocess import load_input

if TYPE_CHECKING:
    from train.data.table import Dataset


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def noisy_onnx(model: bytes) -> bytes:
    """The same network with noise on its weights."""
    import onnx

    noisy = onnx.load_from_string(model)
    rng = np.random.default_rng(0)
    for tensor in noisy.graph.initializer:
        weights = onnx.numpy_helper.to_array(tensor)
        if weights.dtype == np.float32 and weights.ndim > 1:
            noise = 2 * weights.std() * rng.normal(size=weights.shape)
            changed = (weights + noise).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
    return bytes(noisy.SerializeToString())


def swap_model(bundle: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Put another model into a bundle and make the manifest agree with it."""
    record = json.loads((bundle / "manifest.json").read_text("utf-8"))
    (entry,) = (one for one in record["variants"] if one["name"] == name)
    model = change((bundle / entry["file"]).read_bytes())
    (bundle / entry["file"]).write_bytes(model)
    entry["bytes"], entry["sha256"] = len(model), sha256(model)
    (bundle / "manifest.json").write_text(json.dumps(record), encoding="utf-8")


def refuse_a_share(bundle: Path, data: Dataset, share: float) -> None:
    """Make a bundle's checks so strict that the melanomas of the test part become `uncertain`.

    Args:
        bundle: changed in place.
        data: has the test part.
        share: of its melanomas, those least like the training images.
    """
    opened = Bundle.open(bundle)
    inspector = Inspector.of_bundle(opened)
    assert inspector is not None
    away = []
    for record in data.of_split("test"):
        if record.label == "mel":
            tensor = load_input(record.file, opened.manifest.input)
            away.append(inspector.inspect(tensor, 100, 75).unfamiliarity)
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    manifest["checks"]["familiar"]["threshold"] = float(np.quantile(away, 1 - share))
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
