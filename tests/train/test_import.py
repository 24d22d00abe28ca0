"""`dermedge import`: models trained elsewhere, rebuilt and checked, or refused in a sentence."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.commands import main
from edge_runtime.errors import (
    ConversionError,
    LeakError,
    TableError,
    UsageError,
)
from tests.train import foreign as elsewhere
from train.config import TrainConfig
from train.data.split import groups_of
from train.data.table import Dataset, read_data
from train.data.tensors import digest_files
from train.importing import Source, import_model
from train.importing.file import read_model
from train.importing.normalisation import NORMALISATIONS
from train.importing.parts import divide
from train.importing.record import read_import
from train.run import RunFolder

CODES = ("bkl", "mel", "nv")
QUICK = TrainConfig(bootstrap=100)


def of_keras(name: str, images: np.ndarray) -> np.ndarray:
    """Keras's own preprocessing, which `NORMALISATIONS` says it repeats."""
    from keras.applications.imagenet_utils import preprocess_input

    if name == "none":
        return images
    return images / 255.0 if name == "unit" else preprocess_input(images.copy(), mode=name)


def random_images(size: int = elsewhere.SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, size, size, 3), np.uint8)


def rebuilt(model: Any, normalisation: str = "none", size: int | None = None) -> Any:
    from train.importing.foreign import foreign, input_size
    from train.importing.network import rebuild

    found = foreign(model)
    return rebuild(found, input_size(found, size), NORMALISATIONS[normalisation])


def answers(model: Any, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images.astype(np.float32), training=False))


def ending(kind: str, body: Any = None) -> Any:
    """A small model that ends in that way."""
    import keras
    from keras import layers

    body = body or elsewhere.features(8)
    x = body.outputs[0]
    if kind == "softmax":
        x = layers.Dense(3, activation="softmax")(x)
    elif kind == "softmax layer":
        x = layers.Softmax()(layers.Dense(3)(x))
    elif kind == "softmax activation":
        x = layers.Activation("softmax")(layers.Dense(3, use_bias=False)(x))
    elif kind == "softmax operation":
        x = keras.ops.softmax(layers.Dense(3)(x))
    elif kind == "softmax of a relu":
        x = layers.Softmax()(layers.Dense(3, activation="relu")(x))
    elif kind == "softmax of a convolution":
        x = layers.Conv2D(3, 1)(layers.Reshape((1, 1, -1))(x))
        x = layers.Activation("softmax")(layers.Flatten()(x))
    elif kind == "logits":
        x = layers.Dense(3)(x)
    elif kind == "sigmoid":
        x = layers.Dense(1, activation="sigmoid")(x)
    elif kind == "sigmoid layer":
        x = layers.Activation("sigmoid")(layers.Dense(1)(x))
    else:
        assert kind == "logit"
        x = layers.Dense(1)(x)
    return keras.Model(body.inputs[0], x)


def expected(kind: str, model: Any, images: np.ndarray) -> np.ndarray:
    """Probabilities that a model's answers stand for, worked out by hand."""
    raw = answers(model, images).astype(np.float64)
    if kind == "logits":
        return np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    if raw.shape[1] > 1:
        return raw
    positive = 1 / (1 + np.exp(-raw)) if kind == "logit" else raw
    return np.concatenate([1 - positive, positive], axis=1)


# --- rebuilding -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "softmax", "softmax layer", "softmax activation", "softmax operation", "softmax of a relu",
        "softmax of a convolution", "logits", "sigmoid", "sigmoid layer", "logit",
    ],
)  # fmt: skip
@pytest.mark.parametrize("normalisation", ["unit", "caffe"])
def test_rebuilt_model_answers_bytes_as_the_model_answered_what_was_made_of_them(
    kind: str, normalisation: str
):
    model, images = ending(kind), random_images()
    new = rebuilt(model, normalisation)
    fed = of_keras(normalisation, images.astype(np.float32))
    np.testing.assert_allclose(answers(new, images), expected(kind, model, fed), atol=1e-5)
    assert new.get_layer("logits").get_weights()[1].shape == (new.output_shape[1],)
    assert new.get_layer("probabilities").compute_dtype == "float32"


@pytest.mark.parametrize("name", list(NORMALISATIONS))
def test_normalisations_are_those_of_keras(name: str):
    images = random_images()
    by_keras = of_keras(name, images.astype(np.float32))
    np.testing.assert_allclose(NORMALISATIONS[name].apply(images), by_keras, atol=1e-4)


