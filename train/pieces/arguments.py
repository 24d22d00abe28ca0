"""The flags that say where pieces run."""

from __future__ import annotations

import argparse

from train.pieces.cluster import THREADS
from train.pieces.pool import Pool


def add_pool_arguments(parser: argparse.ArgumentParser, piece: str) -> None:
    """``--workers``, ``--threads`` and ``--ray``.

    Args:
        parser: of the verb.
        piece: what the verb calls a piece, for the help.
    """
    group = parser.add_argument_group("where it runs")
    group.add_argument(
        "--workers", type=int, metavar="N",
        help=f"{piece}s at once (default: 1; with --ray, as many as the cluster has cores for)",
    )  # fmt: skip
    group.add_argument(
        "--threads", type=int, metavar="N",
        help=f"cores of a {piece} (default: those of this machine, divided by the workers; with "
        f"--ray {THREADS})",
    )  # fmt: skip
    group.add_argument(
        "--ray", metavar="ADDRESS",
        help="run on the Ray cluster whose head is there, from one of its nodes (needs the extra "
        "`scale`; see docs/scale.md)",
    )  # fmt: skip


def pool_of(arguments: argparse.Namespace) -> Pool:
    """What the flags say.

    Raises:
        UsageError: a number below 1.
    """
    return Pool(arguments.workers, arguments.threads, arguments.ray)
