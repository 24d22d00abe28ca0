"""Models that were trained elsewhere, imported, converted and judged like our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.conversion import convert
from convert.outcome import Conversion, Options
from convert.variants import chosen
from edge_runtime import Classifier
from edge_runtime.bundle import Bundle
from edge_runtime.result import Result
from tests.train import foreign
from train.config import TrainConfig
from train.data.table import read_data
from train.importing import Source, import_model
from train.run import RunFolder

CODES = ("bkl", "mel", "nv")


def imported(file: Path, data: Path, out: Path, normalisation: str) -> RunFolder:
    """The run of a model that tells the generated images' classes apart."""
    labels = out.parent / "labels.txt"
    labels.write_text("".join(f"{code}\n" for code in CODES))
    source = Source(file, labels, normalisation)
    return import_model(source, read_data(data), out, TrainConfig(bootstrap=100))


def converted(run: RunFolder, out: Path, variants: str) -> Conversion:
    options = Options(
        variants=chosen(variants), bootstrap=100, calibration_images=80, accept_unproven=True,
        allow_failing=True, ladder=False,
    )  # fmt: skip
    return convert(run, out, options)


def check_against_the_run(conversion: Conversion, run: RunFolder, folder: Path) -> None:
    """Float answers as the run does, int8 nearly so, and the bundle classifies a file."""
    entries = {o.kind.name: o.entry for o in conversion.outcomes if o.entry is not None}
    assert entries["tflite_f32"].verdict == "pass"
    for name, allowed in (("tflite_f32", 1e-4), ("tflite_int8", 0.05)):
        for split in ("val", "test"):
            figure = entries[name].metrics[split]["melanoma_auc"].value
            expected = run.run.metrics[split]["melanoma_auc"].value
            assert figure == pytest.approx(expected, abs=allowed), name
    assert conversion.bundle is not None
    rows, files = run.find_images("test", folder)
    answer = Classifier.open(conversion.bundle, variant="tflite_f32").classify(files[0])
    assert isinstance(answer, Result)
    with (run.folder / "predictions_test.csv").open() as table:
        first = table.readlines()[1].strip().split(",")
    assert first[0] == rows[0].image_id
    found = [answer.probabilities[code] for code in CODES]
    np.testing.assert_allclose(found, np.array(first[3:], float), atol=1e-3)


def fit(model: Any, folder: Path, preprocess: Any, size: int) -> None:
    """Train on the part "train", as people do."""
    import keras

    data = read_data(folder)
    seen = foreign.rows_of(data, "train")
    images = preprocess(foreign.tensors_of(data, size)[seen].copy())
    truth = np.searchsorted(CODES, foreign.codes_of(data)[seen])
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(images, truth, batch_size=32, epochs=12, verbose=0)


def test_network_with_normalisation_outside_is_converted_with_it_inside(
    generated: Path, tmp_path: Path
):
    """Blue first, less a mean: the rule that takes an operator of its own."""
    import keras
    from keras import layers
    from keras.applications.imagenet_utils import preprocess_input

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((foreign.SIZE, foreign.SIZE, 3))])
    for filters in (16, 32, 32):
        model.add(layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.8))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(3, activation="softmax"))
    fit(model, generated, lambda images: preprocess_input(images, mode="caffe"), foreign.SIZE)
    model.save(tmp_path / "model.keras")

    run = imported(tmp_path / "model.keras", generated, tmp_path / "run", "caffe")
    conversion = converted(run, tmp_path / "bundle", "tflite_f32,tflite_int8")
    check_against_the_run(conversion, run, generated)

    manifest = Bundle.open(tmp_path / "bundle").manifest
    assert manifest.source.training_images is None
    assert manifest.source.licence == "unknown"  # the data's is not that of what it was trained on
    assert "Licence.** It is not said" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text()


def of_layers(size: int) -> tuple[Any, Any, str]:
    """As the guide to transfer learning builds them: the network is a layer of the model."""
    import keras
    from keras import layers
    from keras.applications import mobilenet_v2

    body = mobilenet_v2.MobileNetV2((size, size, 3), alpha=0.35, include_top=False, weights=None)
    image = keras.Input((size, size, 3))
    x = layers.RandomFlip("horizontal_and_vertical")(image)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(body(x)))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    return model, mobilenet_v2.preprocess_input, "tf"


def with_its_own_head(size: int) -> tuple[Any, Any, str]:
    """Its normalisation is a layer inside, and its head a convolution."""
    from keras.applications import MobileNetV3Small, mobilenet_v3

    model = MobileNetV3Small((size, size, 3), minimalistic=True, weights=None, classes=3)
    return model, mobilenet_v3.preprocess_input, "none"


def quick_batch_normalization(model: Any) -> None:
    """The moving averages of `keras.applications` are for trainings as long as ImageNet's."""
    from keras import Model, layers

    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.8
        elif isinstance(layer, Model):
            quick_batch_normalization(layer)


@pytest.mark.slow
@pytest.mark.parametrize("build", [of_layers, with_its_own_head])
def test_network_of_keras_applications_is_imported_with_its_own_preprocessing(
    generated: Path, tmp_path: Path, build: Any
):
    import keras

    size = 64
    keras.utils.set_random_seed(0)
    model, preprocess, normalisation = build(size)
    quick_batch_normalization(model)
    fit(model, generated, preprocess, size)
    model.save(tmp_path / "model.keras")

    run = imported(tmp_path / "model.keras", generated, tmp_path / "run", normalisation)
    assert run.run.input.size == size
    conversion = converted(run, tmp_path / "bundle", "tflite_f32,tflite_int8")
    check_against_the_run(conversion, run, generated)
