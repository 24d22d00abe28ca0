"""The commands of this project, called as their users call them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_runtime.errors import TrainingError
from train import progress

_COMMAND = Path(sys.executable).with_name("dermedge")


def dermedge(
    *words: str, keep: bool = False, accepted: Sequence[int] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Run `dermedge` with these words, saying so.

    Args:
        words: the verb and its arguments.
        keep: have what it prints in ``stdout`` of the answer, instead of showing it.
        accepted: statuses that it may end with.

    Raises:
        TrainingError: it ended with another.
    """
    progress.say("$ dermedge " + shlex.join(words))
    done = subprocess.run(
        [str(_COMMAND), *words], stdout=subprocess.PIPE if keep else None, text=True
    )
    if done.returncode not in accepted:
        raise TrainingError(
            f"`dermedge {words[0]}` ended with status {done.returncode}; see the sentence before."
        )
    return done
