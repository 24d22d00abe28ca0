"""What a bundle's checks do to photographs, with a bundle that `convert` fitted them for."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_runtime import Classifier
from edge_runtime._files import sha256
from edge_runtime.appearance import FEATURES, features, read_familiar
from edge_runtime.errors import IntegrityError, ManifestError
from edge_runtime.manifest import parse_manifest
from edge_runtime.quality import READINGS, figures, flaws, too_small
from edge_runtime.square import square_of
from tests.conftest import Command
from tests.edge_runtime.changing import Document, altered, drop, edit_manifest, put
from train.synthetic import render


def noise(size: int = 100) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(np.uint8)


def blurred(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small = Image.fromarray(image).resize((12, 12), Image.Resampling.BOX)
    return np.asarray(small.resize(image.shape[:2], Image.Resampling.BICUBIC))


def highlight(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    bright = image.copy()
    bright[30:60, 40:80] = 255
    return bright


def test_noise_is_uncertain_and_without_checks_it_is_not(bundle: Path):
    checked = Classifier.open(bundle).classify(noise())
    assert checked.decision in ("retake", "uncertain")
    assert checked.unfamiliarity is not None
    assert checked.unfamiliarity > 1.5
    assert any("unlike those that the model was trained on" in text for text in checked.reasons)
    unchecked = Classifier.open(bundle, checks=False).classify(noise())
    assert unchecked.decision in ("refer", "routine")
    assert unchecked.unfamiliarity is unchecked.quality.sharpness is None
    assert unchecked.probabilities == checked.probabilities


def test_dark_picture_is_to_be_taken_again(classifier: Classifier, images: list[Path]):
    with Image.open(images[0]) as image:
        dark = (np.asarray(image.convert("RGB")) * 0.2).astype(np.uint8)
    answer = classifier.classify(dark)
    assert answer.decision == "retake"
    assert any("too dark; add light" in text for text in answer.reasons)
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-4)


def test_picture_of_few_pixels_is_to_be_taken_again(classifier: Classifier, images: list[Path]):
    with Image.open(images[0]) as image:
        tiny = np.asarray(image.convert("RGB").resize((20, 15)))
    answer = classifier.classify(tiny)
    assert answer.decision == "retake"
    assert answer.reasons[0].startswith("the picture has 20 x 15 pixels, too few to judge")
    assert too_small(16, 20, 16) is None


def test_most_training_images_are_answered(classifier: Classifier, images: list[Path]):
    decisions = [classifier.classify(file).decision for file in images[:40]]
    assert sum(one in ("refer", "routine") for one in decisions) >= 34


@pytest.mark.parametrize(
    ("change", "figure", "higher"),
    [
        (blurred, "sharpness", False),
        (lambda image: (image * 0.4).astype(np.uint8), "light", False),
        (lambda image: np.clip(image * 1.9, 0, 255).astype(np.uint8), "burnt", True),
        (highlight, "glare", True),
        (lambda image: (image * 0.3 + 120).astype(np.uint8), "spread", False),
        (lambda image: np.roll(image, 40, axis=1), "off_centre", True),
        (lambda image: np.tile(image[:16, :16], (8, 8, 1)), "lesion", False),
    ],
)
def test_figure_tells_damage(change, figure: str, higher: bool):
    good = render("mel", 3, width=128, height=128)
    damaged = np.ascontiguousarray(change(good)).astype(np.uint8)
    before, after = (getattr(figures(square_of(one)), figure) for one in (good, damaged))
    assert after > before if higher else after < before


def test_flaws_are_those_whose_limit_is_passed():
    found = figures(square_of(render("mel", 3, width=128, height=128)))
    beyond = {
        flaw: getattr(found, one.figure) + (-1e-6 if one.high else 1e-6)
        for flaw, one in READINGS.items()
    }
    assert list(flaws(found, beyond)) == list(READINGS)
    assert list(flaws(found, {f: getattr(found, READINGS[f].figure) for f in READINGS})) == []
    assert list(flaws(found, {"dark": beyond["dark"]})) == ["dark"]


def test_a_picture_of_one_colour_has_finite_figures_and_features():
    for value in (0, 128, 255):
        square = square_of(np.full((32, 32, 3), value, np.uint8))
        assert np.isfinite(features(square)).all()
        assert np.isfinite(list(vars(figures(square)).values())).all()
    assert features(square).shape == (FEATURES,)


def test_square_holds_the_means_of_blocks_where_the_size_allows():
    image = render("mel", 3, width=192, height=192)
    means = image.reshape(64, 3, 64, 3, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    assert np.abs(square_of(image).channels - means).max() < 0.6  # rounded
    assert square_of(image[:150, :150].copy()).channels.shape == (3, 64, 64)


def test_mirror_image_has_the_same_description_and_a_turned_one_another_direction():
    image = render("mel", 3, width=128, height=128)
    image[:, ::8] = 40  # steps across
    described, mirrored, turned = (
        features(square_of(np.ascontiguousarray(one)))
        for one in (image, image[:, ::-1], image.transpose(1, 0, 2))
    )
    assert mirrored == pytest.approx(described, abs=1e-3)
    other = np.abs(turned - described) > 1e-3
    assert 0 < other.sum() <= 11  # nine directions, and the two mirror images
    assert (np.isclose(turned, -described, atol=1e-3) & other).sum() >= 6


def test_bundle_without_checks_is_served_and_info_says_so(
    own_bundle: Path, images: list[Path], dermedge: Command
):
    edit_manifest(own_bundle, drop("checks"))
    answer = Classifier.open(own_bundle).classify(images[0])
    assert answer.decision in ("refer", "routine")
    assert answer.unfamiliarity is None
    assert "every photograph gets refer or routine" in dermedge("info", own_bundle, check=0).stdout


def test_command_can_leave_the_checks_out(bundle: Path, tmp_path: Path, dermedge: Command):
    file = tmp_path / "noise.png"
    Image.fromarray(noise()).save(file)
    for words, decisions in (
        ((), {"retake", "uncertain"}),
        (("--no-checks",), {"refer", "routine"}),
    ):
        done = dermedge("classify", file, "--model", bundle, "--json", *words, check=0)
        assert json.loads(done.stdout)["decision"] in decisions


def test_altered_file_of_the_checks_is_refused(own_bundle: Path):
    (own_bundle / "familiar.npy").write_bytes(b"\0" * 100)
    with pytest.raises(IntegrityError, match=r"familiar\.npy .* was altered"):
        Classifier.open(own_bundle)
    Classifier.open(own_bundle, checks=False)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 3), np.float32), np.zeros((FEATURES + 1, FEATURES)),
        np.full((FEATURES + 1, FEATURES), np.nan, np.float32), np.array([{}]),
    ],
)  # fmt: skip
def test_what_is_no_description_of_images_is_refused(own_bundle: Path, array: NDArray):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    with pytest.raises(IntegrityError):
        read_familiar(file.getvalue(), "familiar.npy")
    (own_bundle / "familiar.npy").write_bytes(file.getvalue())

    def sign(document: Document) -> None:
        document["checks"]["familiar"]["sha256"] = sha256(file.getvalue())

    edit_manifest(own_bundle, sign)
    with pytest.raises(IntegrityError, match=r"familiar\.npy of the bundle"):
        Classifier.open(own_bundle)


@pytest.mark.parametrize(
    "change",
    [
        put("checks", "limits", "ugly", value={"threshold": 1, "refused": 0, "severity": 1,
                                               "found": 1}),
        put("checks", "familiar", "features", value="appearance_2"),
        put("checks", "familiar", "file", value="../x"), put("checks", "more", value=1),
    ],
)  # fmt: skip
def test_unknown_checks_are_refused(document: Document, change):
    with pytest.raises(ManifestError):
        parse_manifest(altered(document, change))