def test_rebuilt_model_survives_saving_and_its_layers_can_be_exported(tmp_path: Path):
    import keras

    model, images = ending("softmax"), random_images()
    new = rebuilt(model, "torch")
    new.save(tmp_path / "new.keras")
    loaded = keras.models.load_model(tmp_path / "new.keras")
    np.testing.assert_array_equal(answers(loaded, images), answers(new, images))
    names = [layer.name for layer in new.layers]
    assert not [name for name in names if name.startswith("_")]  # the model had one
    assert len(set(names)) == len(names)
    assert names[:2] == ["image", "normalisation"]


def test_models_inside_a_model_are_laid_open_so_that_grad_cam_finds_the_last_features():
    import keras
    from keras import layers

    from train.report.gradcam import explainable, grad_cam

    inner = keras.Sequential(
        [
            keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="logits"),
            layers.BatchNormalization(), layers.ReLU(),
        ]
    )  # fmt: skip
    image = keras.Input((32, 32, 3), name="features")
    x = layers.RandomFlip()(image)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    x = keras.Sequential([layers.RandomRotation(0.1), inner], name="_backbone")(x, training=False)
    x = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model, images = keras.Model(image, x), random_images()
    new = rebuilt(model)
    np.testing.assert_allclose(answers(new, images), answers(model, images), atol=1e-6)
    kinds = {type(layer).__name__ for layer in new.layers}
    assert not kinds & {"Functional", "Sequential", "RandomFlip", "RandomRotation"}
    assert explainable(new)
    assert isinstance(new.get_layer("features"), layers.ReLU)
    again = keras.models.clone_model(new)
    again.set_weights(new.get_weights())
    assert grad_cam(again, images, np.zeros(5, np.int64)).shape == (5, 30, 30)


def test_normalisation_that_was_adapted_to_the_images_comes_along():
    import keras
    from keras import layers

    adapted = layers.Normalization()
    adapted.adapt(random_images().astype(np.float32))
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(adapted(image)))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    np.testing.assert_allclose(
        answers(rebuilt(model), random_images()), answers(model, random_images()), atol=1e-6
    )


def test_model_in_half_precision_is_rebuilt_in_float32():
    import keras
    from keras import layers

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((32, 32, 3))
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(inputs))
        model = keras.Model(inputs, layers.Dense(3, activation="softmax", dtype="float32")(x))
    finally:
        keras.config.set_dtype_policy(before)
    new = rebuilt(model, "unit")
    assert {layer.compute_dtype for layer in new.layers} == {"float32"}
    images = random_images()
    from train.importing.foreign import foreign

    difference = np.abs(answers(new, images) - answers(model, images / np.float32(255))).max()
    assert 0 < difference < foreign(model).tolerance == 0.02
    assert foreign(ending("softmax")).tolerance == 1e-4


def test_model_of_any_size_is_built_for_the_size_that_is_asked_for():
    import keras
    from keras import layers

    inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    with pytest.raises(UsageError, match="takes images of any size; say which with --input-size"):
        rebuilt(model)
    assert rebuilt(model, size=48).input_shape == (None, 48, 48, 3)
    with pytest.raises(UsageError, match="takes images of 32 px, not 48"):
        rebuilt(ending("softmax"), size=48)


def _dense(*shape: int | None, **options: Any) -> Any:
    import keras
    from keras import layers

    inputs = keras.Input(shape)
    x = layers.Flatten()(inputs) if None not in shape else inputs
    return keras.Model(inputs, layers.Dense(**options)(x))


def _two_inputs() -> Any:
    import keras
    from keras import layers

    one, two = keras.Input((32, 32, 3)), keras.Input((4,))
    x = layers.Concatenate()([layers.Flatten()(one), two])
    return keras.Model([one, two], layers.Dense(3, activation="softmax")(x))


