"""Shares of pictures, with intervals over what the pictures show."""

import re

import numpy as np
import pytest

from convert.checks.shares import share


def width(text: str) -> float:
    found = re.fullmatch(r".*% \((.*)% to (.*)%\)", text)
    assert found is not None
    return float(found[2]) - float(found[1])


def test_photographs_of_one_lesion_are_not_independent() -> None:
    marked = np.arange(400) % 8 < 4
    alone = np.arange(400).astype(str)
    fours = (np.arange(400) // 4).astype(str)
    assert share(marked, alone).startswith("50.0% (")
    assert width(share(marked, fours)) == pytest.approx(2 * width(share(marked, alone)), rel=0.15)


@pytest.mark.parametrize(
    ("marked", "expected"),
    [(True, "100.0% (70.0% to 100.0%)"), (False, "0.0% (0.0% to 30.0%)")],
)
def test_all_or_none_of_ten_lesions_is_a_rule_of_three(marked: bool, expected: str) -> None:
    assert share(np.full(40, marked), (np.arange(40) // 4).astype(str)) == expected


def test_two_lesions_say_nothing() -> None:
    assert share(np.array([True, True]), np.array(["a", "b"])) == "100.0% (0.0% to 100.0%)"
