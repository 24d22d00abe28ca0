"""The aarch64 wheels on the processors of three boards, beside the x86-64 wheels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.bundle import Bundle
from tests.arm import measured
from tests.arm.asking import Answers
from tests.arm.conftest import ONNX_VARIANTS, TFLITE_VARIANTS, Asking, Depthwise
from tests.arm.machines import Machine, Machines

pytestmark = [pytest.mark.arm, pytest.mark.slow]

# Raspberry Pi 3 and Zero 2 W, Pi 4, Pi 5. Only the last has 8-bit dot products and half floats.
CPUS = ("cortex-a53", "cortex-a72", "cortex-a76")
each_cpu = pytest.mark.parametrize("cpu", CPUS)

# Float sums are added in another order, and exp() is another polynomial, on another processor. In
# `tflite_dynamic` a last bit of a float may move an activation to the next of its 8-bit steps.
LARGEST_DIFFERENCE = {
    "tflite_f32": 1e-5, "tflite_f16": 1e-5, "tflite_int8": 1e-6, "tflite_dynamic": 0.02,
    "onnx_f32": 1e-5, "onnx_int8": 0.1,
}  # fmt: skip


def compare(
    variant: str, here: NDArray[np.float32], there: NDArray[np.float32],
    decide: Callable[[str, NDArray[np.float32]], list[str]],
) -> dict[str, Any]:  # fmt: skip
    """How two machines' probabilities of the same tensors differ."""
    return {
        "images": len(here),
        "largest": float(np.abs(here.astype(float) - there).max()),
        "identical": float((here == there).all(axis=1).mean()),
        "decisions": sum(
            a != b for a, b in zip(decide(variant, here), decide(variant, there), strict=True)
        ),
    }


@each_cpu
@pytest.mark.parametrize("variant", [*TFLITE_VARIANTS, *ONNX_VARIANTS])
def test_variant_answers_as_on_x86_64(
    boards: Machines, asking: Asking, bundle: Path, decide: Callable[..., list[str]],
    variant: str, cpu: str,
) -> None:  # fmt: skip
    if variant.startswith("onnx"):
        x86_64, aarch64 = boards.x86_64_onnx, boards.aarch64_onnx
        job: dict[str, Any] = {"backend": "onnxruntime", "variants": ONNX_VARIANTS}
    else:
        x86_64, aarch64 = boards.x86_64, boards.aarch64
        job = {"variants": TFLITE_VARIANTS}
    here, there = asking(x86_64, **job), asking(aarch64, cpu, **job)
    assert (here.about["machine"], there.about["machine"]) == ("x86_64", "aarch64")
    assert Path(there.about["package"]).is_relative_to(aarch64.packages)
    told = compare(variant, here.probabilities[variant], there.probabilities[variant], decide)
    told["self_test"] = there.self_test[variant]
    measured.keep("aarch64", f"{variant} {cpu}", told)
    assert told["largest"] <= LARGEST_DIFFERENCE[variant]
    if LARGEST_DIFFERENCE[variant] < 1e-4:
        assert told["decisions"] == 0
    tolerance = Bundle.open(bundle).manifest.variant(variant).golden_tolerance
    assert told["self_test"] <= tolerance


@each_cpu
def test_int8_features_are_those_of_x86_64_bit_for_bit(
    boards: Machines, asking: Asking, features_file: Path, cpu: str
) -> None:
    job = {"graphs": {"features": str(features_file)}}
    here = asking(boards.x86_64, **job).graphs["features"]
    there = asking(boards.aarch64, cpu, **job).graphs["features"]
    assert here.dtype == there.dtype == np.int8
    assert len(np.unique(here)) > 20  # not a constant
    np.testing.assert_array_equal(here, there)
    measured.keep("features", f"plain CNN {cpu}", {"images": len(here), "identical": True})


@each_cpu
def test_int8_features_of_depthwise_convolutions_are_those_of_x86_64_bit_for_bit(
    boards: Machines, asking: Asking, depthwise: Depthwise, cpu: str
) -> None:
    job = {"tensors": str(depthwise.tensors), "graphs": {"features": str(depthwise.file)}}
    here = asking(boards.x86_64, **job).graphs["features"]
    there = asking(boards.aarch64, cpu, **job).graphs["features"]
    assert len(np.unique(here)) > 20
    np.testing.assert_array_equal(here, there)
    measured.keep("features", f"MobileNetV2 {cpu}", {"images": len(here), "identical": True})


def classify(
    machine: Machine, bundle: Path, files: list[Path], cpu: str = "", variant: str = "tflite_int8"
) -> list[Any]:
    """What ``dermedge classify --json`` prints."""
    done = machine.dermedge(
        "classify", *files, "--model", bundle, "--variant", variant, "--threads", 1, "--json",
        cpu=cpu,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@each_cpu
def test_command_answers_files_of_every_kind_as_on_x86_64(
    boards: Machines, bundle: Path, kinds_of_files: dict[str, list[Path]], cpu: str
) -> None:
    files = [file for of_a_kind in kinds_of_files.values() for file in of_a_kind]
    here = classify(boards.x86_64, bundle, files)
    there = classify(boards.aarch64, bundle, files, cpu)
    largest = 0.0
    for file, expected, answer in zip(files, here, there, strict=True):
        assert answer["file"] == expected["file"] == str(file)
        for same in ("label", "decision", "quality", "model", "notes"):
            assert answer[same] == expected[same], (file.name, same)
        assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)
        for code, probability in expected["probabilities"].items():
            largest = max(largest, abs(answer["probabilities"][code] - probability))
    measured.keep("command", f"aarch64 {cpu}", {"files": len(files), "largest": largest})


def test_input_tensors_are_those_of_x86_64_byte_for_byte(
    boards: Machines, asking: Asking, kinds_of_files: dict[str, list[Path]]
) -> None:
    job: dict[str, Any] = {"images": images_of(kinds_of_files)}
    here, there = asking(boards.x86_64, **job), asking(boards.aarch64, CPUS[0], **job)
    assert set(grey_levels_between(here, there, kinds_of_files, "aarch64").values()) == {0}


def images_of(kinds: dict[str, list[Path]]) -> tuple[str, ...]:
    """Every file, kind by kind."""
    return tuple(str(file) for files in kinds.values() for file in files)


def grey_levels_between(
    here: Answers, there: Answers, kinds: dict[str, list[Path]], machine: str
) -> dict[str, int]:
    """How far the input tensors of two machines are apart, by kind of file; written down, too."""
    assert here.inputs is not None
    assert there.inputs is not None
    largest, begin = {}, 0
    for kind, files in kinds.items():
        part = slice(begin, begin + len(files))
        difference = np.abs(here.inputs[part].astype(int) - there.inputs[part])
        largest[kind] = int(difference.max())
        row = {
            "files": len(files),
            "equal": int((difference.max(axis=(1, 2, 3)) == 0).sum()),
            "largest": largest[kind],
            "bytes": float((difference > 0).mean()),
            "pillow": there.about["pillow"],
            "libjpeg_turbo": there.about["libjpeg_turbo"],
        }
        measured.keep("inputs", f"{kind} | {machine}", row)
        begin = part.stop
    return largest
