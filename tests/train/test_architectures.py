from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train.architectures
from edge_runtime.errors import UsageError
from train.architectures import ARCHITECTURES, Built, backbone_layers, build

SIZE, CLASSES = 64, 3
HEAD = ["pool", "dropout", "logits", "probabilities"]
# What TFLite's int8 kernels and ONNX Runtime's QDQ kernels both run without falling back to float.
CONVERTIBLE = {
    "InputLayer",
    "Rescaling",
    "Conv2D",
    "DepthwiseConv2D",
    "ZeroPadding2D",
    "BatchNormalization",
    "ReLU",
    "MaxPooling2D",
    "Add",
    "GlobalAveragePooling2D",
    "Dropout",
    "Dense",
    "Activation",
}

every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


@cache
def built(name: str, pretrained: bool = False) -> Built:
    return build(name, input_size=SIZE, classes=CLASSES, pretrained=pretrained)


# The registry


def test_every_module_is_registered_under_its_own_name() -> None:
    folder = Path(train.architectures.__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert modules == set(ARCHITECTURES)
    for name, architecture in ARCHITECTURES.items():
        assert architecture.name == name
        assert architecture.module == f"train.architectures.{name}"
        assert architecture.default_input_size in train.architectures.INPUT_SIZES


def test_importing_the_registry_loads_neither_keras_nor_tensorflow() -> None:
    code = (
        "import sys, train.architectures; "
        "print(sorted({'keras', 'tensorflow', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("plain_cn", "plain_cnn"),
        ("EfficientNet-Lite0", "efficientnet_lite0"),
        ("efficientnet_lite22", "efficientnet_lite2"),
        ("efficientnet_lite0_fron", "efficientnet_lite0_front"),
        ("MobileNetV2", "mobilenet_v2"),
    ],
)
def test_unknown_name_suggests_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{meant}'") as caught:
        build(typed, input_size=SIZE, classes=CLASSES)
    assert all(name in str(caught.value) for name in ARCHITECTURES)


@pytest.mark.parametrize("typed", ["resnet50", "convnext", "inception"])
def test_name_of_something_else_is_not_taken_for_a_slip(typed: str) -> None:
    with pytest.raises(UsageError, match=f"^no architecture '{typed}'; choose from: plain_cnn, "):
        build(typed, input_size=SIZE, classes=CLASSES)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"input_size": 31}, "input size 31"),
        ({"input_size": 513}, "input size 513"),
        ({"classes": 1}, "at least 2"),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"dropout": float("nan")}, "dropout nan"),
        ({"width": 0.0}, "width 0.0"),
        ({"width": float("nan")}, "width nan"),
    ],
)
def test_wrong_argument_is_refused_in_words(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        build("plain_cnn", **({"input_size": SIZE, "classes": CLASSES} | arguments))


def test_width_of_an_architecture_that_has_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"one width, so width 0\.5 cannot be built.*mobilenet_v2"):
        build("efficientnet_lite0", input_size=SIZE, classes=CLASSES, width=0.5)


