"""Why a model is slow here, in words, from what was read and measured."""

from __future__ import annotations

from collections import Counter

from edge_runtime.doctor.machine import Machine
from edge_runtime.doctor.trial import Trial

SLOW_FACTOR = 1.5
"""A variant that takes this many times as long as the fastest one is called slow."""

HOT_C = 80.0
"""Degrees Celsius from which a Raspberry Pi lowers its clock."""

_LEFT_ALONE = 2  # operators at the edges of a graph that cost nothing
_NAMED = 3
_SCALING_DRIVERS = ("intel_pstate", "amd-pstate")  # whose "powersave" does raise the clock


def slow_variant(machine: Machine, trial: Trial) -> tuple[str, ...]:
    """What makes this model file slower than another one on this machine."""
    arithmetic = (trial.variant or "").partition("_")[2]
    arm = machine.architecture.startswith(("aarch64", "arm"))
    reasons = []
    if len(trial.left) > _LEFT_ALONE:
        counts = Counter(trial.left).most_common()
        names = ", ".join(f"{count} {name}" for name, count in counts[:_NAMED])
        more = " and others" if len(counts) > _NAMED else ""
        reasons.append(f"XNNPACK's fast kernels leave {names}{more} to slower ones")
    if arithmetic == "int8" and trial.backend == "tflite-runtime" and not arm:
        reasons.append("tflite-runtime has no fast 8-bit kernels for this processor; use litert")
    if arithmetic in ("int8", "dynamic") and machine.features is not None:
        fast = {"dot product", "8-bit matrix product"} if arm else {"AVX-512 VNNI", "AVX-VNNI"}
        if not fast & set(machine.features):
            reasons.append("the processor has no 8-bit dot-product instructions")
    if arithmetic == "f32":
        reasons.append("it computes with 32-bit floats, four times the bytes of an 8-bit variant")
    if arithmetic == "dynamic":
        reasons.append("the range of every activation is measured at every inference")
    if trial.variant == "tflite_f16":
        reasons.append("its weights are stored in 16 bits, but computed with in 32")
    if trial.variant == "onnx_f16":
        reasons.append("ONNX Runtime turns most 16-bit floats into 32-bit ones and back")
    return tuple(reasons)


def slow_machine(machine: Machine, threads: int) -> tuple[tuple[str, str], ...]:
    """What makes every model slower here than it could be, each with what to do."""
    found = []
    if machine.governor == "powersave" and not (machine.driver or "").startswith(_SCALING_DRIVERS):
        found.append(
            ("The governor powersave keeps the clock at its lowest rate.",
             "Run `echo ondemand | sudo tee "
             "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor`.")
        )  # fmt: skip
    if machine.temperature_c is not None and machine.temperature_c >= HOT_C:
        found.append(
            (f"The processor has {machine.temperature_c:.0f} °C; it slows down to protect itself.",
             "Give it a heat sink or a fan.")
        )  # fmt: skip
    if machine.quota_cores is not None and machine.quota_cores < threads:
        found.append(
            (f"The control group grants {machine.quota_cores:g} cores' time to {threads} threads.",
             f"Pass `--threads {max(1, int(machine.quota_cores))}`, or raise the limit.")
        )  # fmt: skip
    elif machine.cores is not None and machine.usable_cores < machine.cores:
        found.append(
            (f"This process may use {machine.usable_cores} of {machine.cores} cores.",
             "Start it without `taskset`, or with a wider CPU set.")
        )  # fmt: skip
    if machine.pointer_bits == 32 and machine.architecture in ("aarch64", "armv8l"):
        found.append(
            ("This is a 32-bit system on a 64-bit processor: its faster instructions lie idle.",
             "Install the 64-bit Raspberry Pi OS; LiteRT exists for it alone.")
        )  # fmt: skip
    if machine.throttled_before and not machine.throttled_now:
        found.append(
            (f"Since it was started: {', '.join(machine.throttled_before)}.",
             "Use a stronger power supply or better cooling before you measure.")
        )  # fmt: skip
    return tuple(found)
