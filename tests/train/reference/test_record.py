"""What tries came to outlasts their runs, as long as the recipes are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from train.reference.recipes import Found, Try
from train.reference.record import record, recorded

FIRST = Try("first", "does it begin", "ham", ("--epochs", "1"))
SECOND = Try("second", "does it go on", "ham", ("--start", "@first", "--epochs", "1"))
FOUND = Found(
    minutes=2.5,
    epochs=1,
    best_epoch=1,
    own={"melanoma_auc": {"value": 0.8, "low": 0.75, "high": 0.85}},
    foreign=None,
)


def listed(*entries: Try) -> dict[str, Try]:
    return {one.name: one for one in entries}


def test_nothing_is_recorded_at_first(tmp_path: Path) -> None:
    assert recorded(tmp_path / "tries.json", listed(FIRST)) == {}


def test_what_came_of_a_recipe_comes_back(tmp_path: Path) -> None:
    path, both = tmp_path / "tries.json", listed(FIRST, SECOND)
    record(path, both, {"first": FOUND, "second": replace(FOUND, minutes=3.0)})
    assert recorded(path, both) == {"first": FOUND, "second": replace(FOUND, minutes=3.0)}
    reworded = listed(replace(FIRST, question="?", answer="It does."), SECOND)
    assert recorded(path, reworded) == recorded(path, both)


def test_changed_recipe_is_to_be_tried_again_and_those_that_begin_with_it(tmp_path: Path) -> None:
    path, both = tmp_path / "tries.json", listed(FIRST, SECOND)
    record(path, both, {"first": FOUND, "second": FOUND})
    assert recorded(path, listed(replace(FIRST, data="all"), SECOND)) == {}
    assert recorded(path, listed(FIRST, replace(SECOND, flags=("--epochs", "2")))) == {
        "first": FOUND
    }
    assert recorded(path, listed(FIRST)) == {"first": FOUND}
