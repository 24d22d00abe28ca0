"""`dermedge audit`: what is wrong with labelled images, before anyone trains on them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime._terminal import visible_lines
from edge_runtime.errors import UsageError
from train.data.shelf import DATA_VARIABLE, find, looked_for
from train.data.table import METADATA_FILE

if TYPE_CHECKING:
    from train.audit.sources import Use
from train.commands.resampling import add_seed_argument

SUMMARY = "Find copies, leaks, conflicting labels and shortcuts in labelled images."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument(
        "data", nargs="+", metavar="DATA",
        help="folder of class folders, folder with images/ and metadata.csv, or such a CSV; "
        "several are compared with each other; a name alone is also looked for in "
        f"${DATA_VARIABLE}",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument("--html", type=Path, metavar="FILE",
                        help="write a sheet that shows the pictures side by side")  # fmt: skip
    parser.add_argument("--no-pictures", action="store_true",
                        help="leave pictures out of the sheet")  # fmt: skip
    parser.add_argument("--fix", type=Path, metavar="FILE.csv",
                        help="write a table without conflicts and copies, with a split that does "
                        "not leak; what was left out goes to FILE.set-aside.csv")  # fmt: skip
    parser.add_argument("--keep-split", action="store_true",
                        help="with --fix: keep the split that the data brings; of what stands on "
                        "several sides, set aside what is nearer to training")  # fmt: skip
    parser.add_argument("--train-only", action="append", default=[], metavar="NAME",
                        help="with --keep-split: this data set is for training only, whatever "
                        "split it brings, as far as no data set named before shows its pictures; "
                        "may be given again")  # fmt: skip
    parser.add_argument("--held-out", action="append", default=[], metavar="NAME",
                        help="with --keep-split: this data set is for testing only; it is not "
                        "written, and what others share with it is set aside; may be given again",
                        )  # fmt: skip
    parser.add_argument("--map", action="append", default=[], metavar="OLD=NEW",
                        help="rename a class, where data sets call one thing by two names; may be "
                        "given again")  # fmt: skip
    add_seed_argument(parser, "the split")


def run(arguments: argparse.Namespace) -> int:
    """Audit and print; status 1 where labels conflict or a split leaks."""
    from train.audit.auditing import audit_sources, to_json
    from train.audit.sources import read_sources
    from train.audit.text import text

    mapping = dict(_pair(word) for word in arguments.map)
    _check_outputs(arguments)
    uses: dict[str, Use] = dict.fromkeys(arguments.train_only, "train only")
    uses |= dict.fromkeys(arguments.held_out, "held out")
    with looked_for(*arguments.data):
        sources = read_sources([find(word) for word in arguments.data], mapping, uses)
    if arguments.fix:
        from train.audit.fixing import check_classes_meet, fix

        check_classes_meet(sources, set(mapping.values()))
    with _progress() as progress:
        found = audit_sources(sources, progress)
    if arguments.json:
        print(json.dumps(to_json(found)))
    else:
        print(visible_lines(text(found)))
    if arguments.fix:
        with _progress() as progress:
            done = fix(
                found, arguments.fix, arguments.seed, set(mapping.values()), progress,
                keep_split=arguments.keep_split,
            )  # fmt: skip
        print(visible_lines(done), file=sys.stderr)
    if arguments.html:
        from train.audit.sheet import write_sheet

        write_sheet(found, arguments.html, pictures=not arguments.no_pictures)
        print(f"sheet: {arguments.html}", file=sys.stderr)
    return 0 if found.clean else 1


def _pair(word: str) -> tuple[str, str]:
    old, equals, new = word.partition("=")
    if not (old.strip() and equals and new.strip()):
        raise UsageError(f'--map is {word!r}, expected OLD=NEW, as in --map "melanoma=mel".')
    return old.strip(), new.strip()


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse before minutes of work what could not be written after it."""
    if arguments.no_pictures and not arguments.html:
        raise UsageError("--no-pictures is about the sheet; add --html FILE.")
    if (arguments.train_only or arguments.held_out) and not arguments.keep_split:
        raise UsageError("--train-only and --held-out are about a kept split; add --keep-split.")
    if arguments.keep_split and not arguments.fix:
        raise UsageError("--keep-split is about the table; add --fix FILE.csv.")
    if arguments.fix and arguments.fix.suffix.lower() != ".csv":
        raise UsageError(f"--fix is {arguments.fix}, expected a name that ends in .csv.")
    tables = {file.resolve() for place in arguments.data for file in _tables(find(place))}
    for flag, path in (("--html", arguments.html), ("--fix", arguments.fix)):
        if path and path.resolve() in tables:
            raise UsageError(
                f"{flag} is {path}, which is the table to be audited; name another file."
            )
        if path and (path.is_dir() or not path.resolve().parent.is_dir()):
            raise UsageError(
                f"{flag} is {path}, which is a folder or lies in none; name a file in a folder "
                "that exists."
            )


def _tables(place: Path) -> tuple[Path, Path]:
    return place, place / METADATA_FILE


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """One bar after another on standard error."""
    from train.progress import bar

    with bar("audit") as update:

        def report(what: str, done: int, total: int) -> None:
            update(done, total, what)

        yield report
