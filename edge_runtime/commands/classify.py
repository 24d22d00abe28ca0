"""`dermedge classify`: images in, one answer each, in input order."""

from __future__ import annotations

import argparse
import collections
import csv
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime._terminal import quiet_stderr, visible
from edge_runtime.errors import ImageError, UsageError

if TYPE_CHECKING:
    from edge_runtime.classifier import Classifier
    from edge_runtime.manifest import Manifest
    from edge_runtime.result import Failure, Result

SUMMARY = "Classify image files, or all images in a folder, with a bundle."
MODEL_VARIABLE = "DERMEDGE_MODEL"
REFERENCE_MODEL = Path(__file__).resolve().parents[2] / "models" / "reference"
"""The bundle that comes with a checkout; no package holds it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("images", nargs="+", metavar="IMAGE_OR_FOLDER")
    add_model_arguments(parser)
    parser.add_argument("--max-megapixels", type=float, default=50, metavar="N",
                        help="refuse larger images, from their header (default: 50)")  # fmt: skip
    parser.add_argument("--no-checks", action="store_true",
                        help="do not look at the quality of the photographs, nor whether the "
                        "model knows their like")  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="a table with one row an image")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose a model and how it runs."""
    parser.add_argument("--model", metavar="BUNDLE", default=os.environ.get(MODEL_VARIABLE),
                        help=f"folder of the bundle (default: ${MODEL_VARIABLE}, or else the "
                        "reference model of the checkout)")  # fmt: skip
    parser.add_argument("--variant", help="variant of the bundle (default: its preferred one)")
    parser.add_argument("--backend", help="interpreter (default: the first installed one)")
    parser.add_argument("--threads", type=int, metavar="N",
                        help="threads to use (default: the usable cores)")  # fmt: skip
    parser.add_argument("--require-signature", metavar="KEY.pub",
                        help="refuse a bundle that this key has not signed")  # fmt: skip


def open_classifier(arguments: argparse.Namespace, **options: Any) -> Classifier:
    """The classifier that `add_model_arguments` describes."""
    from edge_runtime.classifier import Classifier

    model = arguments.model
    if model is None and REFERENCE_MODEL.is_dir():
        model = REFERENCE_MODEL
        print(f"No bundle was named: {REFERENCE_MODEL} answers.", file=sys.stderr)
    if not model:
        raise UsageError(
            f"No bundle was named; add `--model BUNDLE`, or set {MODEL_VARIABLE} to one."
        )
    with quiet_stderr():
        return Classifier.open(
            model, arguments.variant, arguments.threads, arguments.backend,
            require_signature=arguments.require_signature, **options,
        )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Classify and print; status 1 when an image failed."""
    from edge_runtime.result import Failure

    max_pixels = arguments.max_megapixels * 1e6
    if not 0 < max_pixels < math.inf:
        raise UsageError(f"--max-megapixels is {arguments.max_megapixels:g}, expected more than 0.")
    files = list(find_images(arguments.images))
    classifier = open_classifier(
        arguments, max_pixels=max(1, int(max_pixels)), checks=not arguments.no_checks
    )
    writer = (_Json if arguments.json else _Csv if arguments.csv else _Text)(
        classifier.bundle.manifest
    )
    counts: collections.Counter[str] = collections.Counter()
    for answer in _answers(classifier, files):
        writer.write(answer)
        counts["failed" if isinstance(answer, Failure) else answer.decision] += 1
    if len(files) > 1 or counts["failed"]:
        told = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        images = "1 image" if len(files) == 1 else f"{len(files)} images"
        print(f"{images}: {told}. {DISCLAIMER}", file=sys.stderr)
    return 1 if counts["failed"] else 0


def _answers(classifier: Classifier, files: list[str]) -> Iterator[Result | Failure]:
    """One image is answered by the interpreter that was tested; several get one for each core."""
    from edge_runtime.result import Failure

    if len(files) != 1:
        yield from classifier.classify_many(files)
        return
    try:
        yield classifier.classify(files[0])
    except ImageError as error:
        yield Failure(files[0], error)


DISCLAIMER = "Research software, not a medical device."


def find_images(paths: list[str]) -> Iterator[str]:
    """The named files as they are, and the images below the named folders, sorted by path.

    Raises:
        UsageError: a folder holds no image, or cannot be read.
    """
    from edge_runtime.formats import SUFFIXES

    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        found = sorted(
            file
            for file in _files_below(path)
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        )
        if not found:
            raise UsageError(
                f"The folder {path} holds no image ({' '.join(sorted(SUFFIXES))}); name another."
            )
        yield from map(str, found)


def _files_below(folder: str) -> Iterator[Path]:
    """All files below a folder, through links to folders as well; none is passed over in silence.

    Raises:
        UsageError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UsageError(
            f"The folder {error.filename} cannot be read ({error.strerror}); make it readable, or "
            "name the images."
        )

    seen = set()
    for path, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()  # so that a folder with two names is always called by the same one
        yield from (Path(path, file) for file in files)


class _Json:
    def __init__(self, manifest: Manifest) -> None:
        pass

    def write(self, answer: Result | Failure) -> None:
        print(json.dumps(answer.to_dict()), flush=True)


class _Csv:
    def __init__(self, manifest: Manifest) -> None:
        self._codes = manifest.codes
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._writer.writerow(
            ["file", "label", "decision", "melanoma_probability", "malignant_probability",
             *(f"p_{code}" for code in self._codes), "variant", "sha256", "reasons", "error"]
        )  # fmt: skip

    def write(self, answer: Result | Failure) -> None:
        from edge_runtime.result import Failure

        if isinstance(answer, Failure):
            blank = [""] * (len(self._codes) + 7)
            self._writer.writerow([answer.file, *blank, str(answer.error)])
            return
        melanoma = answer.melanoma_probability
        self._writer.writerow(
            [answer.file, answer.label, answer.decision, "" if melanoma is None else melanoma,
             answer.malignant_probability, *(answer.probabilities[code] for code in self._codes),
             answer.model.variant, answer.model.sha256, "; ".join(answer.reasons), ""]
        )  # fmt: skip


class _Text:
    def __init__(self, manifest: Manifest) -> None:
        self._names = {label.code: label.name for label in manifest.labels}

    def write(self, answer: Result | Failure) -> None:
        from edge_runtime.result import Failure

        if isinstance(answer, Failure):
            print(visible(f"{answer.file}: {answer.error}"), file=sys.stderr)
            return
        melanoma = answer.melanoma_probability
        figures = [f"malignant {answer.malignant_probability:.3f}"]
        if melanoma is not None:
            figures.insert(0, f"melanoma {melanoma:.3f}")
        top = f"most probable: {self._names[answer.label]} {answer.probabilities[answer.label]:.3f}"
        told = f"{answer.file}: {answer.decision.upper()}  {', '.join(figures)}; {top}"
        print(visible(told))
        for reason in (*answer.reasons, *answer.notes):
            print(visible(f"    {reason}"))
