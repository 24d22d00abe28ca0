"""The command `dermedge`: finds the verb, runs it, turns errors into one sentence and a status.

A verb is a module with ``SUMMARY``, ``add_arguments(parser)`` and ``run(arguments) -> int``. This
package brings the verbs of `VERBS`; other installed packages add theirs through the entry-point
group ``dermedge.verbs``. A verb's module is imported only when it is called, or listed in the help.

Exit status: 0 done; 1 done, and a check or an image failed; 2 not done, because the call or what it
named was wrong; 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.util
import io
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn, Protocol

from edge_runtime import __version__
from edge_runtime._terminal import discard_output, open_streams, visible
from edge_runtime.errors import DermedgeError

VERBS = ("classify", "doctor", "info")
VERB_GROUP = "dermedge.verbs"
EXTRAS = {"train": "train", "convert": "convert", "benchmarks": "bench"}
"""The toolkit's extra that a verb needs, by the package that the verb's module is in."""

DONE, CHECK_FAILED, NOT_DONE, INTERRUPTED = 0, 1, 2, 130
_SHOWN_OF_A_NAME = 60


class Verb(Protocol):
    """What a verb's module offers."""

    SUMMARY: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence on standard error and status 2.

    Flags are written out: a part of one would mean another flag, or none, as soon as a release
    brings a flag that begins alike.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(allow_abbrev=False, **given)

    def error(self, message: str) -> NoReturn:
        """Print ``message`` and where to find help, then exit."""
        self.exit(NOT_DONE, f"{self.prog}: {visible(message)}. See `{self.prog} --help`.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (default: those of the process); the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be valid text
    warnings.filterwarnings("ignore", module="PIL")  # what matters of damage comes as an ImageError
    try:
        try:
            return _dispatch(words)
        finally:
            sys.stdout.flush()  # here, where a broken pipe is caught, and not at exit
    except DermedgeError as error:
        print(f"dermedge: {visible(str(error))}", file=sys.stderr)
        return NOT_DONE
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if importlib.util.find_spec(package) is not None:
            raise  # not a missing package but a mistake in one
        called = " ".join(["dermedge", *words[:1]])
        print(
            f"dermedge: `{called}` needs the package {package}, which is not installed; "
            f"{_installation(words)}.",
            file=sys.stderr,
        )
        return NOT_DONE
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        discard_output()
        return DONE
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            shown = str(error.filename)[:_SHOWN_OF_A_NAME]
            print(f"dermedge: no file can have a name as long as {visible(shown)}...; give a "
                  "shorter one.", file=sys.stderr)  # fmt: skip
            return NOT_DONE
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        discard_output()
        print("dermedge: the disk is full; make room and call again.", file=sys.stderr)
        return NOT_DONE
    except KeyboardInterrupt:
        print("dermedge: interrupted.", file=sys.stderr)
        return INTERRUPTED


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return DONE if words else NOT_DONE
    if words[0] in ("-V", "--version"):
        print(f"dermedge {__version__}")
        return DONE
    name = words[0]
    verb = _find(name)
    if verb is None:
        print(f"dermedge: there is no verb {name!r}; {_hint(name)}", file=sys.stderr)
        return NOT_DONE
    parser = Parser(prog=f"dermedge {name}", description=verb.SUMMARY)
    verb.add_arguments(parser)
    return verb.run(parser.parse_args(words[1:]))


def _hint(name: str) -> str:
    """What to do where there is no verb of this name."""
    import difflib

    if near := difflib.get_close_matches(name, _all_verbs(), n=1):
        return f"did you mean `dermedge {near[0]}`?"
    if not _toolkit_verbs():
        return (
            f"the runtime alone is installed here ({', '.join(VERBS)}); other verbs come with the "
            "toolkit, from a checkout."
        )
    return "see `dermedge --help`."


def _find(name: str) -> Verb | None:
    module: Any = None
    if name in VERBS:
        module = importlib.import_module(f"edge_runtime.commands.{name}")
    elif name in (entries := _toolkit_verbs()):
        module = entries[name].load()
    verb: Verb | None = module
    return verb


def _toolkit_verbs() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=VERB_GROUP)}


def _installation(words: list[str]) -> str:
    """What to do where a package is missing that these words need."""
    entry = _toolkit_verbs().get(words[0]) if words else None
    if entry is None:
        return "install dermedge-runtime's wheel again, without --no-deps"
    extra = EXTRAS.get(entry.module.partition(".")[0])
    if extra is None:
        return "install what the package that brings this verb needs"
    return f"run `pip install -c constraints.txt ./edge_runtime '.[{extra}]'` in the checkout"


def _all_verbs() -> list[str]:
    return [*VERBS, *sorted(_toolkit_verbs())]


def _overview() -> str:
    lines = [
        "usage: dermedge VERB ...",
        "",
        "Skin-lesion classifiers on small devices. Research software, not a medical device.",
        "",
    ]
    names = _all_verbs()
    width = max(map(len, names))
    for name in names:
        verb = _find(name)
        assert verb is not None
        lines.append(f"  {name:<{width}}  {verb.SUMMARY}")
    lines += [
        "",
        "`dermedge VERB --help` tells more.",
        "Exit status: 0 done; 1 done, and a check or an image failed; 2 not done;",
        "130 interrupted (Ctrl-C).",
    ]
    return "\n".join(lines)
