"""The device package as a device gets it: a wheel in an environment of its own."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import edge_runtime
from tests.edge_runtime.changing import read_manifest
from tests.edge_runtime.test_package import HEAVY, INTERPRETERS, PACKAGE, ROOT, sources


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the device package, built from a copy of its folder as a release is."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("*.egg-info", "__pycache__", "build", "dist")
    shutil.copytree(PACKAGE, folder / "source", ignore=ignored)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, folder / "source"],
        capture_output=True, text=True, env=outside(),
    )  # fmt: skip
    skip_without_index(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def outside() -> dict[str, str]:
    """The environment of a process that must not find the checkout."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "DERMEDGE_MODEL")
    return {key: value for key, value in os.environ.items() if key not in hidden}


def skip_without_index(output: str) -> None:
    """Skip where pip could not reach a package index, which is not our fault."""
    if "connection broken by" in output and "No matching distribution" in output:
        pytest.skip("no package index can be reached from here")


@dataclass(eq=False)
class Environment:
    """A fresh environment that pip is filling with the wheel."""

    folder: Path
    pip: subprocess.Popen[str]

    @functools.cached_property
    def commands(self) -> Path:
        """The folder with its commands, once it is filled."""
        output, _ = self.pip.communicate()
        skip_without_index(output)
        assert self.pip.returncode == 0, output
        return self.folder / "bin"


@pytest.fixture(scope="module")
def environments(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Environment]]:
    """Both environments of devices, filled at the same time."""
    wanted = {
        "litert": ("", "constraints.txt"),
        "tflite-runtime": ("[tflite-runtime]", "constraints-tflite-runtime.txt"),
    }
    if sys.version_info >= (3, 12):
        del wanted["tflite-runtime"]
    started = {}
    for name, (extra, constraints) in wanted.items():
        folder = tmp_path_factory.mktemp(f"env-{name}")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        pip = subprocess.Popen(
            [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install",
             "--quiet", "--no-compile", "-c", ROOT / constraints,
             f"dermedge-runtime{extra} @ {wheel.as_uri()}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=outside(),
        )  # fmt: skip
        started[name] = Environment(folder, pip)
    yield started
    for environment in started.values():
        environment.pip.kill()  # does nothing when it has ended
        environment.pip.wait()
        shutil.rmtree(environment.folder, ignore_errors=True)  # 200 MB each


@pytest.fixture(scope="module")
def device(environments: dict[str, Environment]) -> Path:
    """The commands of an environment that holds the wheel and what it asks for."""
    return environments["litert"].commands


@pytest.fixture(scope="module")
def older_device(environments: dict[str, Environment]) -> Path:
    """The same with tflite-runtime."""
    if "tflite-runtime" not in environments:
        pytest.skip("tflite-runtime exists for Python 3.11 and older")
    return environments["tflite-runtime"].commands


def run(commands: Path, *words: object, check: int = 0) -> subprocess.CompletedProcess[str]:
    """A command of an environment, run far from the checkout."""
    done = subprocess.run(
        [str(commands / str(words[0])), *map(str, words[1:])],
        capture_output=True, text=True, cwd=commands, env=outside(), timeout=120,
    )  # fmt: skip
    assert done.returncode == check, done.stdout + done.stderr
    return done


def classify(commands: Path, *words: object) -> list[dict[str, Any]]:
    """The JSON answers of ``dermedge classify`` in an environment."""
    done = run(commands, "dermedge", "classify", *words, "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_wheel_holds_every_module_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    described = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    expected = {
        f"edge_runtime/{file.relative_to(PACKAGE).as_posix()}" for file in sources("edge_runtime")
    }
    assert names - described == expected | {"edge_runtime/py.typed"}
    assert {name.partition("/")[2] for name in described} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt",
    }  # fmt: skip


def test_wheel_is_light(wheel: Path):
    assert wheel.stat().st_size < 200_000


def test_wheel_asks_for_three_packages(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
    needed = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*extra ==).*$", text, re.MULTILINE)
    assert sorted(needed) == ["ai-edge-litert", "numpy", "pillow"]
    assert f"\nVersion: {edge_runtime.__version__}\n" in text
    assert "\nName: dermedge-runtime\n" in text


