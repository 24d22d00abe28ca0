"""`dermedge doctor`: how well this machine serves bundles, and one bundle in particular."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_runtime.doctor.examination import BundleReport, Report
    from edge_runtime.doctor.machine import Machine

SUMMARY = "Examine this machine, its interpreters and a bundle; say what is wrong or slow, and why."

UNKNOWN = "not known here"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE")
    parser.add_argument("--threads", type=int, metavar="N",
                        help="threads to measure with (default: the usable cores)")  # fmt: skip
    parser.add_argument("--require-signature", metavar="KEY.pub",
                        help="the key that must have signed the bundle")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Examine and print; status 1 when something is wrong."""
    from edge_runtime._strict import to_json
    from edge_runtime._terminal import visible
    from edge_runtime.doctor.examination import examine

    report = examine(
        arguments.bundle, threads=arguments.threads, require_signature=arguments.require_signature
    )
    if arguments.json:
        print(json.dumps({**to_json(report), "wrong": report.wrong}))
    else:
        for name, value in _lines(report):
            print(visible(f"{name:<12} {value}"))
    return 1 if report.wrong else 0


def _lines(report: Report) -> Iterator[tuple[str, str]]:
    """What people read: a name and a fact a line, the findings last."""
    yield from _machine(report.machine, report.threads)
    installed = [f"{name} {version}" for name, version in report.packages.items() if version]
    yield "packages", ", ".join(installed)
    missing = [name for name, version in report.packages.items() if not version]
    if missing:
        yield "optional", f"{', '.join(missing)}: not installed"
    for each in report.interpreters:
        if each.version is None:
            state = "not installed"
        elif not each.works:
            state = f"{each.version}, does not work"
        else:
            xnnpack = {True: ", XNNPACK in use", False: ", without XNNPACK", None: ""}
            state = f"{each.version}, works{xnnpack[each.xnnpack]}"
        yield "interpreter", f"{each.name} {state}"
    if report.bundle is not None:
        yield from _bundle(report.bundle)
    for finding in sorted(report.findings, key=lambda finding: finding.level):
        yield finding.level, finding.text
        yield "", finding.remedy
    if not report.findings:
        yield "all well", "nothing was found to be wrong"


def _machine(machine: Machine, threads: int) -> Iterator[tuple[str, str]]:
    yield "machine", f"{machine.name or UNKNOWN} ({machine.architecture})"
    yield "system", f"{machine.system}; Python {machine.python}, {machine.pointer_bits} bits"
    granted = "" if machine.quota_cores is None else f", time of {machine.quota_cores:g}"
    usable = f"usable {machine.usable_cores}{granted}; threads {threads}"
    yield "cores", f"{machine.cores or UNKNOWN}, {usable}"
    features = UNKNOWN if machine.features is None else ", ".join(machine.features) or "none"
    yield "fast with", features
    now, full = _shown(machine.clock_mhz, "MHz"), _shown(machine.full_clock_mhz, "MHz")
    clock = f"{now} of {full}, governor {machine.governor or UNKNOWN}"
    yield "clock", clock if machine.clock_mhz or machine.governor else UNKNOWN
    temperature = machine.temperature_c
    yield "temperature", UNKNOWN if temperature is None else f"{temperature:.1f} °C"
    if machine.throttled_now is None or machine.throttled_before is None:
        yield "throttling", UNKNOWN
    else:
        before = ", ".join(machine.throttled_before) or "none"
        at_present = ", ".join(machine.throttled_now) or "none"
        yield "throttling", f"now: {at_present}; since the start: {before}"
    memory = f"available {_shown(machine.available_mb, 'MB')}"
    yield "memory", f"{_shown(machine.memory_mb, 'MB')}, {memory}"


def _bundle(bundle: BundleReport) -> Iterator[tuple[str, str]]:
    yield "bundle", f"{bundle.name} {bundle.version} in {bundle.folder}"
    damaged = len(bundle.damages)
    state = f"{damaged} damaged" if damaged else "all match their SHA-256"
    yield "files", f"{bundle.files}, {state}"
    yield "signature", bundle.signature
    for report in bundle.variants:
        trial = report.trial
        mark = "*" if report.chosen else " "
        label = f"{mark} {trial.variant or '':<15} {trial.backend:<14}"
        if trial.error is not None:
            yield "variant", f"{label} cannot be used (gate: {report.verdict})"
            continue
        kernels = ""
        if trial.operators is not None:
            kernels = f", XNNPACK {trial.accelerated} of {trial.operators} operators"
        measured = f"{trial.median_ms:8.2f} ms  {_shown(trial.memory_mb, 'MB'):>6}"
        tested = f"self-test {trial.difference:.4f}{kernels} (gate: {report.verdict})"
        yield "variant", f"{label} {measured}  {tested}"
        for reason in report.slow:
            yield "", f"    slow here: {reason}"
    if bundle.choice is not None:
        yield "chosen *", bundle.choice


def _shown(value: int | None, unit: str) -> str:
    return UNKNOWN if value is None else f"{value} {unit}"
