from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime import Bundle, Classifier, Failure
from edge_runtime.errors import (
    ImageDamagedError,
    ImageFormatError,
    ImageNotFoundError,
    ImageTooLargeError,
    SelfTestError,
    UsageError,
    VariantError,
)
from tests.edge_runtime.changing import Document, edit_manifest, set_verdicts, variant
from tests.edge_runtime.making import assert_one_sentence, encode, noise

# ---------------------------------------------------------------- one image


def test_path_bytes_pillow_image_and_array_give_the_same_probabilities(
    classifier: Classifier, images: list[Path]
):
    file = images[0]
    with Image.open(file) as image:
        array = np.asarray(image.convert("RGB"))
        inputs = [str(file), file, file.read_bytes(), bytearray(file.read_bytes()), image, array]
        results = [classifier.classify(source) for source in inputs]
    assert len({json.dumps(result.probabilities) for result in results}) == 1
    assert len({result.quality for result in results}) == 1
    assert [result.file for result in results] == [str(file), str(file), None, None, None, None]
    other = classifier.classify(images[1])
    assert other.probabilities != results[0].probabilities


def test_result_says_what_the_model_answered(classifier: Classifier, images: list[Path]):
    for file in images[:20]:
        result = classifier.classify(file)
        answered = classifier.probabilities(classifier.input_tensor(file))
        assert list(result.probabilities) == ["bkl", "mel", "nv"]
        assert np.array(list(result.probabilities.values()), np.float32).tobytes() == (
            answered.tobytes()
        )
        assert all(type(value) is float for value in result.probabilities.values())
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-3)
        assert result.label == max(result.probabilities, key=result.probabilities.__getitem__)
        assert result.melanoma_probability == result.probabilities["mel"]
        assert result.malignant_probability == result.probabilities["mel"]
        points = classifier.variant.operating_points
        refers = (
            result.melanoma_probability >= points["melanoma"].threshold
            or result.malignant_probability >= points["malignant"].threshold
        )
        assert result.decision == ("refer" if refers else "routine")
        assert result.notes == ()


def test_tensor_that_is_not_the_models_input_is_refused(classifier: Classifier, images: list[Path]):
    """Cast to bytes, floats from 0 to 1 would become 0 and 1 and be answered."""
    tensor = classifier.input_tensor(images[0])
    for wrong in (tensor / 255, tensor.astype(np.int16), tensor[:-1], tensor[np.newaxis]):
        with pytest.raises(UsageError, match="expected uint8 of shape"):
            classifier.probabilities(wrong)
    with pytest.raises(UsageError, match="The tensor is list"):
        classifier.probabilities(tensor.tolist())  # type: ignore[arg-type]


def test_pillow_image_without_pixels_is_refused(classifier: Classifier):
    with pytest.raises(ImageDamagedError, match="0 x 0 pixels"):
        classifier.classify(Image.new("RGB", (0, 0)))


def test_the_images_of_a_bundle_get_both_decisions(classifier: Classifier, images: list[Path]):
    decisions = {classifier.classify(file).decision for file in images[:40]}
    assert decisions >= {"refer", "routine"}


def test_malignant_probability_is_the_sum_over_the_malignant_classes(
    own_bundle: Path, images: list[Path]
):
    def bkl_is_malignant(document: Document) -> None:
        document["labels"][0]["malignant"] = True

    edit_manifest(own_bundle, bkl_is_malignant)
    for file in images[:8]:
        result = Classifier.open(own_bundle).classify(file)
        both = result.probabilities["bkl"] + result.probabilities["mel"]
        assert result.malignant_probability == pytest.approx(both, abs=1e-6)
        assert result.malignant_probability <= 1
        assert result.melanoma_probability == result.probabilities["mel"]


