"""`dermedge tune`: look for better settings, judged on the validation part."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edge_runtime.errors import UsageError
from train.commands.configured import add_config_arguments, configured
from train.pieces.arguments import add_pool_arguments, pool_of
from train.tuning.objective import OBJECTIVES
from train.tuning.space import SPACE, make_space, read_space, words

SUMMARY = "Tune learning rate, batch size, epochs and more; resumable, on one machine or many."

TRIALS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("--trials", type=int, default=TRIALS, metavar="N",
                        help=f"how many in all; the same call with more goes on (default: "
                        f"{TRIALS})")  # fmt: skip
    parser.add_argument("--minutes", type=float, metavar="M",
                        help="begin no trial after so many")  # fmt: skip
    parser.add_argument("--objective", default="val_auc", choices=tuple(OBJECTIVES),
                        help="what a trial is judged by, in its best epoch (default: val_auc, of "
                        "melanoma where there is such a class)")  # fmt: skip
    usual = ", ".join(f"{name}={text}" for name, text in words(SPACE).items())
    parser.add_argument("--range", action="append", default=[], metavar="KEY=LOW:HIGH",
                        help="values to try, or KEY=A,B,C, or KEY=A to leave a key out; may be "
                        f"given again (default: {usual})")  # fmt: skip
    parser.add_argument("--space", type=Path, metavar="FILE",
                        help="a TOML file with such ranges in a table [tune]")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER",
                        help="folder for the study and the best configuration; the same call "
                        "again goes on with what is there")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one object")
    add_pool_arguments(parser, "trial")
    add_config_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Tune and print."""
    from train.tuning.search import Wish, tune
    from train.tuning.writing import result_json, result_text, write_results

    pool = pool_of(arguments)
    found = configured(arguments)
    file = read_space(arguments.space) if arguments.space else {}
    space = make_space(found.train, file.items(), map(_pair, arguments.range))
    wish = Wish(space, arguments.objective, arguments.trials, arguments.minutes)
    tuned = tune(found.data, found.train, arguments.out, wish, pool)
    write_results(tuned, found.configuration.data, arguments.out)
    print(json.dumps(result_json(tuned)) if arguments.json
          else result_text(tuned, arguments.out))  # fmt: skip
    return 0


def _pair(word: str) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    if not equals:
        raise UsageError(
            f"--range {word} cannot be read, expected for example --range dropout=0:0.4."
        )
    return name.replace("-", "_"), text
