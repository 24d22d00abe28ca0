from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime import Classifier
from edge_runtime.decision import decide
from edge_runtime.manifest import OperatingPoint
from tests.edge_runtime.changing import Document, edit_manifest

POINTS = {
    "melanoma": OperatingPoint(0.3, 0.9, 0.9, 0.7),
    "malignant": OperatingPoint(0.5, 0.9, 0.9, 0.7),
}


@pytest.mark.parametrize(
    ("melanoma", "malignant", "decision", "reasons"),
    [
        (0.0, 0.0, "routine", 2), (0.299, 0.499, "routine", 2),
        (0.3, 0.3, "refer", 1), (0.3, 0.499, "refer", 1), (0.1, 0.5, "refer", 1),
        (0.3, 0.5, "refer", 2), (1.0, 1.0, "refer", 2),
        (None, 0.499, "routine", 1), (None, 0.5, "refer", 1),
    ],
)  # fmt: skip
def test_refer_when_a_probability_reaches_its_operating_point(
    melanoma: float | None, malignant: float, decision: str, reasons: int
):
    targets = {"malignant": malignant}
    if melanoma is not None:
        targets = {"melanoma": melanoma, **targets}
    found, told = decide(targets, POINTS)
    assert found == decision
    assert len(told) == reasons
    relation = "reaches its operating point" if decision == "refer" else "is below its operating"
    assert all(relation in sentence for sentence in told)


def test_reasons_give_the_probability_and_the_operating_point():
    assert decide({"melanoma": 0.1, "malignant": 0.61234}, POINTS) == (
        "refer",
        ("the probability of a malignant class (0.612) reaches its operating point (0.500)",),
    )
    assert decide({"melanoma": 0.1, "malignant": 0.2}, POINTS)[1][0] == (
        "the melanoma probability (0.100) is below its operating point (0.300)"
    )


BLURRED, STRANGE = "the picture is blurred", "the picture is unlike the others"
LOOK = "have it looked at: the melanoma probability"


@pytest.mark.parametrize(
    ("retake", "uncertain", "melanoma", "decision", "starts"),
    [
        ((), (), 0.2, "routine", ("the melanoma", "the probability")),
        ((), (), 0.4, "refer", ("the melanoma",)),
        ((), (STRANGE,), 0.2, "uncertain", (STRANGE,)),
        ((), (STRANGE,), 0.4, "uncertain", (STRANGE, f"if it cannot be judged otherwise, {LOOK}")),
        ((BLURRED,), (), 0.2, "retake", (BLURRED,)),
        ((BLURRED,), (), 0.4, "retake", (BLURRED, f"if it cannot be taken again, {LOOK}")),
        ((BLURRED,), (STRANGE,), 0.2, "retake", (BLURRED, STRANGE)),
        ((BLURRED,), (STRANGE,), 0.4, "retake",
         (BLURRED, STRANGE, f"if it cannot be taken again, {LOOK}")),
    ],
)  # fmt: skip
def test_a_refusal_comes_first_and_hides_no_melanoma(
    retake: tuple[str, ...], uncertain: tuple[str, ...], melanoma: float, decision: str,
    starts: tuple[str, ...],
):  # fmt: skip
    targets = {"melanoma": melanoma, "malignant": melanoma}
    found, told = decide(targets, POINTS, retake=retake, uncertain=uncertain)
    assert found == decision
    assert len(told) == len(starts)
    assert all(text.startswith(start) for text, start in zip(told, starts, strict=True))


def test_operating_point_of_the_manifest_decides(own_bundle: Path, images: list[Path]):
    def set_thresholds(value: float) -> Callable[[Document], None]:
        def change(document: Document) -> None:
            for entry in document["variants"]:
                for point in entry["operating_points"].values():
                    point["threshold"] = value

        return change

    for value, decision in ((0.0, "refer"), (1.0, "routine")):
        edit_manifest(own_bundle, set_thresholds(value))
        opened = Classifier.open(own_bundle, checks=False)
        assert {opened.classify(file).decision for file in images[:5]} == {decision}
