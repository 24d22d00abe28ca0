"""Emulated boards, generated images, and what this machine answers to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_runtime import Classifier
from edge_runtime.bundle import Bundle
from tests.arm import machines
from tests.arm.asking import Answers, Job, ask
from tests.arm.debian import UnavailableError
from tests.arm.graph import end_at_features
from tests.arm.machines import Machine, Machines
from tests.edge_runtime.making import encode, exif
from train.synthetic import render

KERNEL_IMAGES = 80
SMALL_FILES = 12
TFLITE_VARIANTS = ("tflite_f32", "tflite_f16", "tflite_dynamic", "tflite_int8")
ONNX_VARIANTS = ("onnx_f32", "onnx_int8")


@pytest.fixture(scope="session")
def boards() -> Machines:
    """This machine and the emulated ones, where `make test-arm` has built them."""
    try:
        return machines.prepared()
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def tensors(bundle: Path, images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Input tensors that this machine made of generated images, as a NumPy file."""
    classifier = Classifier.open(bundle)
    chosen = images[:: max(1, len(images) // KERNEL_IMAGES)][:KERNEL_IMAGES]
    file = tmp_path_factory.mktemp("tensors") / "tensors.npy"
    np.save(file, np.stack([classifier.input_tensor(image) for image in chosen]))
    return file


@pytest.fixture(scope="session")
def kinds_of_files(
    images: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Path]]:
    """Generated image files by kind: small JPEGs, formats, and 12 megapixels."""
    folder = tmp_path_factory.mktemp("kinds")
    picture = Image.fromarray(render("mel", 11, width=600, height=450))
    written: dict[str, list[Path]] = {"small JPEG": images[:SMALL_FILES]}

    def write(kind: str, name: str, content: bytes) -> None:
        file = folder / name
        file.write_bytes(content)
        written.setdefault(kind, []).append(file)

    write("JPEG, 600 pixels wide", "plain.jpg", encode(picture, "JPEG", quality=92))
    write("JPEG, 600 pixels wide", "turned.jpg", encode(picture, "JPEG", exif=exif(6)))
    write("JPEG, 600 pixels wide", "full_chroma.jpg", encode(picture, "JPEG", subsampling=0))
    write("JPEG, 600 pixels wide", "progressive.jpg", encode(picture, "JPEG", progressive=True))
    write("JPEG, 600 pixels wide", "grey.jpg", encode(picture.convert("L"), "JPEG"))
    write("lossless", "plain.png", encode(picture, "PNG"))
    write("lossless", "palette.png", encode(picture.quantize(64), "PNG"))
    write("lossless", "plain.tif", encode(picture, "TIFF", compression="tiff_lzw"))
    write("lossless", "plain.bmp", encode(picture, "BMP"))
    write("lossless", "lossless.webp", encode(picture, "WebP", lossless=True))
    write("lossy WebP", "plain.webp", encode(picture, "WebP", quality=90))
    large = picture.resize((4000, 3000), Image.Resampling.BICUBIC)
    write("12-megapixel JPEG", "large.jpg", encode(large, "JPEG", quality=90))
    write("12-megapixel PNG", "large.png", encode(large, "PNG", compress_level=1))
    return written


@pytest.fixture(scope="session")
def features_file(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The int8 variant without its head: what comes out are 8-bit features."""
    opened = Bundle.open(bundle)
    model = opened.model(opened.manifest.variant("tflite_int8"))
    file = tmp_path_factory.mktemp("features") / "features.tflite"
    file.write_bytes(end_at_features(model))
    return file


@dataclass(frozen=True)
class Depthwise:
    """A MobileNetV2 with random weights, whose depthwise kernels the bundle's CNN lacks."""

    file: Path
    tensors: Path


@pytest.fixture(scope="session")
def depthwise(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Depthwise:
    """Its int8 file up to its head, and input tensors for it."""
    import keras

    from convert.variants import VARIANTS, Exported
    from edge_runtime.preprocess import InputRule, load_input
    from train.architectures import build

    size, folder = 64, tmp_path_factory.mktemp("depthwise")
    keras.utils.set_random_seed(1)
    model = build("mobilenet_v2", input_size=size, classes=3, pretrained=False, width=0.35).model
    files = sorted((generated / "images").glob("*.jpg"))[:40]
    made = np.stack([load_input(file, InputRule(size)) for file in files])
    for layer in model.layers:  # the images' own statistics, or random layers damp every signal
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(made.astype(np.float32), training=True)
    signature = [keras.InputSpec(shape=(1, size, size, 3), dtype="float32", name="image")]
    saved = folder / "saved_model"
    model.export(str(saved), format="tf_saved_model", input_signature=signature, verbose=False)
    kind = VARIANTS["tflite_int8"]
    content = kind.convert(Exported(model, saved, size, made, ("a", "b", "c"))).model()
    result = Depthwise(folder / "depthwise.tflite", folder / "tensors.npy")
    result.file.write_bytes(end_at_features(content))
    np.save(result.tensors, made)
    return result


Asking = Callable[..., Answers]


@pytest.fixture(scope="session")
def asking(bundle: Path, tensors: Path, tmp_path_factory: pytest.TempPathFactory) -> Asking:
    """Ask a machine about the bundle and the tensors; the same question is asked once."""
    asked: dict[str, Answers] = {}

    def once(machine: Machine, cpu: str = "", **job: Any) -> Answers:
        key = repr((machine, cpu, job))
        if key not in asked:
            whole = Job(**{"bundle": str(bundle), "tensors": str(tensors), **job})
            asked[key] = ask(machine, whole, tmp_path_factory.mktemp("answers"), cpu)
        return asked[key]

    return once


@pytest.fixture(scope="session")
def decide(bundle: Path) -> Callable[[str, NDArray[np.float32]], list[str]]:
    """The decisions of a variant's probabilities, by the rule of the package."""
    from edge_runtime.decision import decide as by_rule

    manifest = Bundle.open(bundle).manifest
    malignant = np.array([label.malignant for label in manifest.labels])

    def decisions(variant: str, probabilities: NDArray[np.float32]) -> list[str]:
        points = manifest.variant(variant).operating_points
        return [
            by_rule(
                {"melanoma": float(row[manifest.codes.index("mel")]),
                 "malignant": float(row[malignant].sum())},
                points,
            )[0]
            for row in probabilities
        ]  # fmt: skip

    return decisions