def _mean_of_two() -> Any:
    import keras
    from keras import layers

    body = elsewhere.features(4)
    heads = [layers.Dense(3, activation="softmax")(body.outputs[0]) for _ in range(2)]
    return keras.Model(body.inputs[0], layers.Average()(heads))


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: _dense(32, 32, 1, units=3), r"shape \(any, 32, 32, 1\), which is grey"),
        (lambda: _dense(3, 32, 32, units=3), "three channels .channels come last.: "),
        (lambda: _dense(32, 48, 3, units=3), "which is not square"),
        (lambda: _dense(32, 32, 4, units=3), "expected three channels"),
        (lambda: _dense(100, units=3), r"shape \(any, 100\), expected \(images, height, width, 3"),
        (lambda: _dense(None, None, 3, units=3), "answers with the shape"),
        (_two_inputs, "has 2 inputs and 1 outputs, expected one image"),
        (lambda: _dense(32, 32, 3, units=3, activation="sigmoid"), "sigmoid of 3 outputs"),
        (lambda: _dense(32, 32, 3, units=3, activation="tanh"), "ends in the activation tanh"),
        (lambda: _dense(32, 32, 3, units=1, activation="softmax"), "which is always one"),
    ],
)
def test_model_that_is_no_classifier_of_rgb_squares_is_refused(build: Any, sentence: str):
    from train.importing.foreign import foreign

    with pytest.raises(ConversionError, match=sentence):
        foreign(build())


def test_answers_that_are_probabilities_already_are_not_taken_for_logits():
    from train.importing.foreign import foreign

    with pytest.raises(ConversionError, match=r"answers sum to one, and its last layer .Average."):
        foreign(_mean_of_two()).probabilities(random_images(), NORMALISATIONS["unit"])


# --- files ----------------------------------------------------------------------------------------


def _with_lambda(file: Path) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3))
    x = layers.Lambda(lambda image: image / 255.0)(inputs)
    keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))).save(file)


def _with_own_class(file: Path) -> None:
    import keras
    from keras import layers

    class Halved(layers.Layer):
        def call(self, image: Any) -> Any:
            return image / 2

    inputs = keras.Input((32, 32, 3))
    keras.Model(inputs, layers.Dense(3)(layers.Flatten()(Halved()(inputs)))).save(file)


def _cut_off(file: Path) -> None:
    ending("softmax").save(file)
    file.write_bytes(file.read_bytes()[:2000])


def _without_weights(file: Path) -> None:
    import zipfile

    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("name", "write", "sentence"),
    [
        ("m.keras", None, "There is no file .*m.keras; name a Keras model file"),
        ("m.keras", lambda file: file.write_text("no model"), "damaged or not a Keras model"),
        ("m.keras", _cut_off, "damaged or not a Keras model"),
        ("m.keras", _without_weights, "m.keras does not load with the Keras that is installed"),
        ("m.pt", lambda file: file.write_text("torch"), "m.pt ends in .pt, expected .keras"),
        ("m.h5", lambda file: file.write_text("no model"), "m.h5 does not load with the Keras"),
        ("m.keras", _with_lambda, "holds Python code .a Lambda layer., which is not run"),
        ("m.h5", _with_lambda, "holds Python code .a Lambda layer., which is not run"),
        ("m.keras", _with_own_class, "needs a class of its own, Halved"),
    ],
)
def test_file_that_is_no_safe_keras_model_is_refused(
    tmp_path: Path, name: str, write: Any, sentence: str
):
    if write is not None:
        write(tmp_path / name)
    with pytest.raises((UsageError, ConversionError), match=sentence) as refused:
        read_model(tmp_path / name)
    assert "\n" not in str(refused.value)


# --- what a model has seen ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(generated: Path) -> Dataset:
    return read_data(generated)


@pytest.fixture(scope="module")
def digests(data: Dataset) -> list[str]:
    return digest_files([record.file for record in data.records])


def without_split(data: Dataset) -> Dataset:
    return data.with_records(replace(record, split=None) for record in data.records)


def parts_of(data: Dataset, digests: list[str]) -> dict[str, list[str]]:
    """Ids by part; no lesion is in two of them."""
    sides: dict[str, set[str]] = {}
    for record, group in zip(data.records, groups_of(data.records, digests), strict=True):
        sides.setdefault(group, set()).add(str(record.split))
    assert {len(parts) for parts in sides.values()} == {1}
    return {
        part: [record.image_id for record in data.records if record.split == part]
        for part in ("train", "val", "test")
    }


def test_split_of_the_data_says_what_was_trained_on(data: Dataset, digests: list[str]):
    divided = divide(data, digests, seed=0)
    assert divided.data == data
    assert "images of the part train are taken as trained on" in divided.assumed


