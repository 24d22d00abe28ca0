"""What must hold for every input is noticed where it does not hold."""

from __future__ import annotations

import gc
import os
import resource
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import ImageDamagedError
from tests.fuzz import decoding, watching
from tests.fuzz.watching import Violation, one_sentence, watched


def test_quiet_block_passes():
    with watched():
        pass


def test_warning_is_a_violation():
    with pytest.raises(Violation, match="a warning: odd"), watched():
        warnings.warn("odd", stacklevel=1)


@pytest.mark.parametrize("number", [1, 2])
def test_output_of_native_code_is_a_violation_once(number: int):
    with pytest.raises(Violation, match="output: b'said'"), watched():
        os.write(number, b"said")
    with watched():
        pass


def test_native_remarks_may_be_let_pass_on_standard_error_alone():
    with watched(native_remarks=True):
        os.write(2, b"libtiff says")
    with pytest.raises(Violation, match="output"), watched(native_remarks=True):
        print("said", file=sys.__stdout__)


def test_slow_input_is_a_violation(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "SECONDS", 0.0)
    with pytest.raises(Violation, match="at most 0 are allowed"), watched():
        pass


def test_memory_over_the_limit_is_a_violation(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "MEGABYTES", 10)
    gc.collect()  # what others have left would make room for what is allocated here
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    free_below_the_peak = watching.peak_megabytes() * 1e3 - pages * resource.getpagesize() / 1e3
    with pytest.raises(Violation, match="MB more at its peak"), watched():
        np.ones(int(free_below_the_peak * 1e3 + 200e6), np.uint8)


@pytest.mark.parametrize(
    "message",
    ["two\nlines.", "no end", "\x1b[31mred.", "half \ud800 a letter.", "x" * 2000 + "."],
)
def test_message_that_is_no_printable_sentence_is_a_violation(message: str):
    with pytest.raises(Violation, match="a message"):
        one_sentence(ImageDamagedError(message))
    one_sentence(ImageDamagedError("a.jpg is damaged (ä); copy it again."))


def test_error_of_another_tree_comes_out_of_the_target(monkeypatch: pytest.MonkeyPatch):
    def decode(*_: object, **__: object) -> None:
        raise KeyError("not ours")

    monkeypatch.setattr(decoding, "decode", decode)
    with pytest.raises(KeyError):
        decoding.check(b"")


def test_decoding_that_differs_from_one_time_to_the_next_is_a_violation(
    monkeypatch: pytest.MonkeyPatch,
):
    outcomes = iter([("decoded", b"one"), ("decoded", b"other")])
    monkeypatch.setattr(decoding, "_outcome", lambda content: next(outcomes))
    with pytest.raises(Violation, match="two decodings differ"):
        decoding.check(b"")
