"""The code of docs/apps.md answers as the runtime does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime import Classifier
from tests.edge_runtime.icc import rgb_profile

PAGE = Path(__file__).resolve().parents[1] / "docs" / "apps.md"


def answered(bundle: Path, name: str, photo: Path) -> dict[str, object]:
    """What the code of the page has found, by the names of its variables."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    named = 'Path("bundle"), "tflite_int8", "photo.jpg"'
    assert named in code
    code = code.replace(named, f"Path({str(bundle)!r}), {name!r}, {str(photo)!r}")
    found: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), found)
    return found


@pytest.mark.parametrize("name", ["tflite_int8", "tflite_f32"])
def test_code_of_the_page_decides_as_the_runtime_does(
    name: str, bundle: Path, images: list[Path], tmp_path: Path
) -> None:
    wide = tmp_path / "wide.png"
    with Image.open(images[0]) as image:
        image.resize((90, 70)).save(wide)
    with Image.open(images[12]) as image:
        see_through, deep = image.convert("RGBA"), np.asarray(image.convert("L")).astype(np.uint16)
    see_through.putalpha(Image.radial_gradient("L").resize(see_through.size))
    see_through.save(tmp_path / "see_through.png")
    Image.fromarray(deep * 250).save(tmp_path / "deep.png")
    with Image.open(images[3]) as image:
        image.save(tmp_path / "wide_colours.png", icc_profile=rgb_profile("Display P3"))
    classifier = Classifier.open(bundle, name, checks=False)
    decisions = set()
    for photo in [
        wide,
        *images[1:12],
        *(tmp_path / name for name in ("see_through.png", "deep.png", "wide_colours.png")),
    ]:
        found, expected = answered(bundle, name, photo), classifier.classify(photo)
        np.testing.assert_allclose(
            found["probabilities"], list(expected.probabilities.values()), atol=1e-6
        )
        assert ("refer" if found["refer"] else "routine") == expected.decision
        decisions.add(expected.decision)
    assert decisions == {"refer", "routine"}


def test_large_jpeg_may_be_answered_otherwise_by_some_hundredths(
    bundle: Path, images: list[Path], tmp_path: Path
) -> None:
    """The runtime has it decoded at a reduced scale; the page says so."""
    classifier = Classifier.open(bundle, "tflite_f32", checks=False)
    differences = []
    for number, file in enumerate(images[:12]):
        large = tmp_path / f"{number}.jpg"
        with Image.open(file) as image:
            image.resize((1600, 1200), Image.Resampling.BICUBIC).save(large, quality=90)
        found = answered(bundle, "tflite_f32", large)["probabilities"]
        expected = list(classifier.classify(large).probabilities.values())
        differences.append(np.abs(np.array(found) - expected).max())
    assert 1e-6 < max(differences) < 0.1
