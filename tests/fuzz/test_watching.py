from __future__ import annotations

import os
import sys
import warnings

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
    monkeypatch.setattr(watching, "_AT_START", watching.peak_megabytes() - 300)
    with pytest.raises(Violation, match="MB more at its peak"), watched():
        pass


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
