"""A bundle that is written in milliseconds: the doctor's tiny models, and all that they need."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_runtime._files import sha256
from edge_runtime.doctor.tiny import SIZE, TINY_MODELS, WEIGHTS
from edge_runtime.manifest import (
    BundleFile,
    Gate,
    Label,
    Manifest,
    Metric,
    OperatingPoint,
    Source,
    Variant,
    format_manifest,
)
from edge_runtime.preprocess import InputRule

COLOURS = ((200, 60, 40), (120, 110, 140))


def expected(colour: tuple[int, int, int]) -> tuple[float, ...]:
    """The probabilities of a picture of one colour, by the formula of the tiny models."""
    logits = np.array(colour, np.float32) @ WEIGHTS
    powers = np.exp(logits - logits.max())
    return tuple(float(str(value)) for value in (powers / powers.sum()).astype(np.float32))


def picture(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A picture of one colour, of the model's input size."""
    return np.full((SIZE, SIZE, 3), colour, np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A lossless file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_small_bundle(folder: Path) -> Path:
    """Write the bundle: two classes, a TFLite and an ONNX variant, both of which passed."""
    (folder / "golden").mkdir(parents=True)
    golden = {f"golden/{index}.png": png(picture(colour)) for index, colour in enumerate(COLOURS)}
    models = {f"{kind}_f32": (f"model.{kind}", model) for kind, model in TINY_MODELS.items()}
    labels = b"nv\nmel\n"
    manifest = Manifest(
        schema_version=1,
        name="small",
        version="0.1.0",
        intended_use="Tests.",
        labels=(Label("nv", "melanocytic nevus", False), Label("mel", "melanoma", True)),
        melanoma="mel",
        input=InputRule(SIZE),
        source=Source("tiny", "none", "run", "generated", True, "CC0-1.0", (), 0),
        gate=Gate("val", 100, 50, 50, 0.01, 0.05, 0.95, ()),
        variants=tuple(
            Variant(
                name, file, len(model), sha256(model), name.partition("_")[0], "32-bit floats",
                dict.fromkeys(("melanoma", "malignant"), OperatingPoint(0.5, 0.9, 0.9, 0.8)),
                tuple(map(expected, COLOURS)), 1e-3,
                {"test": {"melanoma_auc": Metric(0.9, 0.85, 0.95)}}, {}, "pass", "no loss",
            )
            for name, (file, model) in models.items()
        ),
        golden_inputs=tuple(BundleFile(file, sha256(content)) for file, content in golden.items()),
        other_files=(BundleFile("labels.txt", sha256(labels)),),
    )  # fmt: skip
    for file, content in {**golden, **dict(models.values()), "labels.txt": labels}.items():
        (folder / file).write_bytes(content)
    (folder / "manifest.json").write_text(format_manifest(manifest), "utf-8")
    return folder
