from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_runtime import Classifier
from edge_runtime._strict import RecordError
from edge_runtime.errors import ImageTooLargeError
from edge_runtime.image import decode
from edge_runtime.preprocess import InputRule, load_input, to_input
from tests.edge_runtime.making import encode, noise
from train.data.tensors import digest_files, load_tensors
from train.synthetic import render

# ---------------------------------------------------------------- the rule, by hand


def weights(side: int, size: int) -> NDArray[np.float64]:
    """Antialiased bilinear interpolation of ``side`` pixels, shape (size, side).

    A triangle as wide as the reduction is laid over the centre of every new pixel, and cut off at
    the edge of the square.
    """
    scale = side / size
    reach = max(scale, 1.0)
    centres = (np.arange(size) + 0.5) * scale
    distance = np.abs(np.arange(side) + 0.5 - centres[:, None]) / reach
    triangle = np.clip(1 - distance, 0, None)
    normalised: NDArray[np.float64] = triangle / triangle.sum(axis=1, keepdims=True)
    return normalised


def by_hand(picture: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    """The rule at the top of `edge_runtime.preprocess` in plain arithmetic, not rounded."""
    height, width, _ = picture.shape
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = picture[top : top + side, left : left + side].astype(float)
    shares = weights(side, size)
    return np.einsum("yh,xw,hwc->yxc", shares, shares, square)


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (100, 75),
        (75, 100),
        (101, 64),
        (64, 101),
        (97, 96),
        (96, 97),
        (64, 64),
        (32, 32),
        (20, 33),
        (301, 1),
    ],
)
def test_tensor_is_the_centre_square_resized(width: int, height: int):
    picture = noise(height, width)
    tensor = to_input(Image.fromarray(picture), InputRule(32))
    assert tensor.shape == (32, 32, 3)
    assert tensor.dtype == np.uint8
    assert np.abs(tensor - by_hand(picture, 32)).max() <= 1  # Pillow rounds after each direction


@pytest.mark.parametrize(
    ("width", "height", "left", "top"),
    [
        (50, 32, 9, 0),
        (51, 32, 9, 0),
        (33, 32, 0, 0),
        (32, 50, 0, 9),
        (32, 51, 0, 9),
        (32, 32, 0, 0),
    ],
)
def test_square_of_the_input_size_is_handed_over_unchanged(
    width: int, height: int, left: int, top: int
):
    picture = noise(height, width)
    tensor = to_input(Image.fromarray(picture), InputRule(32))
    assert (tensor == picture[top : top + 32, left : left + 32]).all()


@pytest.mark.parametrize("size", [16, 224, 1024])
def test_tensor_has_the_size_of_the_rule(size: int):
    rule = InputRule(size)
    assert to_input(Image.fromarray(noise()), rule).shape == rule.shape == (size, size, 3)


@pytest.mark.parametrize("size", [0, 15, 1025])
def test_input_size_out_of_range_is_refused(size: int):
    with pytest.raises(RecordError, match=f"input size is {size}, expected 16 to 1024"):
        InputRule(size)


@pytest.mark.parametrize("draft", [-1, 17])
def test_draft_out_of_range_is_refused(draft: int):
    with pytest.raises(RecordError, match=f"jpeg_draft is {draft}"):
        InputRule(32, jpeg_draft=draft)


# ---------------------------------------------------------------- reduced decoding of JPEGs


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated photograph of 1600 x 1200 pixels."""
    file = tmp_path_factory.mktemp("large") / "large.jpg"
    file.write_bytes(encode(render("mel", 3, width=1600, height=1200), "JPEG", quality=92))
    return file


@pytest.mark.parametrize(("size", "decoded"), [(32, (200, 150)), (224, (800, 600))])
def test_draft_changes_the_tensor_by_less_than_a_grey_level(
    large: Path, size: int, decoded: tuple[int, int]
):
    rule = InputRule(size)
    content = large.read_bytes()
    reduced = decode(content, smallest_draft=2 * size)
    assert reduced.pixels.size == decoded  # the smallest that is still twice the input
    assert (reduced.width, reduced.height) == (1600, 1200)
    tensor = load_input(large, rule)
    assert (tensor == to_input(reduced.pixels, rule)).all()
    whole = to_input(decode(content).pixels, rule)
    difference = np.abs(tensor.astype(int) - whole)
    assert 0 < difference.mean() < 1


def test_draft_of_zero_decodes_in_full(large: Path):
    rule = InputRule(32, jpeg_draft=0)
    whole = to_input(decode(large.read_bytes()).pixels, rule)
    assert (load_input(large, rule) == whole).all()


@pytest.mark.parametrize(("draft", "side"), [(2, 150), (8, 300), (16, 600)])
def test_rule_says_how_far_a_jpeg_is_reduced(large: Path, draft: int, side: int):
    rule = InputRule(32, jpeg_draft=draft)
    assert rule.smallest_draft == 32 * draft
    reduced = decode(large.read_bytes(), smallest_draft=rule.smallest_draft)
    assert min(reduced.pixels.size) == side


def test_limit_on_pixels_reaches_the_decoder(large: Path):
    with pytest.raises(ImageTooLargeError, match=r"large\.jpg"):
        load_input(large, InputRule(32), max_pixels=1_000_000)


# ---------------------------------------------------------------- training and device


def assert_trained_on_what_the_device_sees(classifier: Classifier, files: list[Path]) -> None:
    """The cache of the trainer, and the device from a path and from bytes: the same bytes."""
    trained = load_tensors(files, digest_files(files), classifier.rule)
    assert trained.shape == (len(files), *classifier.rule.shape)
    for file, expected in zip(files, trained, strict=True):
        from_path = classifier.input_tensor(file)
        from_bytes = classifier.input_tensor(file.read_bytes())
        assert from_path.tobytes() == expected.tobytes() == from_bytes.tobytes(), file.name
    assert len({tensor.tobytes() for tensor in trained}) == len(files)


def test_training_and_device_see_the_same_bytes_of_generated_images(
    bundle: Path, images: list[Path], large: Path
):
    assert_trained_on_what_the_device_sees(Classifier.open(bundle), [*images[:60], large])


@pytest.mark.data
def test_training_and_device_see_the_same_bytes_of_real_images(bundle: Path, data_root: Path):
    files = [
        *sorted((data_root / "ham10000" / "images").iterdir())[:20],
        *sorted((data_root / "isic2017" / "images").iterdir())[:20],
        *sorted((data_root / "full_resolution" / "images").iterdir())[:10],
    ]
    assert_trained_on_what_the_device_sees(Classifier.open(bundle), files)


@pytest.mark.data
def test_draft_changes_real_photographs_by_less_than_a_grey_level(data_root: Path):
    rule = InputRule(224)
    for file in sorted((data_root / "full_resolution" / "images").iterdir())[::4]:
        whole = to_input(decode(file.read_bytes()).pixels, rule)
        difference = np.abs(load_input(file, rule).astype(int) - whole)
        assert 0 < difference.mean() < 1, file.name