@pytest.mark.parametrize("whole", ["val", "test"])
def test_one_held_out_part_is_shared_out_and_nothing_is_taken_from_train(
    data: Dataset, digests: list[str], whole: str
):
    given = data.with_records(
        record if record.split == "train" else replace(record, split=whole)
        for record in data.records
    )
    divided = divide(given, digests, seed=0)
    parts, before = parts_of(divided.data, digests), parts_of(given, digests)
    assert parts["train"] == before["train"]
    assert sorted(parts["val"] + parts["test"]) == sorted(before[whole])
    assert 0.4 < len(parts["val"]) / len(before[whole]) < 0.6
    assert f"the part {whole} is shared out" in divided.assumed


def test_data_without_a_split_is_taken_as_never_seen_and_a_fifth_is_kept_for_the_quantizer(
    data: Dataset, digests: list[str]
):
    divided = divide(without_split(data), digests, seed=0)
    shares = {
        part: len(ids) / len(data.records) for part, ids in parts_of(divided.data, digests).items()
    }
    assert shares["train"] == pytest.approx(0.2, abs=0.05)
    assert shares["val"] == pytest.approx(0.4, abs=0.05)
    assert "taken as never seen" in divided.assumed
    assert "name them with --trained-on" in divided.assumed


def test_listed_images_and_their_lesions_are_kept_from_judging(data: Dataset, digests: list[str]):
    records = without_split(data)
    lesions = {record.lesion_id: record for record in data.records}  # one image of each
    listed = {record.file.name for record in [*lesions.values()][:200]}
    divided = divide(records, digests, seed=0, trained_on=listed)
    seen = {record.lesion_id for record in data.records if record.file.name in listed}
    for record in divided.data.records:
        assert (record.split == "train") == (record.lesion_id in seen)
    parts = parts_of(divided.data, digests)
    assert len(parts["train"]) > len(listed)  # a second photograph of some lesions
    assert "more of the same lesions are set aside" in divided.assumed


@pytest.mark.parametrize(
    ("change", "trained_on", "error", "sentence"),
    [
        (lambda d: d, {"a"}, UsageError, "brings a split, and --trained-on names images as well"),
        (without_split, {"a"}, TableError, "is in the list of --trained-on .it has, .* a; the"),
        (
            lambda d: d.with_records(replace(r, split="train") for r in d.records), None,
            TableError, "All images are in the part train",
        ),
    ],
)  # fmt: skip
def test_contradictions_about_what_was_seen_are_refused(
    data: Dataset, digests: list[str], change: Any, trained_on: Any, error: Any, sentence: str
):
    with pytest.raises(error, match=sentence):
        divide(change(data), digests, seed=0, trained_on=trained_on)


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("labels") / "labels.txt"
    file.write_text("".join(f"{code}\n" for code in CODES))
    return file


