from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import pytest

from edge_runtime import backends
from edge_runtime.doctor.machine import Machine, observe
from edge_runtime.doctor.speed import slow_machine, slow_variant
from edge_runtime.doctor.trial import Trial

PI_4 = {
    "proc/cpuinfo": (
        "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n\n"
        "processor\t: 1\nFeatures\t: fp asimd\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
    ),
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/meminfo": "MemTotal:         948304 kB\nMemFree: 1 kB\nMemAvailable:     400000 kB\n",
    "proc/self/cgroup": "0::/user.slice/user-1000.slice\n",
    "sys/fs/cgroup/user.slice/cpu.max": "max 100000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver": "cpufreq-dt\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1500000\n",
    **{f"sys/devices/system/cpu/cpu{n}/topology/core_id": f"{n}\n" for n in range(4)},
    **{f"sys/devices/system/cpu/cpu{n}/topology/physical_package_id": "0\n" for n in range(4)},
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "84205\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
}


def lay_out(root: Path, files: dict[str, str]) -> Path:
    """A machine's /proc and /sys below ``root``."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A Raspberry Pi 4 in trouble."""
    return observe(lay_out(tmp_path_factory.mktemp("pi"), PI_4))


# ---------------------------------------------------------------- the machine


def test_raspberry_pi_is_read(pi: Machine):
    assert pi.name == "Raspberry Pi 4 Model B Rev 1.4"
    assert pi.features == ("Neon",)
    assert (pi.memory_mb, pi.available_mb) == (971, 409)
    assert (pi.governor, pi.clock_mhz, pi.full_clock_mhz) == ("powersave", 600, 1500)
    assert pi.cores == 4
    assert pi.quota_cores is None
    assert pi.temperature_c == pytest.approx(84.205)
    assert pi.throttled_now == ("the supply voltage is too low", "the processor is throttled")
    assert pi.throttled_before == pi.throttled_now


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor\t: 0\nmodel\t\t: 167\nmodel name\t: Intel(R) N100\n", "Intel(R) N100"),
        (
            "model name\t: ARMv7 Processor rev 3 (v7l)\n\nHardware\t: BCM2835\n"
            "Model\t\t: Raspberry Pi 3 Model B Plus Rev 1.3\n",
            "Raspberry Pi 3 Model B Plus Rev 1.3",
        ),
        ("processor\t: 0\nCPU part\t: 0xd08\nHardware\t: BCM2711\n", "BCM2711"),
        ("processor\t: 0\n", None),
        (None, None),
    ],
)
def test_processor_is_named_as_its_maker_names_it(
    tmp_path: Path, cpuinfo: str | None, name: str | None
):
    lay_out(tmp_path, {} if cpuinfo is None else {"proc/cpuinfo": cpuinfo})
    assert observe(tmp_path).name == (name or platform.processor() or None)


def test_machine_that_says_nothing_is_not_known(tmp_path: Path):
    machine = observe(tmp_path)
    for field in dataclasses.fields(machine):
        told = field.name in (
            "architecture", "pointer_bits", "name", "system", "python", "usable_cores",
        )  # fmt: skip
        assert told or getattr(machine, field.name) is None, field.name


def test_this_machine_is_read():
    machine = observe()
    assert machine.usable_cores == backends.usable_cores()
    if Path("/proc/meminfo").exists():
        assert machine.memory_mb is not None
        assert machine.available_mb is not None
        assert 0 < machine.available_mb <= machine.memory_mb


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu,cpuacct:/x\n0::/\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            },
            1.0,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    ],
    ids=["own group", "an outer group", "version 1", "no limit"],
)  # fmt: skip
def test_limit_of_the_control_group_is_read(
    tmp_path: Path, files: dict[str, str], cores: float | None
):
    assert observe(lay_out(tmp_path, files)).quota_cores == cores


def test_memory_is_not_above_the_control_groups_limit(tmp_path: Path):
    files = {
        "proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 7000000 kB\n",
        "proc/self/cgroup": "0::/a\n",
        "sys/fs/cgroup/a/memory.max": "512000000\n",
        "sys/fs/cgroup/a/memory.current": "100000000\n",
    }
    machine = observe(lay_out(tmp_path, files))
    assert (machine.memory_mb, machine.available_mb) == (512, 412)


def test_damaged_figures_of_the_system_are_not_known(tmp_path: Path):
    files = {name: "\0garbage\n" for name in PI_4 if not name.startswith("proc/self")}
    machine = observe(lay_out(tmp_path, files))
    assert machine.temperature_c is None
    assert machine.throttled_now is None
    assert machine.memory_mb is None
    assert machine.clock_mhz is None


# ---------------------------------------------------------------- why it is slow


def test_what_slows_the_whole_machine_is_said_with_a_remedy(pi: Machine):
    texts = {text: remedy for text, remedy in slow_machine(pi, 4)}
    (governor,) = (text for text in texts if "powersave" in text)
    assert "scaling_governor" in texts[governor]
    assert any("84 °C" in text for text in texts)
    calm = dataclasses.replace(
        pi, governor="ondemand", temperature_c=50.0, throttled_now=(), throttled_before=(),
        cores=4, usable_cores=4,
    )  # fmt: skip
    assert slow_machine(calm, 4) == ()
    before = dataclasses.replace(calm, throttled_before=("the clock is capped",))
    assert "Since it was started: the clock is capped." in dict(slow_machine(before, 4))
    limited = dataclasses.replace(calm, quota_cores=1.0)
    assert "Pass `--threads 1`" in dict(slow_machine(limited, 4)).popitem()[1]
    assert slow_machine(limited, 1) == ()
    bound = dataclasses.replace(calm, usable_cores=1)
    assert "may use 1 of 4 cores" in str(slow_machine(bound, 1))
    old = dataclasses.replace(calm, architecture="aarch64", pointer_bits=32)
    assert "64-bit Raspberry Pi OS" in str(slow_machine(old, 4))


def test_powersave_of_a_driver_that_scales_by_itself_is_no_fault(pi: Machine):
    laptop = dataclasses.replace(pi, driver="intel_pstate")
    assert "powersave" not in str(slow_machine(laptop, 4))


def test_why_a_variant_is_slow_is_said(pi: Machine):
    pi = dataclasses.replace(pi, architecture="aarch64")
    left = ("CONV_2D", "MEAN", "CONV_2D", "MUL", "ADD", "CONV_2D", "MUL")
    (kernels,) = slow_variant(pi, Trial("litert", "tflite_int16x8", left=left))
    assert kernels == (
        "XNNPACK's fast kernels leave 3 CONV_2D, 2 MUL, 1 MEAN and others to slower ones"
    )
    int8 = Trial("litert", "tflite_int8", left=("QUANTIZE",))
    assert slow_variant(pi, int8) == ("the processor has no 8-bit dot-product instructions",)
    newer = dataclasses.replace(pi, features=("Neon", "dot product"))
    assert slow_variant(newer, int8) == ()
    desktop = dataclasses.replace(pi, architecture="x86_64", features=("AVX2", "AVX-512 VNNI"))
    (older,) = slow_variant(desktop, dataclasses.replace(int8, backend="tflite-runtime"))
    assert "use litert" in older
    assert "16-bit" in str(slow_variant(pi, Trial("onnxruntime", "onnx_f16")))
