"""`dermedge runs`: the table of all runs; two of them side by side; learning curves."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime._terminal import visible_lines
from edge_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    from train.log import Entry
    from train.log.curves import Curves

SUMMARY = "List the runs there have been, compare two, or plot their learning curves."
_TEST_HELP = (
    "also figures on test. They are left out otherwise, since the best of many runs by its test "
    "figure is partly the luckiest: choose on validation, and report the one that was chosen"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The table's own arguments, and the verbs beneath it."""
    from train.log import SORTS

    _add_folder(parser, default=None)
    parser.add_argument("--sort", choices=SORTS, default="when",
                        help="order of the table; newest and best come first "
                        "(default: when)")  # fmt: skip
    parser.add_argument("--test", action="store_true", help=_TEST_HELP)
    parser.add_argument("--json", action="store_true", help="print one array")
    actions = parser.add_subparsers(dest="action", metavar="compare | plot")

    compare = actions.add_parser("compare", help="two runs: settings, data, and figures on the "
                                 "validation images, paired where they are the same")  # fmt: skip
    compare.add_argument("a", metavar="RUN", help="name or folder of a run")
    compare.add_argument("b", metavar="OTHER_RUN")
    compare.add_argument("--test", action="store_true", default=argparse.SUPPRESS,
                         help="compare on test instead. " + _TEST_HELP.partition(". ")[2]
                         )  # fmt: skip
    compare.add_argument("--json", action="store_true", default=argparse.SUPPRESS,
                         help="print one object")  # fmt: skip
    _add_folder(compare, default=argparse.SUPPRESS)

    plot = actions.add_parser("plot", help="learning curves of one run or several, also of those "
                              "that are still running or failed")  # fmt: skip
    plot.add_argument("runs", nargs="+", metavar="RUN", help="name or folder of a run")
    plot.add_argument("--out", type=Path, required=True, metavar="FILE",
                      help="picture to write, .png, .svg or .pdf")  # fmt: skip
    _add_folder(plot, default=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Print the table, print a comparison, or draw."""
    from train.log import entries, runs_folder

    folder = arguments.runs_folder or runs_folder()
    if arguments.runs_folder and not folder.is_dir():
        raise UsageError(f"There is no folder {folder}; name the one that holds the runs.")
    found = entries(folder)
    if arguments.action == "compare":
        return _compare(found, arguments)
    if arguments.action == "plot":
        return _plot(found, arguments)
    return _list(found, folder, arguments)


def _add_folder(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument("--runs", dest="runs_folder", type=Path, metavar="FOLDER", default=default,
                        help="folder with the experiment log (default: $DERMEDGE_RUNS, or "
                        "runs)")  # fmt: skip


def _list(found: tuple[Entry, ...], folder: Path, arguments: argparse.Namespace) -> int:
    from train.log import in_order, text

    rows = in_order(found, arguments.sort)
    if arguments.json:
        print(json.dumps(text.listing_json(rows, test=arguments.test)))
    elif rows:
        print(visible_lines(text.listing(rows, test=arguments.test)))
    else:
        print(visible_lines(f"There are no runs in {folder} yet; `dermedge train` adds one."))
    return 0


def _compare(found: tuple[Entry, ...], arguments: argparse.Namespace) -> int:
    from train.log import find, text
    from train.log.comparing import compare_runs
    from train.run import RunFolder

    a, b = (find(word, found) for word in (arguments.a, arguments.b))
    for entry in (a, b):
        if entry.status != "finished":
            raise RunError(f"{entry.name} cannot be compared: {_state(entry)}.")
    compared = compare_runs(RunFolder.open(a.folder), RunFolder.open(b.folder), test=arguments.test)
    if arguments.json:
        print(json.dumps(text.comparison_json(compared)))
    else:
        print(visible_lines(text.comparison(compared)))
    return 0


def _plot(found: tuple[Entry, ...], arguments: argparse.Namespace) -> int:
    from train.log import find
    from train.log.curves import draw
    from train.output import writing

    if arguments.out.is_dir() or not arguments.out.parent.is_dir():
        raise UsageError(f"{arguments.out} cannot be written; name a file in a folder that exists.")
    entries = {word: find(word, found) for word in arguments.runs}
    alike = len({entry.name for entry in entries.values()}) < len(entries)
    curves = [_curves(e, word if alike else e.name) for word, e in entries.items()]
    with writing(arguments.out):
        draw(curves, arguments.out)
    print(arguments.out)
    return 0


def _curves(entry: Entry, name: str) -> Curves:
    """Of the run folder where there is one, and otherwise as far as the log tells."""
    from train.log.curves import Curves
    from train.report.evidence import read_history
    from train.run import RunFolder

    if entry.status == "finished":
        folder = RunFolder.open(entry.folder)
        return Curves(name, read_history(folder), folder.run.best_epoch)
    if not entry.history:
        raise RunError(f"{entry.name} has no epoch to draw: {_state(entry)}.")
    return Curves(f"{name} ({entry.status})", entry.history, entry.best_epoch)


def _state(entry: Entry) -> str:
    return f"its status is {entry.status}" + (f" ({entry.reason})" if entry.reason else "")