def test_result_says_which_model_answered_and_how_long_it_took(
    classifier: Classifier, images: list[Path]
):
    result = classifier.classify(images[0])
    manifest, used = classifier.bundle.manifest, classifier.variant
    assert (result.model.name, result.model.version) == (manifest.name, manifest.version)
    assert (result.model.variant, result.model.sha256) == (used.name, used.sha256)
    timing = result.timing_ms
    stages = (timing.read, timing.decode, timing.preprocess, timing.inference)
    assert min(stages) >= 0
    assert timing.decode > 0
    assert timing.inference > 0
    assert sum(stages) <= timing.total + 0.01
    assert timing.total < 60_000
    assert classifier.classify(images[0].read_bytes()).timing_ms.read < 0.5


def test_quality_is_measured_on_the_models_input(classifier: Classifier):
    flat = np.full((50, 80, 3), [100, 50, 200], np.uint8)
    quality = classifier.classify(flat).quality
    assert (quality.width, quality.height) == (80, 50)
    assert quality.brightness == pytest.approx(0.299 * 100 + 0.587 * 50 + 0.114 * 200, abs=0.06)
    assert quality.contrast == 0
    flat[:, :40] = 0  # half of the square is black
    assert classifier.classify(flat).quality.contrast == pytest.approx(41, abs=1.5)
    flat[:] = 0
    flat[:, :15] = 255  # beside the centre square
    assert classifier.classify(flat).quality.brightness < 5


def test_result_becomes_json_with_the_same_values(classifier: Classifier, images: list[Path]):
    result = classifier.classify(images[0])
    again = json.loads(json.dumps(result.to_dict()))
    assert again["probabilities"] == result.probabilities
    assert again["reasons"] == list(result.reasons)
    assert again["quality"]["width"] == 100
    assert again["model"]["sha256"] == result.model.sha256
    assert again["notes"] == []


def test_png_that_is_called_jpg_is_classified_with_a_note(
    classifier: Classifier, images: list[Path], tmp_path: Path
):
    with Image.open(images[0]) as image:
        (tmp_path / "wrong.jpg").write_bytes(encode(image, "PNG"))
        (tmp_path / "right.png").write_bytes(encode(image, "PNG"))
    wrong = classifier.classify(tmp_path / "wrong.jpg")
    right = classifier.classify(tmp_path / "right.png")
    assert wrong.notes == ("its content is PNG, though its name says otherwise",)
    assert right.notes == ()
    assert (
        wrong.probabilities == right.probabilities == classifier.classify(images[0]).probabilities
    )


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", ImageDamagedError), (b"text", ImageFormatError), (None, ImageNotFoundError),
        (encode(noise(), "JPEG")[:500], ImageDamagedError),
    ],
)  # fmt: skip
def test_bad_image_is_refused_by_name(
    classifier: Classifier, content: bytes | None, error: type[Exception], tmp_path: Path
):
    file = tmp_path / "bad.jpg"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(error) as caught:
        classifier.classify(file)
    assert_one_sentence(caught.value, "bad.jpg")  # type: ignore[arg-type]


@pytest.mark.parametrize("thing", [None, 5, ["a.jpg"], object()])
def test_what_is_no_image_at_all_is_a_wrong_call(classifier: Classifier, thing: object):
    with pytest.raises(UsageError) as caught:
        classifier.classify(thing)  # type: ignore[arg-type]
    assert_one_sentence(caught.value, f"is a {type(thing).__name__}", "a path, bytes")


def test_limit_on_pixels_holds_for_files_and_bytes(bundle: Path, images: list[Path]):
    small = Classifier.open(bundle, max_pixels=100 * 75 - 1)
    for source in (images[0], images[0].read_bytes()):
        with pytest.raises(ImageTooLargeError, match="100 x 75 pixels"):
            small.classify(source)
    (answer,) = small.classify_many([images[0]])
    assert isinstance(answer, Failure)
    assert Classifier.open(bundle, max_pixels=100 * 75).classify(images[0]).label


# ---------------------------------------------------------------- no melanoma class


