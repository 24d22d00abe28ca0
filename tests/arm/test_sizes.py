"""What an installation takes on disk."""

from __future__ import annotations

import pytest

from tests.arm import measured
from tests.arm.machines import Machines, installed_sizes

pytestmark = pytest.mark.arm

LARGEST_MIB = 200


def test_device_package_and_what_it_needs_stay_below_200_mib(boards: Machines) -> None:
    for name, machine in (
        ("x86-64", boards.x86_64),
        ("aarch64", boards.aarch64),
        ("x86-64, onnxruntime", boards.x86_64_onnx),
        ("aarch64, onnxruntime", boards.aarch64_onnx),
        ("aarch64, tflite-runtime", boards.aarch64_older),
        ("armhf, tflite-runtime", boards.armhf),
    ):
        sizes = installed_sizes(machine.packages)
        measured.keep("sizes", name, sizes)
        assert sizes["dermedge-runtime"] < 2**20
        if "onnxruntime" not in name:
            assert sizes["total"] < LARGEST_MIB * 2**20
