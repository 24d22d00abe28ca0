"""Progress for people, on standard error: bars where there is a terminal, lines everywhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from edge_runtime._terminal import visible_lines


def say(line: str) -> None:
    """Print one line without breaking a bar that is being drawn."""
    from tqdm import tqdm

    tqdm.write(visible_lines(line), file=sys.stderr)


@contextlib.contextmanager
def bar(label: str, total: int | None = None, unit: str = "image") -> Iterator[Callable[..., None]]:
    """A bar with time left; nothing is drawn where standard error is not a terminal.

    Yields:
        function of (done, total=None, note=""): how much is done so far, and a few words beside it.
    """
    from tqdm import tqdm

    with tqdm(
        total=total, desc=label, unit=f" {unit}", leave=False, disable=None, file=sys.stderr,
        dynamic_ncols=True,
    ) as drawn:  # fmt: skip

        def update(done: int, of: int | None = None, note: str = "") -> None:
            if of is not None and drawn.total != of:
                drawn.reset(of)
            if note:
                drawn.set_postfix_str(note, refresh=False)
            drawn.update(done - drawn.n)

        yield update
