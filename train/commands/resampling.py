"""The arguments by which verbs are told how to draw intervals."""

from __future__ import annotations

import argparse

from train.config import FEWEST_RESAMPLES, HIGHEST_SEED, MOST_RESAMPLES

_USUAL = 1000


def add_resampling_arguments(parser: argparse.ArgumentParser, seeded: str) -> None:
    """``--bootstrap`` and ``--seed``, see `add_seed_argument`.

    Args:
        parser: of the verb.
        seeded: what the seed is for.
    """
    parser.add_argument(
        "--bootstrap", type=_resamples, default=_USUAL, metavar="N",
        help=f"resamples behind the 95%% intervals, 0 for none (default: {_USUAL})",
    )  # fmt: skip
    add_seed_argument(parser, seeded)


def add_seed_argument(parser: argparse.ArgumentParser, seeded: str) -> None:
    """``--seed``.

    Args:
        parser: of the verb.
        seeded: what the seed is for.
    """
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help=f"of {seeded} (default: 0)"
    )


def _resamples(text: str) -> int:
    number = whole(text)
    if number != 0 and not FEWEST_RESAMPLES <= number <= MOST_RESAMPLES:
        raise argparse.ArgumentTypeError(
            f"found {number}, expected {FEWEST_RESAMPLES} to {MOST_RESAMPLES}, or 0 for no "
            "intervals"
        )
    return number


def _seed(text: str) -> int:
    number = whole(text)
    if not 0 <= number <= HIGHEST_SEED:
        raise argparse.ArgumentTypeError(f"found {number}, expected 0 to {HIGHEST_SEED}")
    return number


def whole(text: str) -> int:
    """A whole number that was given as an argument; for argparse, which names it otherwise."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number") from None