def test_toolkit_asks_for_the_version_that_is_here():
    toolkit = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"dermedge-runtime=={edge_runtime.__version__}" in toolkit["dependencies"]


def test_installed_wheel_classifies_as_the_checkout_does(
    device: Path, bundle: Path, images: list[Path]
):
    told = classify(device, *images[:6], "--model", bundle)
    here = edge_runtime.Classifier.open(bundle)
    for answer, file in zip(told, images[:6], strict=True):
        expected = here.classify(file)
        assert answer["probabilities"] == expected.probabilities
        assert answer["decision"] == expected.decision
        assert answer["model"]["sha256"] == here.variant.sha256


def test_installed_wheel_is_used_and_brings_one_interpreter(device: Path):
    code = (
        "import importlib.util as u, edge_runtime; print(edge_runtime.__file__);"
        f"print(*[name for name in {sorted(HEAVY | INTERPRETERS)} if u.find_spec(name)])"
    )
    file, found = run(device, "python", "-c", code).stdout.splitlines()
    assert Path(file).is_relative_to(device.parent)
    assert set(found.split()) == {"ai_edge_litert", "tqdm"}  # the second is wanted by the first


def test_installed_wheel_brings_its_own_verbs_only(device: Path):
    help_text = run(device, "dermedge", "--help").stdout
    assert re.findall(r"^  (\w+) ", help_text, re.MULTILINE) == ["classify", "doctor", "info"]


def test_onnx_variant_without_its_interpreter_says_how_to_install_it(
    device: Path, bundle: Path, images: list[Path]
):
    done = run(
        device, "dermedge", "classify", images[0], "--model", bundle, "--variant", "onnx_f32",
        check=2,
    )  # fmt: skip
    assert done.stderr == (
        "dermedge: No interpreter for onnx files is installed; "
        'run `pip install "dermedge-runtime[onnxruntime]"`.\n'
    )
    assert done.stdout == ""


# Kernels of other interpreters may round an 8-bit logit to its neighbour, which moves a probability
# by one step of the logit's scale times p * (1 - p); float arithmetic leaves no such room.
LARGEST_DIFFERENCE = {
    "tflite_f32": 1e-4, "tflite_f16": 1e-4, "tflite_int8": 0.05, "tflite_dynamic": 0.01,
    "tflite_int16x8": 1e-3,
}  # fmt: skip


@pytest.mark.parametrize("variant", LARGEST_DIFFERENCE)
def test_older_interpreter_answers_as_litert_does_or_is_refused(
    older_device: Path, bundle: Path, images: list[Path], variant: str
):
    words = [*images[:40], "--model", bundle, "--variant", variant, "--backend", "tflite-runtime"]
    if variant == "tflite_dynamic":  # newer operators, which an old interpreter may get wrong
        done = subprocess.run(
            [older_device / "dermedge", "classify", *map(str, words)],
            capture_output=True, text=True, cwd=older_device, env=outside(),
        )  # fmt: skip
        if done.returncode == 2:
            assert "answers the golden inputs of tflite_dynamic wrongly" in done.stderr
            return
    here = edge_runtime.Classifier.open(bundle, variant, backend="litert")
    points = here.variant.operating_points
    allowed = LARGEST_DIFFERENCE[variant]
    for answer, file in zip(classify(older_device, *words), images[:40], strict=True):
        expected = here.classify(file)
        for code, probability in expected.probabilities.items():
            assert answer["probabilities"][code] == pytest.approx(probability, abs=allowed)
        margin = min(
            abs(expected.malignant_probability - points["malignant"].threshold),
            abs(expected.probabilities["mel"] - points["melanoma"].threshold),
        )
        if margin > allowed:
            assert answer["decision"] == expected.decision


def test_older_interpreter_comes_with_the_numpy_that_it_needs(older_device: Path):
    code = "import numpy, tflite_runtime as t; print(numpy.__version__, t.__version__)"
    assert run(older_device, "python", "-c", code).stdout == "1.26.4 2.14.0\n"


def test_variants_of_the_bundle_are_those_that_are_tested_here(bundle: Path):
    names = {entry["name"] for entry in read_manifest(bundle)["variants"]}
    assert {name for name in names if name.startswith("tflite")} == set(LARGEST_DIFFERENCE)
