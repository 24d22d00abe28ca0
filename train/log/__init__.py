"""The experiment log: every run that was begun, however it ended, in one table.

Run folders are the truth. Beside them lies an index, `runs.jsonl` (`train.log.journal`), to which
`train.training` adds a line when a run begins, after every epoch, and when it ends, so that runs
that failed or were killed stay in the table as well.

>>> from train.log import entries, runs_folder
>>> [entry.name for entry in entries(runs_folder()) if entry.status == "finished"]
['ham10000-plain_cnn-20260114-201500']
"""

from __future__ import annotations

from train.log.entries import SORTS, Entry, entries, find, in_order
from train.log.journal import RUNS_VARIABLE, runs_folder
from train.log.recording import Recorder, recorded

__all__ = [
    "RUNS_VARIABLE",
    "SORTS",
    "Entry",
    "Recorder",
    "entries",
    "find",
    "in_order",
    "recorded",
    "runs_folder",
]
