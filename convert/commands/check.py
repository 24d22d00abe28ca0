"""`dermedge check`: run the gate again on a bundle, with any labelled images."""

from __future__ import annotations

import argparse
import json

from convert.commands.convert import add_margin_arguments
from train.commands.data import add_data_arguments, data_of

SUMMARY = "Judge a bundle's variants on labelled images; status 1 unless all of them pass."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("bundle", metavar="BUNDLE")
    add_data_arguments(parser)
    parser.add_argument("--split", default="test", choices=("train", "val", "test"),
                        help="which part of the data (default: test)")  # fmt: skip
    parser.add_argument("--reference", metavar="RUN",
                        help="compare with this run's Keras model instead of the bundle's float32 "
                        "TFLite file")  # fmt: skip
    parser.add_argument("--variant", action="append", metavar="NAME",
                        help="only this one; may be given again")  # fmt: skip
    add_margin_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the variants as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Judge and print; status 1 unless every variant passes."""
    from convert.checking import check
    from convert.gate.judge import Margins
    from convert.table import variant_json, variant_table
    from edge_runtime.bundle import Bundle
    from train.run import RunFolder

    bundle = Bundle.open(arguments.bundle)
    reference = RunFolder.open(arguments.reference) if arguments.reference else None
    entries = check(
        bundle,
        data_of(arguments),
        arguments.split,
        Margins(arguments.auc_margin, arguments.sensitivity_margin),
        reference=reference,
        variants=tuple(arguments.variant) if arguments.variant else None,
        bootstrap=arguments.bootstrap,
        seed=arguments.seed,
    )
    if arguments.json:
        report = {"variants": [variant_json(entry, arguments.split) for entry in entries]}
        print(json.dumps(report, ensure_ascii=False))
    else:
        print(variant_table(entries, arguments.split, bundle.manifest.targets[0]))
        for entry in entries:
            print(f"{entry.name}: {entry.verdict}; {entry.reason}")
    return 0 if all(entry.verdict == "pass" for entry in entries) else 1