@pytest.fixture(scope="module")
def model_file(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A softmax model of three classes that was trained on bytes divided by 255."""
    from keras import layers

    model = elsewhere.trained(generated, elsewhere.unit)
    file = tmp_path_factory.mktemp("elsewhere") / "elsewhere.keras"
    elsewhere.followed_by(model, layers.Softmax()).save(file)
    return file


@pytest.fixture(scope="module")
def imported(
    model_file: Path, labels: Path, data: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """Its run folder."""
    source = Source(model_file, labels, normalisation="unit")
    return import_model(source, data, tmp_path_factory.mktemp("runs") / "imported", QUICK)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The sentence with which a call is refused; nothing is left behind."""
    capsys.readouterr()
    assert main(["import", *map(str, words)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last.startswith("dermedge: ")
    return last


def test_run_says_what_the_files_model_says(imported: RunFolder, model_file: Path, data: Dataset):
    import keras

    original = keras.models.load_model(model_file)
    tensors = elsewhere.tensors_of(data)[elsewhere.rows_of(data, "test")]
    before = np.asarray(original(tensors / 255), np.float64)
    calibration = imported.run.calibration
    logits = np.log(before) / (calibration.temperature if calibration.kept else 1.0)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    with (imported.folder / "predictions_test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    written = np.array([[row[f"p_{code}"] for code in CODES] for row in rows], np.float64)
    np.testing.assert_allclose(written, probabilities, atol=1e-5)
    assert imported.run.metrics["test"]["auc_macro"].value > 0.6


def test_run_says_where_the_model_came_from_and_what_is_taken_on_trust(
    imported: RunFolder, model_file: Path
):
    record = read_import(imported)
    assert record is not None
    assert (record.file, record.normalisation, record.declared) == (model_file.name, "unit", True)
    assert record.difference < 1e-5
    assert min(record.tried, key=lambda name: record.tried[name].log_loss) == "unit"
    assert "part train are taken as trained on" in record.trained_on
    assert imported.run.config.arch == "imported"
    assert imported.run.best_epoch == 0
    assert imported.run.weights.startswith("imported from elsewhere.keras (SHA-256 ")


def test_classes_stand_in_the_order_of_the_models_outputs(
    generated: Path, data: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from keras import layers

    order = [1, 2, 0]
    logits = elsewhere.trained(generated, elsewhere.unit)
    kernel, bias = logits.layers[-1].get_weights()
    logits.layers[-1].set_weights([kernel[:, order], bias[order]])
    file, labels = tmp_path / "turned.keras", tmp_path / "labels.txt"
    elsewhere.followed_by(logits, layers.Softmax()).save(file)
    labels.write_text("bkl\nmel\nnv\n")
    call = [file, "--labels", labels, "--data", generated, "--out", tmp_path / "run"]
    sentence = refused(capsys, *call, "--normalisation", "unit")
    assert "fit clearly better in the order mel, nv, bkl" in sentence
    labels.write_text("mel\nnv\nbkl\n")
    run = import_model(Source(file, labels, normalisation="unit"), data, tmp_path / "run", QUICK)
    assert run.run.codes == ("mel", "nv", "bkl")
    assert run.run.melanoma == "mel"
    assert run.run.metrics["val"]["melanoma_auc"].value > 0.6


def test_single_sigmoid_becomes_two_classes(generated: Path, tmp_path: Path):
    from keras import layers

    rows = [r for r in read_data(generated).records if r.label in ("mel", "nv")]
    with (tmp_path / "two.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image_id", "dx", "lesion_id", "split", "file"))
        writer.writerows((r.image_id, r.label, r.lesion_id, r.split, r.file) for r in rows)
    (tmp_path / "labels.txt").write_text("nv\nmel\n")
    logit = elsewhere.trained(tmp_path / "two.csv", elsewhere.unit, positive="mel")
    model = elsewhere.followed_by(logit, layers.Activation("sigmoid"))
    model.save(tmp_path / "one.keras")
    data = read_data(tmp_path / "two.csv")
    run = import_model(
        Source(tmp_path / "one.keras", tmp_path / "labels.txt", normalisation="unit"), data,
        tmp_path / "run", QUICK,
    )  # fmt: skip
    assert run.run.codes == ("nv", "mel")
    tensors = elsewhere.tensors_of(data)[:50]
    after, before = answers(run.model(), tensors), answers(model, tensors / 255)
    calibration = run.run.calibration
    odds = np.log(before / (1 - before)) / (calibration.temperature if calibration.kept else 1)
    np.testing.assert_allclose(after[:, 1], 1 / (1 + np.exp(-odds[:, 0])), atol=1e-5)


def test_wrong_normalisation_is_refused_by_the_name_of_the_right_one(
    model_file: Path, labels: Path, generated: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    call = [model_file, "--labels", labels, "--data", generated, "--out", tmp_path / "run"]
    sentence = refused(capsys, *call, "--normalisation", "tf")
    assert (
        "The normalisation unit (x / 255) fits clearly better than tf (x / 127.5 - 1)" in sentence
    )
    assert "validation images; use `--normalisation unit`." in sentence
    assert not (tmp_path / "run").exists()


def test_normalisation_that_is_not_named_is_found_where_the_images_tell_and_said(
    model_file: Path, labels: Path, generated: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    call = ["import", model_file, "--labels", labels, "--data", generated, "--bootstrap", 100]
    capsys.readouterr()
    assert main([*map(str, call), "--out", str(tmp_path / "run"), "--no-report", "--json"]) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record["import"]["normalisation"] == "unit"
    assert record["import"]["declared"] is False
    assert record["run"] == str(tmp_path / "run")
    assert "normalisation unit, found on the images; tried on 183 validation images" in printed.err
    assert "the 380 images of the part train are taken as trained on" in printed.err


def test_normalisation_that_the_images_do_not_tell_is_asked_for():
    from train.importing.behaviour import judge
    from train.importing.fitting import Sample

    random = np.random.default_rng(1)
    truth = random.integers(0, 3, 200)
    good = np.full((200, 3), 0.2) + 0.4 * np.eye(3)[truth]
    sample = Sample.of(truth, np.arange(200).astype(str), 3, seed=0)
    found = {name: np.full((200, 3), 1 / 3) for name in NORMALISATIONS}
    found |= {"tf": good, "torch": good}
    with pytest.raises(UsageError, match=r"do not tell .*tf: .*torch: .*; say it with --normalis"):
        judge(found, sample, CODES, declared=None, accept_unproven=True)
    assert judge(found, sample, CODES, declared="torch", accept_unproven=False).accepted == ""
    found |= {"tf": found["unit"], "torch": found["unit"]}
    with pytest.raises(ConversionError, match="no better than chance on 200 validation images"):
        judge(found, sample, CODES, declared=None, accept_unproven=True)


def test_answers_that_collapse_to_the_frequent_class_do_not_fit_better():
    """A balanced model has the higher log loss on unbalanced images, and is the better one."""
    from train.importing.fitting import Sample, clearly_better, fit

    random = np.random.default_rng(2)
    truth = (random.random(400) < 0.1).astype(np.int64)
    informed = np.clip(0.5 + 0.25 * (2 * truth - 1) + random.normal(0, 0.25, 400), 0.05, 0.95)
    informed = np.clip(informed + 0.25, 0.05, 0.98)  # as if both classes were equally frequent
    collapsed = np.full(400, 0.1)
    sample = Sample.of(truth, np.arange(400).astype(str), 2, seed=0)
    fits = [fit(np.stack([1 - p, p], axis=1), sample) for p in (informed, collapsed)]
    assert fits[1].loss < fits[0].loss
    assert not clearly_better(fits[1], fits[0], sample)


def test_model_that_knows_nothing_is_refused_and_accepted_on_request(
    labels: Path, generated: Path, data: Dataset, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    from keras import layers

    head = layers.Dense(3, activation="softmax", kernel_initializer="zeros")
    elsewhere.followed_by(elsewhere.features(4), head).save(tmp_path / "blank.keras")
    call = [tmp_path / "blank.keras", "--labels", labels, "--data", generated]
    sentence = refused(capsys, *call, "--normalisation", "unit", "--out", tmp_path / "run")
    assert "no better than chance on 183 validation images (AUC 0.500" in sentence
    source = Source(tmp_path / "blank.keras", labels, normalisation="unit", accept_unproven=True)
    run = import_model(source, data, tmp_path / "run", QUICK)
    assert "no better than chance" in capsys.readouterr().err
    record = read_import(run)
    assert record is not None
    assert "no better than chance" in record.accepted


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("bkl\nmel\nnevus\n", "lists the classes bkl, mel, nevus, but data has bkl, mel, nv"),
        ("bkl\nmel\n", "lists the classes bkl, mel, but data has bkl, mel, nv"),
        ("mel\nmel\nnv\n", "lists mel more than once"),
        ("\n", "lists 0 classes, expected at least two"),
    ],
)
def test_labels_that_do_not_meet_the_data_are_refused(
    model_file: Path, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    lines: str, sentence: str,
):  # fmt: skip
    (tmp_path / "labels.txt").write_text(lines)
    call = [model_file, "--labels", tmp_path / "labels.txt", "--data", generated]
    assert sentence in refused(capsys, *call, "--out", tmp_path / "run")


def test_labels_that_do_not_meet_the_models_outputs_are_refused(
    labels: Path, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    ending("sigmoid").save(tmp_path / "one.keras")
    call = [tmp_path / "one.keras", "--labels", labels, "--data", generated]
    sentence = refused(capsys, *call, "--out", tmp_path / "run")
    assert "lists 3 classes (bkl, mel, nv), but one.keras ends in a sigmoid of 1 output" in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--input-rule", "crop=whole"], "The input rule.crop is 'whole', expected one of 'centre"),
        (["--input-rule", "size=64"], "say it with --input-size"),
        (["--input-rule", "draft"], "--input-rule draft cannot be read"),
        (["--input-rule", "mean=0"], "The input rule has an unknown key 'mean'"),
        (["--input-size", "64"], "takes images of 32 px, not 64"),
        (["--trained-on", "nowhere.txt"], "nowhere.txt cannot be read"),
    ],
)
def test_call_that_cannot_be_followed_is_refused(
    model_file: Path, labels: Path, generated: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str,
):  # fmt: skip
    call = [model_file, "--labels", labels, "--data", generated, "--out", tmp_path / "run", *words]
    assert sentence in refused(capsys, *call)


def test_existing_folder_is_kept(
    model_file: Path, labels: Path, generated: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    call = [model_file, "--labels", labels, "--data", generated, "--out", tmp_path]
    assert "exists already; name another --out" in refused(capsys, *call)


def test_split_that_leaks_is_refused(
    model_file: Path, labels: Path, generated: Path, tmp_path: Path
):
    shutil.copytree(generated, tmp_path / "data")
    table = tmp_path / "data" / "metadata.csv"
    lines = table.read_text().splitlines()
    first = next(line for line in lines if ",train," in line)
    beside = next(line for line in lines if ",test," in line).split(",")
    torn = ",".join([first.split(",")[0], *beside[1:]])
    table.write_text("\n".join([torn if line == ",".join(beside) else line for line in lines]))
    source = Source(model_file, labels, normalisation="unit")
    with pytest.raises(LeakError, match="stand on both sides of the split"):
        import_model(source, read_data(tmp_path / "data"), tmp_path / "run", QUICK)


@pytest.mark.parametrize("header", ["image_id,seen\n", ""])
def test_listed_images_become_the_part_train_of_the_run(
    model_file: Path, labels: Path, data: Dataset, tmp_path: Path, header: str
):
    seen = [record.image_id for record in data.records if record.split == "train"]
    lines = [f"{name},yes" if header else f"{name}.jpg" for name in seen]
    (tmp_path / "seen.csv").write_text(header + "\n".join(lines))
    source = Source(model_file, labels, "unit", trained_on=tmp_path / "seen.csv")
    run = import_model(source, without_split(data), tmp_path / "run", QUICK)
    rows = run.rows()
    assert {row.image_id for row in rows if row.split == "train"} == set(seen)
    record = read_import(run)
    assert record is not None
    assert "380 of the 703 images are taken as trained on, as listed" in record.trained_on


def test_input_rule_travels_in_the_run(
    model_file: Path, labels: Path, data: Dataset, tmp_path: Path
):
    source = Source(model_file, labels, "unit", input_rule={"jpeg_draft": 0})
    run = import_model(source, data, tmp_path / "run", QUICK)
    assert (run.run.input.size, run.run.input.jpeg_draft) == (32, 0)


# --- what takes the run further -------------------------------------------------------------------


def test_report_tells_of_the_import_instead_of_learning_curves(imported: RunFolder, tmp_path: Path):
    from train.report import write_report

    text = write_report(imported, tmp_path / "report.html", robustness=False).read_text()
    assert "Trained elsewhere" in text
    assert "images of the part train are taken as trained on" in text
    assert "Learning curves" not in text
    assert "learning_rate" not in text
    assert "Grad-CAM for" in text  # the flat graph has features to explain


def test_runs_are_listed_and_compared_without_what_was_never_set(
    imported: RunFolder, run_folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    assert main(["runs"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("imported")]
    assert "imported        32            " in line
    assert main(["runs", "compare", str(imported.folder), str(run_folder.folder)]) == 0
    shown = capsys.readouterr().out
    assert "imported from elsewhere.keras" in shown
    (row,) = [line for line in shown.splitlines() if line.startswith("epochs")]
    assert row.split() == ["epochs", "-", "6"]
    picture = tmp_path / "curves.png"
    assert main(["runs", "plot", str(imported.folder), "--out", str(picture)]) == 2
    assert "has no learning curves, as it was trained elsewhere" in capsys.readouterr().err


def test_evaluation_refuses_what_the_model_is_taken_to_have_seen(
    imported: RunFolder, generated: Path, capsys: pytest.CaptureFixture[str]
):
    call = ["evaluate", str(imported.folder), "--bootstrap", "0", "--json"]
    assert main(call) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 140
    assert main([*call, "--data", str(generated), "--split", "train"]) == 2
    assert "that imported was trained on" in capsys.readouterr().err
