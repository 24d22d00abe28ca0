"""Give a machine images and models, and take its answers home as arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.arm.machines import Machine

PROBE = Path(__file__).with_name("probe.py")


@dataclass(frozen=True)
class Job:
    """What a machine is asked.

    Attributes:
        bundle: folder of the bundle.
        tensors: a NumPy file of input tensors, uint8 (n, size, size, 3).
        backend: which interpreter answers.
        variants: of the bundle, to answer its golden inputs and the tensors.
        images: files of which the machine makes input tensors of its own.
        graphs: further TFLite files by name, to answer the tensors.
        built_in: whether the graphs run on the interpreter's own kernels, not on XNNPACK's.
    """

    bundle: str
    tensors: str
    backend: str = "litert"
    variants: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    graphs: Mapping[str, str] = field(default_factory=dict)
    built_in: bool = False


@dataclass(frozen=True)
class Answers:
    """What it answered.

    Attributes:
        about: versions of what answered.
        self_test: by variant, the largest difference from the golden answers.
        probabilities: by variant, float32 (n, classes).
        graphs: by name, shape (n, ...) in the type of the file's output.
        inputs: uint8 (images, size, size, 3), or None where no images were given.
    """

    about: Mapping[str, str]
    self_test: Mapping[str, float]
    probabilities: Mapping[str, NDArray[np.float32]]
    graphs: Mapping[str, NDArray[Any]]
    inputs: NDArray[np.uint8] | None


def ask(machine: Machine, job: Job, folder: Path, cpu: str = "") -> Answers:
    """Let a machine do a job; its files are written into ``folder``."""
    asked, answered = folder / "job.json", folder / "answers.npz"
    asked.write_text(json.dumps(asdict(job)), encoding="utf-8")
    done = machine.python(PROBE, asked, answered, cpu=cpu)
    assert done.returncode == 0, done.stdout + done.stderr
    with np.load(answered) as archive:
        found = {name: archive[name] for name in archive.files}

    def below(part: str) -> dict[str, NDArray[Any]]:
        return {
            name.partition("/")[2]: value
            for name, value in found.items()
            if name.startswith(f"{part}/")
        }

    return Answers(
        about=json.loads(str(found["about"])),
        self_test={name: float(value) for name, value in below("self_test").items()},
        probabilities=below("probabilities"),
        graphs=below("graph"),
        inputs=found.get("inputs"),
    )
