"""Try recipes one after another: `python -m train.reference.search`, and write what came of them.

Each try is one `dermedge train`, then `dermedge evaluate` on validation and, where ISIC 2017 was
not trained on, on its training images: a source that the model has never seen. No test figure is
looked at. A second call goes on where the first was interrupted; what earlier calls found stays on
the page although their runs are gone.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_runtime._files import sha256, write_text
from edge_runtime.errors import DermedgeError, TrainingError
from train.configuration import partial_folder
from train.reference.commands import dermedge
from train.reference.data import ISIC_2017, TABLES, table
from train.reference.page import page
from train.reference.recipes import FIGURES, Found, Try, chosen, tries, with_needed
from train.reference.record import record, recorded
from train.report.evidence import read_history
from train.run import MODEL_FILE, RunFolder

PAGE = Path("docs/model-search.md")
WORK = Path("out/reference")
_BOOTSTRAP = ("--bootstrap", "500")
_NO_REPORT = "--no-report"


def run(one: Try, work: Path) -> Found:
    """Train and evaluate a recipe, as far as it has not been done.

    Raises:
        TrainingError: a command ended in another way than expected, or the run that is there was
            trained by another recipe, or begun from another run.
        DataError: the table cannot be made.
    """
    out = work / "search" / one.name
    told, words = out.with_suffix(".recipe"), _recipe(one, out)
    if out.exists() or partial_folder(out).exists():
        if not told.is_file() or told.read_text("utf-8") != words:
            raise TrainingError(
                f"{out} was trained by another recipe than the one of that name now; remove it, or "
                "give the new recipe another name."
            )
    else:
        for old in (_own(out), _foreign(out)):
            old.unlink(missing_ok=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(told, words)
    if not out.exists():
        if partial_folder(out).exists():
            quiet = [flag for flag in one.flags if flag == _NO_REPORT]  # no part of what is kept
            dermedge("train", "--resume", str(out), *quiet)
        else:
            dermedge(*one.command(table(one.data, work), out))
    folder = RunFolder.open(out)
    history = read_history(folder)
    foreign = None
    if ISIC_2017 not in TABLES[one.data]:
        foreign = _figures(
            _foreign(out), str(out), "--data", ISIC_2017, "--map", "sk=bkl", "--split", "train"
        )
    return Found(
        minutes=sum(row["seconds"] for row in history) / 60,
        epochs=len(history),
        best_epoch=folder.run.best_epoch,
        own=_figures(_own(out), str(out), "--split", "val"),
        foreign=foreign,
    )


def search(names: Sequence[str] | None, work: Path, out: Path) -> None:
    """Try the recipes of these names, or all, and write the page of those that have been tried.

    Raises:
        UsageError: there is no recipe of a name.
        TrainingError, DataError: as `run`.
    """
    listed = {one.name: one for one in tries()}
    wanted = [
        needed
        for one in chosen(names, listed, "tries.toml")
        for needed in with_needed(one.name, listed)
    ]
    kept = out.with_suffix(".json")
    found = recorded(kept, listed)
    for one in listed.values():
        if one in wanted or (work / "search" / one.name).exists():
            found[one.name] = run(one, work)
            record(kept, listed, found)
            write_text(out, page(listed.values(), found))


def _recipe(one: Try, out: Path) -> str:
    """What a run came of: data, flags, and the models that it began with or learnt from."""
    lines = [one.data, shlex.join(one.flags)]
    lines += [sha256((out.with_name(name) / MODEL_FILE).read_bytes()) for name in one.needs]
    return "\n".join(lines) + "\n"


def _own(out: Path) -> Path:
    return out.with_suffix(".val.json")


def _foreign(out: Path) -> Path:
    return out.with_suffix(".isic2017.json")


def _figures(kept: Path, *words: str) -> dict[str, Any]:
    if not kept.is_file():
        printed = dermedge("evaluate", *words, "--json", *_BOOTSTRAP, keep=True).stdout
        write_text(kept, printed)
    metrics: dict[str, Any] = json.loads(kept.read_text("utf-8"))["metrics"]
    return {name: metrics[name] for name in FIGURES if name in metrics}


def main(words: Sequence[str] | None = None) -> int:
    """Try everything that has not been tried, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--work", type=Path, default=WORK, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=PAGE, metavar="FILE")
    parser.add_argument("--only", action="append", metavar="NAME", help="no other tries")
    given = parser.parse_args(words)
    try:
        search(given.only, given.work, given.out)
    except DermedgeError as error:
        print(f"search: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
