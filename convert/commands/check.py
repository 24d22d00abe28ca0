"""`dermedge check`: run the gate again on a bundle, with any labelled images."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.commands.convert import add_margin_arguments
from edge_runtime._terminal import visible_lines
from edge_runtime.errors import UsageError
from train.commands.data import add_data_arguments, add_mapping_argument, data_of

if TYPE_CHECKING:
    from edge_runtime.bundle import Bundle
    from edge_runtime.manifest import Variant

SUMMARY = "Judge a bundle on labelled images: here, on a device, or against an earlier bundle."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("bundle", metavar="BUNDLE")
    add_data_arguments(parser)
    parser.add_argument("--split", default="test", choices=("train", "val", "test"),
                        help="which part of the data (default: test)")  # fmt: skip
    add_mapping_argument(parser)
    parser.add_argument("--reference", metavar="RUN",
                        help="compare with this run's Keras model instead of the bundle's float32 "
                        "TFLite file")  # fmt: skip
    parser.add_argument("--predictions", type=Path, metavar="FILE.jsonl",
                        help="judge what a device answered: the lines that `dermedge classify "
                        "--json` wrote there")  # fmt: skip
    parser.add_argument("--allow-missing", action="store_true",
                        help="with --predictions: pass on the images that were answered, though "
                        "others were not")  # fmt: skip
    parser.add_argument("--against", metavar="OLD",
                        help="compare with this earlier bundle, variant by variant")  # fmt: skip
    parser.add_argument("--variant", action="append", metavar="NAME",
                        help="only this one; may be given again")  # fmt: skip
    add_margin_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one object")


def run(arguments: argparse.Namespace) -> int:
    """Judge and print; status 1 unless every variant passes."""
    from edge_runtime.bundle import Bundle

    if arguments.against and (arguments.predictions or arguments.reference):
        raise UsageError(
            "--against compares two bundles as they run here, the old one being the reference; "
            "leave --predictions and --reference out."
        )
    if arguments.allow_missing and not arguments.predictions:
        raise UsageError("--allow-missing says how to judge --predictions; name these as well.")
    bundle = Bundle.open(arguments.bundle)
    if arguments.against:
        return _release(arguments, bundle)
    return _device(arguments, bundle) if arguments.predictions else _again(arguments, bundle)


def _again(arguments: argparse.Namespace, bundle: Bundle) -> int:
    from convert.checking.again import check
    from convert.checking.printing import check_json, check_text

    entries = check(bundle, reference=_reference(arguments), **_options(arguments, bundle))
    _print(arguments, check_json(entries, arguments.split),
           check_text(entries, arguments.split, bundle.manifest.targets[0]))  # fmt: skip
    return _status(entries, arguments.variant)


def _device(arguments: argparse.Namespace, bundle: Bundle) -> int:
    from convert.checking.device import check_predictions
    from convert.checking.printing import predictions_json, predictions_text

    found = check_predictions(
        bundle, file=arguments.predictions, reference=_reference(arguments),
        allow_missing=arguments.allow_missing, **_options(arguments, bundle),
    )  # fmt: skip
    _print(arguments, predictions_json(found, arguments.split),
           predictions_text(found, arguments.split, bundle.manifest.targets[0]))  # fmt: skip
    return 0 if all(one.entry.verdict == "pass" for one in found) else 1


def _release(arguments: argparse.Namespace, new: Bundle) -> int:
    from convert.checking.printing import release_json, release_text
    from convert.checking.release import check_against
    from edge_runtime.bundle import Bundle

    old = Bundle.open(arguments.against)
    release = check_against(new, old, **_options(arguments, new))
    _print(arguments, release_json(release, new, old, arguments.split),
           release_text(release, new, old, arguments.split))  # fmt: skip
    return _status([one.entry for one in release.compared], arguments.variant)


def _options(arguments: argparse.Namespace, bundle: Bundle) -> dict[str, Any]:
    """What all three have in common."""
    from convert.gate.judge import Margins
    from train.evaluation.classes import parse_mapping, renamed

    mapping = parse_mapping(arguments.map)
    return {
        "data": renamed(data_of(arguments), mapping, bundle.manifest.labels),
        "split": arguments.split,
        "margins": Margins(arguments.auc_margin, arguments.sensitivity_margin),
        "variants": arguments.variant,
        "bootstrap": arguments.bootstrap,
        "seed": arguments.seed,
    }


def _reference(arguments: argparse.Namespace) -> Any:
    from train.run import RunFolder

    return RunFolder.open(arguments.reference) if arguments.reference else None


def _print(arguments: argparse.Namespace, report: dict[str, Any], text: str) -> None:
    print(json.dumps(report) if arguments.json else visible_lines(text))


def _status(entries: Sequence[Variant], named: Sequence[str] | None) -> int:
    """0 if everything passed that was executed here, and everything that was named."""
    from convert.checking.execution import executable

    judged = [entry for entry in entries if named or executable(entry)]
    return 0 if judged and all(entry.verdict == "pass" for entry in judged) else 1
