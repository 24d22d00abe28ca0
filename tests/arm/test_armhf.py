"""A 32-bit ARM system: tflite-runtime with Debian's own Python 3.11, NumPy 1.24 and Pillow 9.4.

tflite-runtime has XNNPACK for floats only. Its 8-bit kernels are TensorFlow Lite's own, which round
otherwise (`tests.arm.rounding`): its int8 answers are compared with the same kernels on x86-64,
which LiteRT has too, and how far these lie from XNNPACK's is written down beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.bundle import Bundle
from tests.arm import measured, wheels
from tests.arm.conftest import Asking
from tests.arm.machines import Machine, Machines
from tests.arm.test_aarch64 import classify, compare, grey_levels_between, images_of

pytestmark = [pytest.mark.arm, pytest.mark.slow]

CPU = "cortex-a7"  # Raspberry Pi 2, the slowest board that runs armhf
FLOATS = ("tflite_f32", "tflite_f16")
ALLOWED = 2 / 256
OLDER = {"backend": "tflite-runtime", "variants": (*FLOATS, "tflite_int8")}
HERE = {"variants": (*FLOATS, "tflite_dynamic", "tflite_int8")}


def older(boards: Machines, machine: str) -> tuple[Machine, str]:
    """A machine with tflite-runtime, and its processor."""
    return {"armhf": (boards.armhf, CPU), "aarch64": (boards.aarch64_older, "cortex-a53")}[machine]


@pytest.mark.parametrize("machine", ["armhf", "aarch64"])
@pytest.mark.parametrize("variant", FLOATS)
def test_float_variant_decides_as_litert_on_x86_64(
    boards: Machines, asking: Asking, decide: Callable[..., list[str]], variant: str, machine: str
) -> None:
    here, there = asking(boards.x86_64, **HERE), asking(*older(boards, machine), **OLDER)
    told = compare(variant, here.probabilities[variant], there.probabilities[variant], decide)
    measured.keep("older", f"{variant} {machine}", told)
    assert told["decisions"] == 0
    assert told["largest"] < 1e-5


@pytest.mark.parametrize("machine", ["armhf", "aarch64"])
def test_int8_variant_decides_as_the_same_kernels_on_x86_64(
    boards: Machines, asking: Asking, bundle: Path, features_file: Path,
    decide: Callable[..., list[str]], machine: str,
) -> None:  # fmt: skip
    whole = str(bundle / Bundle.open(bundle).manifest.variant("tflite_int8").file)
    graphs = {"whole": whole, "features": str(features_file)}
    here = asking(boards.x86_64, graphs=graphs, built_in=True).graphs
    there = asking(*older(boards, machine), backend="tflite-runtime", graphs=graphs).graphs
    told = compare("tflite_int8", here["whole"], there["whole"], decide)
    told["features"] = bool((here["features"] == there["features"]).all())
    measured.keep("older", f"tflite_int8 {machine}, built-in kernels", told)
    assert told["decisions"] == 0
    assert told["largest"] <= ALLOWED
    np.testing.assert_array_equal(here["features"], there["features"])


@pytest.mark.parametrize("machine", ["armhf", "aarch64"])
def test_int8_variant_decides_as_xnnpack_on_x86_64(
    boards: Machines, asking: Asking, bundle: Path, decide: Callable[..., list[str]], machine: str
) -> None:
    here, there = asking(boards.x86_64, **HERE), asking(*older(boards, machine), **OLDER)
    variant = Bundle.open(bundle).manifest.variant("tflite_int8")
    told = compare(
        variant.name, here.probabilities[variant.name], there.probabilities[variant.name], decide
    )
    told["self_test"] = there.self_test[variant.name]
    measured.keep("older", f"tflite_int8 {machine}, XNNPACK", told)
    assert told["self_test"] <= variant.golden_tolerance
    assert told["decisions"] == 0
    assert told["largest"] <= ALLOWED


def test_armhf_has_what_debian_brings(boards: Machines, asking: Asking) -> None:
    about = asking(boards.armhf, CPU, **OLDER).about
    assert about["machine"] == "armv7l"
    assert about["numpy"].startswith("1.24.")
    assert about["pillow"].startswith("9.4.")
    assert Path(about["package"]).is_relative_to(boards.armhf.packages)


def test_input_tensors_are_close_to_those_of_x86_64(
    boards: Machines, asking: Asking, kinds_of_files: dict[str, list[Path]]
) -> None:
    named = images_of(kinds_of_files)
    here = asking(boards.x86_64, images=named)
    there = asking(boards.armhf, CPU, backend="tflite-runtime", images=named)
    assert max(grey_levels_between(here, there, kinds_of_files, "armhf").values()) <= 2


def test_command_decides_as_on_x86_64(
    boards: Machines, bundle: Path, kinds_of_files: dict[str, list[Path]]
) -> None:
    files = [file for of_a_kind in kinds_of_files.values() for file in of_a_kind]
    here = classify(boards.x86_64, bundle, files)
    there = classify(boards.armhf, bundle, files, CPU)
    largest = 0.0
    for file, expected, answer in zip(files, here, there, strict=True):
        assert answer["decision"] == expected["decision"], file.name
        for code, probability in expected["probabilities"].items():
            largest = max(largest, abs(answer["probabilities"][code] - probability))
    measured.keep("command", f"armhf {CPU}", {"files": len(files), "largest": largest})
    assert largest <= ALLOWED


@pytest.mark.parametrize("variant", ["tflite_f32", "tflite_int8"])
@pytest.mark.parametrize("model", ["reference", "tiny"])
def test_models_of_the_checkout_answer_as_far_apart_as_is_written_down(
    boards: Machines, kinds_of_files: dict[str, list[Path]], model: str, variant: str
) -> None:
    """They are deep, and their 8-bit answers differ by more than those of the small network."""
    files, bundle = kinds_of_files["small JPEG"], wheels.ROOT / "models" / model
    here = classify(boards.x86_64, bundle, files, variant=variant)
    there = classify(boards.armhf, bundle, files, CPU, variant=variant)
    values, others = (
        np.array([[*answer["probabilities"].values()] for answer in answers])
        for answers in (here, there)
    )
    pairs = zip(here, there, strict=True)
    told = {
        "images": len(files),
        "largest": float(np.abs(values - others).max()),
        "identical": float((values == others).all(axis=1).mean()),
        "decisions": sum(a["decision"] != b["decision"] for a, b in pairs),
    }
    measured.keep("older", f"models/{model}, {variant} armhf", told)
    if variant == "tflite_f32":
        assert told["decisions"] == 0
        assert told["largest"] < 1e-4


def test_floats_are_served_unless_eight_bits_are_named(
    boards: Machines, kinds_of_files: dict[str, list[Path]]
) -> None:
    files, bundle = kinds_of_files["small JPEG"], wheels.ROOT / "models" / "reference"
    words = ("--model", bundle, "--threads", 1, "--json")
    done = boards.armhf.dermedge("classify", *files, *words, cpu=CPU)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    expected = classify(boards.x86_64, bundle, files, variant="tflite_f32")
    for answer, right in zip(answers, expected, strict=True):
        assert answer["model"] == right["model"]
        assert answer["decision"] == right["decision"]
        assert answer["probabilities"] == pytest.approx(right["probabilities"], abs=ALLOWED)


def test_dynamic_variant_is_answered_rightly_or_refused(
    boards: Machines, bundle: Path, images: list[Path]
) -> None:
    words = ("--model", bundle, "--variant", "tflite_dynamic", "--threads", 1, "--json")
    done = boards.armhf.dermedge("classify", images[0], *words, cpu=CPU)
    if done.returncode == 2:
        assert "wrongly" in done.stderr or "cannot load" in done.stderr
        measured.keep("refused", "tflite_dynamic armhf", done.stderr.strip())
        return
    (here,) = classify(boards.x86_64, bundle, images[:1], variant="tflite_dynamic")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["probabilities"] == pytest.approx(here["probabilities"], abs=0.02)