@every_architecture
def test_registry_knows_which_backbones_have_a_width(name: str) -> None:
    backbone = importlib.import_module(ARCHITECTURES[name].module).BACKBONE
    options = [
        p.name
        for p in inspect.signature(backbone.features).parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert options == (["width"] if ARCHITECTURES[name].has_width else [])


# The contract


@every_architecture
def test_model_takes_rgb_bytes_and_gives_probabilities(name: str) -> None:
    model = built(name).model
    (image,) = model.inputs
    assert (image.name, image.dtype, image.shape) == ("image", "float32", (None, SIZE, SIZE, 3))

    images = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    images[0], images[1] = 0, 255
    probabilities = model.predict(images, verbose=0)
    assert probabilities.shape == (4, CLASSES)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    assert (probabilities >= 0).all()


@every_architecture
def test_normalisation_is_inside_the_model(name: str) -> None:
    normalisation = built(name).model.get_layer("normalisation")
    black, grey, white = np.asarray(normalisation(np.array([0, 127, 255], np.float32)))
    assert black == pytest.approx(-1.0, abs=0.01)
    assert grey == pytest.approx(0.0, abs=0.01)
    assert white == pytest.approx(1.0, abs=0.01)


@every_architecture
def test_layers_are_named_for_export_and_known_to_the_converters(name: str) -> None:
    layers = built(name).model.layers
    assert [layer.name for layer in layers[:2]] == ["image", "normalisation"]
    assert [layer.name for layer in layers[-len(HEAD) :]] == HEAD
    assert not [layer.name for layer in layers if layer.name.startswith("_")]
    assert {type(layer).__name__ for layer in layers} <= CONVERTIBLE
    for layer in layers:
        if type(layer).__name__ == "ReLU":
            assert layer.max_value in (None, 6.0)
            assert layer.negative_slope == layer.threshold == 0.0


@every_architecture
def test_backbone_is_all_between_normalisation_and_head(name: str, tmp_path: Path) -> None:
    import keras

    model = built(name).model
    names = [layer.name for layer in backbone_layers(model)]
    assert ["image", "normalisation", *names, *HEAD] == [layer.name for layer in model.layers]
    assert names[-1] == "features"
    assert model.get_layer("pool").input is model.get_layer("features").output

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [layer.name for layer in backbone_layers(loaded)] == names


def test_freezing_the_backbone_leaves_only_the_head_to_train() -> None:
    model = build("plain_cnn", input_size=32, classes=CLASSES).model
    for layer in backbone_layers(model):
        layer.trainable = False
    assert [weight.path for weight in model.trainable_weights] == ["logits/kernel", "logits/bias"]


def test_probabilities_stay_float32_under_mixed_precision() -> None:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build("plain_cnn", input_size=32, classes=CLASSES).model
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("logits").output.dtype == "float16"
    assert model.output.dtype == "float32"


def test_backbone_of_a_foreign_model_is_refused() -> None:
    import keras

    foreign = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(UsageError, match="no layers named 'normalisation' and 'features'"):
        backbone_layers(foreign)


def test_width_scales_the_plain_cnn() -> None:
    whole = built("plain_cnn").model.count_params()
    half = build("plain_cnn", input_size=32, classes=CLASSES, width=0.5).model.count_params()
    assert 200_000 < whole < 400_000
    assert 0.2 < half / whole < 0.3


@pytest.mark.parametrize(("width", "millions"), [(0.35, 1.66), (1.0, 3.47), (1.4, 6.06)])
def test_mobilenet_v2_has_the_published_number_of_parameters(width: float, millions: float) -> None:
    # Of keras.applications' table for 1000 classes, which leaves batch normalization out.
    model = build("mobilenet_v2", input_size=224, classes=1000, width=width, pretrained=False).model
    counted = sum(
        layer.count_params()
        for layer in model.layers
        if type(layer).__name__ != "BatchNormalization"
    )
    assert counted / 1e6 == pytest.approx(millions, abs=0.005)


def test_mobilenet_v2_scales_bytes_as_keras_applications_does() -> None:
    import keras

    values = np.arange(256, dtype=np.float32)
    found = built("mobilenet_v2").model.get_layer("normalisation")(values)
    expected = keras.applications.mobilenet_v2.preprocess_input(values.copy())
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-6)


@pytest.mark.slow
def test_mobilenet_v2_answers_in_eight_bits_as_in_floats(tmp_path: Path) -> None:
    import keras

    from convert.variants import VARIANTS, Exported
    from edge_runtime import backends

    keras.utils.set_random_seed(0)
    model = build(
        "mobilenet_v2", input_size=32, classes=CLASSES, width=0.35, pretrained=False
    ).model
    # Three kinds of images by their colour, and the last layer tells them by their nearest mean.
    rng, kinds = np.random.default_rng(0), np.arange(48) % CLASSES
    colours = np.array([[60, 40, 30], [200, 90, 80], [190, 200, 230]])
    noise = rng.normal(0, 25, (48, 32, 32, 3))
    images = np.clip(colours[kinds][:, None, None] + noise, 0, 255).astype(np.uint8)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            if not layer.name.endswith("project_BN"):
                # ReLU6 in the middle of its range: with its bends, so deep a network of random
                # weights is chaotic, and any rounding turns its answers.
                layer.beta.assign(layer.beta + 3.0)
    model(images.astype(np.float32), training=True)
    pooled = keras.Model(model.input, model.get_layer("pool").output)
    found = np.asarray(pooled(images.astype(np.float32)))
    spread = found - found.mean(axis=0)
    means = np.stack([spread[kinds == kind].mean(axis=0) for kind in range(CLASSES)], axis=1)
    scale = 2 / (found @ means).std()
    bias = -found.mean(axis=0) @ means - (means**2).sum(axis=0) / 2
    model.get_layer("logits").set_weights([means * scale, bias * scale])
    expected = np.asarray(model(images.astype(np.float32)))

    signature = [keras.InputSpec(shape=(1, 32, 32, 3), dtype="float32")]
    saved = tmp_path / "saved_model"
    model.export(str(saved), format="tf_saved_model", input_signature=signature, verbose=False)
    exported = Exported(model, saved, 32, images[:12], ("a", "b", "c"))
    content = VARIANTS["tflite_int8"].convert(exported).model()
    interpreter = backends.load(backends.choose("tflite"), content, threads=1)
    answers = np.stack([interpreter.run(image) for image in images])
    assert len(content) < 0.5 * 4 * model.count_params()
    assert set(expected.argmax(axis=1)) == {0, 1, 2}
    assert (answers.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.9
    assert np.abs(answers - expected).mean() < 0.06
