"""What the machine is: read from /proc and /sys, None wherever the system does not say.

Every reader takes the root of the file system, so that a test can lay out another machine's files.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.backends import usable_cores

THROTTLING = {
    0: "the supply voltage is too low",
    1: "the clock is capped",
    2: "the processor is throttled",
    3: "the soft temperature limit is reached",
}
"""What bits 0 to 3 of a Raspberry Pi's ``get_throttled`` say of now, and 16 to 19 of before."""

_SINCE_BOOT = 16
_FEATURES = {
    "asimd": "Neon", "neon": "Neon", "asimddp": "dot product", "asimdhp": "16-bit floats",
    "i8mm": "8-bit matrix product", "sve": "SVE", "avx2": "AVX2", "fma": "FMA",
    "avx512f": "AVX-512", "avx512_vnni": "AVX-512 VNNI", "avx_vnni": "AVX-VNNI",
    "amx_int8": "AMX 8-bit",
}  # fmt: skip
_CPU_KEYS = ("Model", "model name", "Hardware")


@dataclass(frozen=True)
class Machine:
    """A machine as a model sees it.

    Attributes:
        architecture: for example "aarch64".
        pointer_bits: of this Python: 32 on a 32-bit system, whatever the processor could.
        name: of the board or the processor.
        system, python: versions.
        cores: physical cores.
        usable_cores: that the scheduler lets this process use.
        quota_cores: how many cores' time the control group grants, None without a limit.
        features: instructions that matter to a model, in words.
        memory_mb, available_mb: in megabytes of 10^6 bytes, control groups' limits included.
        governor, driver: what chooses the clock rate.
        clock_mhz, full_clock_mhz: now, and at most.
        temperature_c: of the processor, in degrees Celsius.
        throttled_now, throttled_before: a Raspberry Pi's complaints, now and since it was started.
    """

    architecture: str
    pointer_bits: int
    name: str | None
    system: str
    python: str
    cores: int | None
    usable_cores: int
    quota_cores: float | None
    features: tuple[str, ...] | None
    memory_mb: int | None
    available_mb: int | None
    governor: str | None
    driver: str | None
    clock_mhz: int | None
    full_clock_mhz: int | None
    temperature_c: float | None
    throttled_now: tuple[str, ...] | None
    throttled_before: tuple[str, ...] | None


def observe(root: Path = Path("/")) -> Machine:
    """The machine whose file system is ``root``."""
    cpuinfo = _key_values(root / "proc/cpuinfo")
    policy = root / "sys/devices/system/cpu/cpu0/cpufreq"
    now, before = _throttling(root)
    total, available = _memory(root)
    return Machine(
        architecture=platform.machine() or "unknown",
        pointer_bits=64 if sys.maxsize > 2**32 else 32,
        name=_text(root / "proc/device-tree/model")
        or next((cpuinfo[key] for key in _CPU_KEYS if cpuinfo.get(key)), None)
        or platform.processor() or None,
        system=_system(),
        python=platform.python_version(),
        cores=_physical_cores(root),
        usable_cores=usable_cores(),
        quota_cores=_quota(root),
        features=_features(cpuinfo),
        memory_mb=total,
        available_mb=available,
        governor=_text(policy / "scaling_governor"),
        driver=_text(policy / "scaling_driver"),
        clock_mhz=_scaled(policy / "scaling_cur_freq", 1000),
        full_clock_mhz=_scaled(policy / "cpuinfo_max_freq", 1000),
        temperature_c=_temperature(root),
        throttled_now=now,
        throttled_before=before,
    )  # fmt: skip


def _features(cpuinfo: Mapping[str, str]) -> tuple[str, ...] | None:
    """Words for the processor's flags ("Features" on ARM, "flags" on x86)."""
    listed = cpuinfo.get("Features") or cpuinfo.get("flags")
    if not listed:
        return None
    flags = set(listed.split())
    return tuple(dict.fromkeys(word for flag, word in _FEATURES.items() if flag in flags))


def _physical_cores(root: Path) -> int | None:
    found = {
        (_text(core / "physical_package_id"), _text(core / "core_id"))
        for core in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology")
    }
    return len(found) or None


def _control_groups(root: Path, controller: str) -> list[Path]:
    """The folders of this process's control groups, of version 2 and 1, outermost last."""
    folders = []
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        number, names, path = line.split(":", 2)
        if number == "0":
            mount = root / "sys/fs/cgroup"
        elif controller in names.split(","):
            mount = root / "sys/fs/cgroup" / controller
        else:
            continue
        own = mount / path.lstrip("/")
        folders += [own, *(parent for parent in own.parents if parent.is_relative_to(mount))]
    return folders


def _quota(root: Path) -> float | None:
    granted = []
    for folder in _control_groups(root, "cpu"):
        quota, _, period = (_text(folder / "cpu.max") or "").partition(" ")
        if not period:
            quota = _text(folder / "cpu.cfs_quota_us") or ""
            period = _text(folder / "cpu.cfs_period_us") or ""
        if quota.isdigit() and period.isdigit() and int(period):
            granted.append(int(quota) / int(period))
    return round(min(granted), 2) if granted else None


def _memory(root: Path) -> tuple[int | None, int | None]:
    """Megabytes in all and available, neither above what the control groups leave."""
    meminfo = _key_values(root / "proc/meminfo")
    total, available = (
        int(meminfo[key].split()[0]) * 1024 if key in meminfo else None
        for key in ("MemTotal", "MemAvailable")
    )
    for folder in _control_groups(root, "memory"):
        limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
        if limit is None or (total is not None and limit >= total):
            continue
        total, available = limit, min(available or limit, max(0, limit - used))
    return (
        None if total is None else total // 1_000_000,
        None if available is None else available // 1_000_000,
    )


def _temperature(root: Path) -> float | None:
    """The processor's temperature, or else the highest that is told."""
    readings = {}
    for zone in (root / "sys/class/thermal").glob("thermal_zone*"):
        value = _number(zone / "temp")
        if value is not None:
            readings[zone] = value / 1000
    named = ("cpu", "soc", "x86_pkg", "core")
    processor = [
        value for zone, value in readings.items()
        if any(word in (_text(zone / "type") or "").lower() for word in named)
    ]  # fmt: skip
    return max(processor or readings.values(), default=None)


def _throttling(root: Path) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """A Raspberry Pi's complaints now and before, from its firmware through the kernel."""
    found = sorted((root / "sys/devices/platform").glob("*/*/get_throttled"))
    text = _text(found[0]) if found else _vcgencmd(root)
    try:
        bits = int(text or "", 16)
    except ValueError:
        return None, None
    now = tuple(word for bit, word in THROTTLING.items() if bits >> bit & 1)
    before = tuple(word for bit, word in THROTTLING.items() if bits >> bit + _SINCE_BOOT & 1)
    return now, before


def _vcgencmd(root: Path) -> str | None:
    """What Raspberry Pi OS's own command says, as hexadecimal digits."""
    if root != Path("/"):
        return None
    try:
        done = subprocess.run(
            ["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().partition("=")[2] or None


def _system() -> str:
    kernel = f"{platform.system()} {platform.release()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def _key_values(path: Path) -> dict[str, str]:
    """Lines of ``key : value``, the first of each key."""
    found: dict[str, str] = {}
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    return found


def _scaled(path: Path, divisor: int) -> int | None:
    value = _number(path)
    return None if value is None else value // divisor


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.lstrip("-").isdigit() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None
