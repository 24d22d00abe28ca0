"""The examination: machine, packages, interpreters and, if there is one, a bundle, put together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge_runtime import backends
from edge_runtime.bundle import Bundle
from edge_runtime.doctor.machine import Machine, observe
from edge_runtime.doctor.speed import SLOW_FACTOR, slow_machine, slow_variant
from edge_runtime.doctor.trial import Trial, try_backend
from edge_runtime.errors import BackendError, BundleError, IntegrityError, SignatureError
from edge_runtime.manifest import Manifest
from edge_runtime.selection import choose_variant, explain_choice
from edge_runtime.signature import state

if TYPE_CHECKING:
    from edge_runtime.signature import PublicKey

PACKAGES = ("numpy", "pillow", "pillow-heif", "cryptography")
"""Of these versions are told, besides those of the interpreters."""


@dataclass(frozen=True)
class Finding:
    """Something to act upon: "wrong" makes the examination fail, "advice" does not."""

    level: Literal["wrong", "advice"]
    text: str
    remedy: str


@dataclass(frozen=True)
class Interpreter:
    """One interpreter: its version, None where it is not installed, and whether it works."""

    name: str
    version: str | None
    works: bool
    error: str | None
    xnnpack: bool | None


@dataclass(frozen=True)
class VariantReport:
    """A variant under one interpreter, and why it is slow here if it is."""

    trial: Trial
    verdict: str
    chosen: bool
    slow: tuple[str, ...]


@dataclass(frozen=True)
class BundleReport:
    """A bundle on this machine; ``damages`` is empty where all files match their SHA-256."""

    folder: str
    name: str
    version: str
    files: int
    damages: tuple[str, ...]
    signature: str
    choice: str | None
    variants: tuple[VariantReport, ...]


@dataclass(frozen=True)
class Report:
    """All that was found out; what is wrong or could be better stands in ``findings``."""

    machine: Machine
    threads: int
    packages: Mapping[str, str | None]
    interpreters: tuple[Interpreter, ...]
    bundle: BundleReport | None
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> bool:
        """Whether anything is wrong."""
        return any(finding.level == "wrong" for finding in self.findings)


def examine(
    bundle: str | os.PathLike[str] | None = None, *, threads: int | None = None,
    require_signature: PublicKey | None = None, root: Path = Path("/"),
) -> Report:  # fmt: skip
    """Find out how this machine serves bundles, and one bundle in particular.

    Args:
        bundle: a bundle's folder, in whatever state.
        threads: to measure with; by default those that `Classifier.open` would use.
        require_signature: public key that must have signed the bundle.
        root: of the file system whose /proc and /sys are read.

    Raises:
        UsageError: ``threads`` is out of range, or ``require_signature`` is no public key.
    """
    used = backends.threads_to_use(threads)
    machine = observe(root)
    findings = [Finding("advice", text, remedy) for text, remedy in slow_machine(machine, used)]
    if machine.throttled_now:
        findings.append(
            Finding("wrong", f"Right now: {', '.join(machine.throttled_now)}.",
                    "Use the board's own power supply, and cool it.")
        )  # fmt: skip
    interpreters = tuple(_interpreter(kind) for kind in backends.BACKENDS)
    findings += _about_interpreters(interpreters, machine)
    report = None
    if bundle is not None:
        try:
            opened = Bundle.open_unchecked(bundle)
        except BundleError as error:
            findings.append(_as_finding(error))
        else:
            report, more = _bundle(opened, require_signature, machine, used, interpreters)
            findings += more
    packages = {name: _version(name) for name in PACKAGES}
    packages["littlecms"] = _littlecms()
    return Report(machine, used, packages, interpreters, report, tuple(findings))


def _interpreter(kind: backends.BackendKind) -> Interpreter:
    if not kind.installed:
        return Interpreter(kind.name, None, False, None, None)
    (trial,) = try_backend(kind, 1, None)
    xnnpack = None if trial.accelerated is None else trial.accelerated > 0
    version = _version(kind.package.replace("_", "-")) or "of unknown version"
    return Interpreter(kind.name, version, trial.error is None, trial.error, xnnpack)


def _about_interpreters(interpreters: tuple[Interpreter, ...], machine: Machine) -> list[Finding]:
    findings = []
    kinds = {kind.name: kind for kind in backends.BACKENDS}
    if not any(each.works for each in interpreters):
        fitting = "litert" if machine.pointer_bits == 64 else "tflite-runtime"
        install = kinds[fitting].install
        findings.append(
            Finding("wrong", "No interpreter works here.", f'Run `pip install "{install}"`.')
        )
    for each in interpreters:
        if each.error is not None:
            remedy = f'Run `pip install --force-reinstall "{kinds[each.name].install}"`.'
            if each.name == "tflite-runtime" and not (_version("numpy") or "").startswith("1."):
                remedy = 'Run `pip install "numpy<2"`, which it needs.'
            findings.append(Finding("wrong", f"{each.name} does not work: {each.error}", remedy))
        elif each.works and each.xnnpack is False:
            findings.append(
                Finding("advice", f"{each.name} runs without XNNPACK, its fast kernels.",
                        "Install its package from the index instead of this build.")
            )  # fmt: skip
    return findings


def _bundle(
    bundle: Bundle, key: PublicKey | None, machine: Machine, threads: int,
    interpreters: tuple[Interpreter, ...],
) -> tuple[BundleReport, list[Finding]]:  # fmt: skip
    manifest = bundle.manifest
    problems: dict[str, Exception] = {str(damage): damage for damage in bundle.damages()}
    damages = tuple(problems)
    found, signature = None, "does not fit"
    try:
        found = bundle.signature
        signature = state(bundle.manifest_bytes, found, key)
    except SignatureError as error:
        problems[str(error)] = error
        signature = signature if found is not None else "missing"
    except IntegrityError as error:  # a link out of the bundle
        problems[str(error)] = error
        signature = "not a file of the bundle"
    chosen, choice = None, None
    trials: list[Trial] = []
    try:
        Bundle.open(bundle.folder)
        chosen, kind = choose_variant(bundle, None, None)
        choice = f"{chosen.name} with {kind.name}: {explain_choice(bundle, chosen, kind)}"
    except (BundleError, BackendError) as error:
        problems[str(error)] = error
    else:
        working = {each.name for each in interpreters if each.works}
        for each in backends.BACKENDS:
            read = tuple(v.name for v in manifest.variants if v.format in each.formats)
            if each.name in working and read:
                trials += try_backend(each, threads, bundle.folder, read)
    findings = [_as_finding(problem) for problem in problems.values()]
    fastest = min((t.median_ms for t in trials if t.median_ms is not None), default=0.0)
    first: dict[str | None, str] = {}
    reports = []
    for trial in trials:
        first.setdefault(trial.variant, trial.backend)  # the one that would be used
        verdict = manifest.variant(trial.variant or "").verdict
        slow = trial.median_ms is not None and trial.median_ms > SLOW_FACTOR * fastest
        is_chosen = chosen is not None and trial.variant == chosen.name and trial.error is None
        reports.append(
            VariantReport(
                trial, verdict, is_chosen and first[trial.variant] == trial.backend,
                (slow_variant(machine, trial) or ("no reason is known",)) if slow else (),
            )
        )  # fmt: skip
        served = verdict == "pass" and first[trial.variant] == trial.backend
        if trial.error not in problems:
            findings += _about_trial(trial, machine, served)
    findings += _unread(manifest, trials) if chosen is not None else []
    if chosen is not None and not any(each.chosen for each in reports):
        choice = f"none: {chosen.name} would be, and cannot be used; name another with --variant"
    report = BundleReport(
        str(bundle.folder), manifest.name, manifest.version, len(manifest.files), damages,
        signature, choice, tuple(reports),
    )  # fmt: skip
    return report, findings


def _unread(manifest: Manifest, trials: Iterable[Trial]) -> list[Finding]:
    """The variants that no interpreter here has tried, and which one would."""
    tried = {trial.variant for trial in trials}
    findings = []
    for kind in backends.BACKENDS:
        names = [
            variant.name for variant in manifest.variants
            if variant.format in kind.formats and variant.name not in tried
        ]  # fmt: skip
        if names:
            tried.update(names)
            text = f"{', '.join(names)} could not be tried: no interpreter for it is installed."
            remedy = f'Run `pip install "{kind.install}"` if it is to be used.'
            findings.append(Finding("advice", text, remedy))
    return findings


def _about_trial(trial: Trial, machine: Machine, served: bool) -> list[Finding]:
    """What is to be done about one variant; it is wrong only where it would be served."""
    level: Literal["wrong", "advice"] = "wrong" if served else "advice"
    if trial.error is not None:
        text, remedy = split_sentence(trial.error)
        remedy = remedy or "Use another variant or interpreter."
        return [Finding(level, f"{trial.variant} with {trial.backend}: {text}", remedy)]
    available = machine.available_mb
    if available is not None and trial.memory_mb is not None and trial.memory_mb > available:
        text = f"{trial.variant} with {trial.backend} takes {trial.memory_mb} MB of memory, "
        return [Finding(level, f"{text}{available} MB are available.", "End other programs.")]
    return []


def _as_finding(error: Exception) -> Finding:
    text, remedy = split_sentence(str(error))
    return Finding("wrong", text, remedy or "Copy the bundle again.")


def split_sentence(sentence: str) -> tuple[str, str]:
    """What was found, and what to do: our sentences say that after their last semicolon."""
    text, separator, remedy = sentence.rpartition("; ")
    return (f"{text}.", remedy[:1].upper() + remedy[1:]) if separator else (sentence, "")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _littlecms() -> str | None:
    """The version of the library that converts colour profiles, if this Pillow has it."""
    from PIL import features

    version: str | None = features.version("littlecms2") if features.check("littlecms2") else None
    return version
