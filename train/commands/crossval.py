"""`dermedge crossval`: train on parts of the data, test on the rest, in turn."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from train.commands.configured import add_config_arguments, configured
from train.pieces.arguments import add_pool_arguments, pool_of

SUMMARY = "Cross-validate a configuration: mean, spread and interval of every figure."

FOLDS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("--folds", type=int, default=FOLDS, metavar="K",
                        help=f"how many (default: {FOLDS})")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER",
                        help="folder for the folds' runs and the result; the same call again goes "
                        "on with the folds that are missing")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one object")
    add_pool_arguments(parser, "fold")
    add_config_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Cross-validate and print."""
    from train.crossval.validation import cross_validate
    from train.crossval.writing import result_json, result_table, write_results

    pool = pool_of(arguments)
    found = configured(arguments)
    result = cross_validate(found.data, found.train, arguments.out, folds=arguments.folds,
                            pool=pool)  # fmt: skip
    write_results(result, arguments.out)
    print(json.dumps(result_json(result)) if arguments.json else result_table(result))
    if not arguments.json:
        print(f"\nfolds: {arguments.out}")
    return 0
