from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from train.audit.findings import Item
from train.audit.pictures import Facts, read_pictures
from train.audit.shortcuts import find_shortcuts
from train.audit.sources import Source, read_sources
from train.data.description import Description
from train.data.table import Record

DESCRIBED = Description("drawn", ("mel",), "mel")


def drawn(count: int, tell: float) -> tuple[list[Item], list[Facts]]:
    """Images of two sizes; ``tell`` is the share whose size follows the label."""
    rng = np.random.default_rng(0)
    source = Source("drawn", Path(), Path(), (), DESCRIBED)
    items, facts = [], []
    for index in range(count):
        label = "mel" if rng.random() < 0.3 else "nv"
        large = label == "mel" if rng.random() < tell else rng.random() < 0.5
        items.append(Item(source, Record(str(index), Path(str(index)), label), str(index)))
        width = 224 if large else 200
        noise = rng.normal(size=2)
        facts.append(
            Facts("", int(9000 + 500 * noise[0]), width, 150, "JPEG", corners=1 + noise[1] / 10)
        )
    return items, facts


def test_size_that_follows_the_label_is_named():
    items, facts = drawn(600, 0.5)
    found = find_shortcuts(items, facts, np.arange(600))
    assert found.target == "melanoma"
    assert found.together is not None
    assert found.together.auc > 0.65
    assert found.together.tells
    telling = {shortcut.features[0] for shortcut in found.alone if shortcut.tells}
    assert "width" in telling
    assert "corner brightness" not in telling


def test_size_that_says_nothing_is_not_named():
    items, facts = drawn(1500, 0.0)
    found = find_shortcuts(items, facts, np.arange(1500))
    assert found.together is not None
    assert not found.together.tells
    assert not [shortcut for shortcut in found.alone if shortcut.tells]


def test_copies_in_two_folds_do_not_look_like_a_shortcut():
    items, facts = drawn(120, 0.0)
    repeated, groups = items * 8, np.tile(np.arange(120), 8)
    found = find_shortcuts(repeated, facts * 8, groups)
    assert found.together is not None
    assert not found.together.tells


def test_few_melanomas_are_not_judged():
    items, facts = drawn(40, 0.0)
    found = find_shortcuts(items, facts, np.arange(40))
    assert found.together is None
    assert "too few" in found.reason


def test_classes_of_which_nothing_says_what_is_malignant_are_not_called_few():
    items, facts = drawn(300, 0.5)
    items = [replace(item, source=replace(item.source, description=None)) for item in items]
    found = find_shortcuts(items, facts, np.arange(300))
    assert found.together is None
    assert found.reason == "nothing says which classes are malignant"


def test_images_alike_in_everything_are_not_judged():
    items, facts = drawn(300, 0.0)
    found = find_shortcuts(items, [replace(facts[0]) for _ in facts], np.arange(300))
    assert found.together is None
    assert "same size" in found.reason


@pytest.mark.slow
@pytest.mark.data
def test_size_alone_tells_melanoma_in_ham10000(data_root):
    (source,) = read_sources([data_root / "ham10000"])
    records = source.records
    facts = read_pictures([record.file for record in records]).facts
    items = [Item(source, record, fact.sha256) for record, fact in zip(records, facts, strict=True)]
    lesions = {name: i for i, name in enumerate(sorted({str(r.lesion_id) for r in records}))}
    groups = np.array([lesions[str(record.lesion_id)] for record in records])
    found = find_shortcuts(items, facts, groups)
    alone = {shortcut.features[0]: shortcut for shortcut in found.alone}
    assert alone["width"].tells
    assert 0.54 < alone["width"].auc < 0.66