def test_bundle_without_a_melanoma_class_gives_no_melanoma_probability(
    own_bundle: Path, images: list[Path]
):
    with_melanoma = Classifier.open(own_bundle).classify(images[0])

    def benign_or_malignant(document: Document) -> None:
        document["melanoma"] = None
        for entry in document["variants"]:
            del entry["operating_points"]["melanoma"]

    edit_manifest(own_bundle, benign_or_malignant)
    result = Classifier.open(own_bundle).classify(images[0])
    assert result.melanoma_probability is None
    assert result.malignant_probability == with_melanoma.malignant_probability
    assert result.probabilities == with_melanoma.probabilities
    assert len(result.reasons) == 1
    assert "malignant" in result.reasons[0]


# ---------------------------------------------------------------- choosing a variant


def test_first_variant_that_passed_is_preferred(own_bundle: Path):
    order = [entry.name for entry in Bundle.open(own_bundle).manifest.variants]
    set_verdicts(own_bundle, **{order[1]: "pass", order[3]: "pass"})
    assert Classifier.open(own_bundle).variant.name == order[1]
    set_verdicts(own_bundle, **{order[0]: "cannot judge", order[3]: "pass"})
    assert Classifier.open(own_bundle).variant.name == order[3]


def test_order_of_the_manifest_is_the_order_of_preference(own_bundle: Path):
    edit_manifest(own_bundle, lambda document: document["variants"].reverse())
    set_verdicts(own_bundle, tflite_f32="pass", tflite_f16="pass")
    names = [entry.name for entry in Bundle.open(own_bundle).manifest.variants]
    first = min(("tflite_f32", "tflite_f16"), key=names.index)
    assert Classifier.open(own_bundle).variant.name == first


def test_bundle_in_which_nothing_passed_is_refused_unless_a_variant_is_named(
    own_bundle: Path, images: list[Path]
):
    set_verdicts(own_bundle, tflite_f32="cannot judge")
    with pytest.raises(VariantError) as caught:
        Classifier.open(own_bundle)
    assert_one_sentence(
        caught.value, "No variant", "tflite_f32 (cannot judge)", "tflite_int8 (fail)", "Name one"
    )
    assert Classifier.open(own_bundle, "tflite_int8").classify(images[0]).label


def test_unknown_variant_is_refused(bundle: Path):
    with pytest.raises(VariantError) as caught:
        Classifier.open(bundle, "coreml_f16")
    assert_one_sentence(caught.value, "no variant coreml_f16", "tflite_int8")


def test_opened_bundle_may_be_handed_over(bundle: Path, images: list[Path]):
    opened = Bundle.open(bundle)
    classifier = Classifier.open(opened, "tflite_f32")
    assert classifier.bundle is opened
    assert classifier.classify(images[0]).model.variant == "tflite_f32"


def test_more_threads_than_any_device_has_cores_are_refused(bundle: Path):
    with pytest.raises(UsageError) as caught:
        Classifier.open(bundle, threads=257)
    assert_one_sentence(caught.value, "threads is 257, expected 1 to 256")


@pytest.mark.parametrize("count", [0, -1])
def test_fewer_than_one_thread_or_pixel_is_refused(bundle: Path, count: int):
    with pytest.raises(UsageError) as caught:
        Classifier.open(bundle, threads=count)
    assert_one_sentence(caught.value, f"threads is {count}, expected 1 to 256")
    with pytest.raises(UsageError) as caught:
        Classifier.open(bundle, max_pixels=count)
    assert_one_sentence(caught.value, f"max_pixels is {count}, expected 1 or more")


def test_self_test_is_part_of_opening(own_bundle: Path):
    def spoil(document: Document) -> None:
        for row in variant(document, "tflite_f32")["golden"]:
            row.reverse()

    edit_manifest(own_bundle, spoil)
    bundle = Bundle.open(own_bundle)
    with pytest.raises(SelfTestError):
        Classifier.open(bundle, "tflite_f32")
    assert Classifier.open(bundle, "tflite_f16").variant.name == "tflite_f16"
