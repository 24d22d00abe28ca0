"""How a classifier's figures hold when pictures are worse than those it was trained on.

Named corruptions at five severities, after Hendrycks & Dietterich, Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations, ICLR 2019. They act on the model's input square
(the cached uint8 tensor), not on the photograph before it was cropped and shrunk: what is measured
is how the model stands what reaches it, whatever camera it came from.

Where a corruption is one of theirs, its values are those that they published for CIFAR-10-C, whose
pictures are as small as a model's input; hair, ruler and dark corners are what dermoscopic images
suffer from, and ours.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from edge_runtime.backends import usable_cores
from edge_runtime.errors import UsageError
from edge_runtime.manifest import Metric, OperatingPoint
from train.evaluation.weighted import weighted_figures
from train.metrics import Predictions, evaluate

if TYPE_CHECKING:
    from train.pipeline import Predict

SEVERITIES = (1, 2, 3, 4, 5)
MOST_IMAGES = 500
CLEAN = "clean"
CLEAN_BOOTSTRAP = 200
"""Resamples behind the intervals of the uncorrupted figures, against which the others are read."""

Pixels = NDArray[np.uint8]

_PUBLISHED_SIZE = 32  # side in pixels of the pictures for which lengths were published
_FINER = 3  # hairs and rulers are drawn this much larger and then shrunk, which smooths their edges
_HAIR_WIDTH = 0.008  # of the side
_TICKS = 22  # along one side of the image
_TICK_WIDTH = 0.008  # of the side
_LONG_TICK = 5  # every fifth is long, the others half as long
_SOFT_EDGE = 0.15  # of half the side: how wide dark corners fade in


def _blur(image: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    from scipy.ndimage import gaussian_filter

    spread = sigma * image.shape[0] / _PUBLISHED_SIZE
    return _bytes(gaussian_filter(image.astype(np.float32), (spread, spread, 0), mode="nearest"))


def _jpeg(image: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=int(quality))
    return np.array(Image.open(content).convert("RGB"))


def _brightness(image: Pixels, change: float, rng: np.random.Generator) -> Pixels:
    """Shift the value of HSV by ``change`` of its range; hue and saturation stay."""
    colour = image.astype(np.float32)
    value = colour.max(axis=2, keepdims=True)
    shifted = np.clip(value + 255 * change, 0, 255)
    return _bytes(np.where(value > 0, colour * (shifted / np.maximum(value, 1)), shifted))


def _contrast(image: Pixels, kept: float, rng: np.random.Generator) -> Pixels:
    colour = image.astype(np.float32)
    mean = colour.mean(axis=(0, 1), keepdims=True)
    return _bytes((colour - mean) * kept + mean)


def _noise(image: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    return _bytes(image + 255 * sigma * rng.standard_normal(image.shape, np.float32))


def _hair(image: Pixels, count: float, rng: np.random.Generator) -> Pixels:
    """Dark curved hairs; a higher severity adds to those of a lower one."""
    side = image.shape[0] * _FINER
    canvas = Image.new("L", (side, side))
    draw = ImageDraw.Draw(canvas)
    steps = np.linspace(0, 1, 24)[:, None]
    for _ in range(int(count)):
        start, end = rng.uniform(-0.1, 1.1, (2, 2))
        bend = (start + end) / 2 + rng.normal(0, 0.15, 2)
        curve = (1 - steps) ** 2 * start + 2 * steps * (1 - steps) * bend + steps**2 * end
        width = max(2, round(side * _HAIR_WIDTH * rng.uniform(0.6, 1.4)))
        draw.line([tuple(point) for point in (curve * side).tolist()], fill=235, width=width)
    return _painted(image, canvas, np.array([38.0, 26.0, 20.0]))


def _ruler(image: Pixels, length: float, rng: np.random.Generator) -> Pixels:
    """Tick marks along one side, the long ones ``length`` of the side long."""
    side = image.shape[0] * _FINER
    canvas = Image.new("L", (side, side))
    draw = ImageDraw.Draw(canvas)
    turns, shift = int(rng.integers(4)), rng.uniform(0, side / _TICKS)
    width = max(_FINER, round(side * _TICK_WIDTH))
    for tick in range(_TICKS):
        left = shift + tick * side / _TICKS
        reach = side * length * (1 if tick % _LONG_TICK == 0 else 0.5)
        draw.rectangle((left, 0, left + width - 1, reach), fill=230)
    return _painted(image, canvas.rotate(90 * turns), np.array([25.0, 25.0, 35.0]))


def _dark_corners(image: Pixels, radius: float, rng: np.random.Generator) -> Pixels:
    """Black outside a circle of ``radius`` half sides, as a dermatoscope's tube gives."""
    side = image.shape[0]
    along = (np.arange(side) + 0.5) / side * 2 - 1
    across, down = rng.uniform(-0.08, 0.08, 2)
    distance = np.hypot(along[None, :] - across, along[:, None] - down)
    light = np.clip((radius + _SOFT_EDGE - distance) / _SOFT_EDGE, 0, 1)
    return _bytes(image * light[..., None])


def _rescale(image: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    side = image.shape[0]
    small = max(2, round(side * factor))
    shrunk = Image.fromarray(image).resize((small, small), Image.Resampling.BILINEAR)
    return np.array(shrunk.resize((side, side), Image.Resampling.BILINEAR))


def _painted(image: Pixels, canvas: Image.Image, colour: NDArray[np.float64]) -> Pixels:
    opacity = np.asarray(canvas.reduce(_FINER), np.float32)[..., None] / 255
    return _bytes(image * (1 - opacity) + colour * opacity)


def _bytes(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Corruption:
    """One way in which a picture can be worse.

    Attributes:
        title: for people.
        parameter: what ``values`` are, in words.
        values: of severities 1 to 5.
        apply: pure function of (image uint8 (size, size, 3), value, rng), giving such an image.
    """

    title: str
    parameter: str
    values: tuple[float, float, float, float, float]
    apply: Callable[[Pixels, float, np.random.Generator], Pixels]


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        "blur": Corruption(
            "Blur", "sigma of a Gaussian, in 1/32 of the side", (0.4, 0.6, 0.7, 0.8, 1.0), _blur
        ),
        "jpeg": Corruption("JPEG", "quality", (80, 65, 58, 50, 40), _jpeg),
        "darker": Corruption(
            "Darker", "change of brightness (HSV)", (-0.05, -0.1, -0.15, -0.2, -0.3), _brightness
        ),
        "brighter": Corruption(
            "Brighter", "change of brightness (HSV)", (0.05, 0.1, 0.15, 0.2, 0.3), _brightness
        ),
        "contrast": Corruption(
            "Less contrast", "share that is kept", (0.75, 0.5, 0.4, 0.3, 0.15), _contrast
        ),
        "noise": Corruption(
            "Noise", "sigma of a Gaussian, of full scale", (0.04, 0.06, 0.08, 0.09, 0.1), _noise
        ),
        "hair": Corruption("Hair", "number of hairs", (3, 6, 10, 15, 22), _hair),
        "ruler": Corruption(
            "Ruler", "length of its ticks, of the side", (0.06, 0.09, 0.12, 0.16, 0.2), _ruler
        ),
        "dark_corners": Corruption(
            "Dark corners", "radius of the bright circle, in half sides",
            (1.2, 1.1, 1.0, 0.9, 0.8), _dark_corners,
        ),
        "rescale": Corruption(
            "Down and up", "side it is shrunk to, of the side", (0.6, 0.5, 0.4, 0.3, 0.25), _rescale
        ),
    }
)  # fmt: skip
"""The whole table of severities. `rescale` has ImageNet-C's values of pixelation, as those of
CIFAR-10-C hardly change a picture that is interpolated back."""


@dataclass(frozen=True)
class Corrupted:
    """The figures under one corruption.

    Attributes:
        corruption: a key of `CORRUPTIONS`, or `CLEAN`.
        severity: 1 to 5; 0 for the images as they are.
        images: how many were used.
        metrics: of `names_of`; only those of the clean images have intervals.
    """

    corruption: str
    severity: int
    images: int
    metrics: Mapping[str, Metric]


def corrupt(image: Pixels, corruption: str, severity: int, rng: np.random.Generator) -> Pixels:
    """A worse copy of an image; the same state of ``rng`` gives the same copy.

    Args:
        image: uint8 of shape (size, size, 3), RGB.
        corruption: a key of `CORRUPTIONS`.
        severity: 1 to 5; 0 gives the image itself.
        rng: decides where hairs lie and the like. Started anew for every severity, a higher one
            is the lower one made worse.

    Returns:
        uint8 of the same shape.

    Raises:
        UsageError: no such corruption or severity.
    """
    if corruption not in CORRUPTIONS:
        raise UsageError(f"No corruption {corruption!r}; choose from: {', '.join(CORRUPTIONS)}.")
    if severity not in (0, *SEVERITIES):
        raise UsageError(f"severity is {severity}, expected 0 to {SEVERITIES[-1]}.")
    if severity == 0:
        return image
    chosen = CORRUPTIONS[corruption]
    return chosen.apply(image, chosen.values[severity - 1], rng)


def random_of(seed: int, corruption: str, image: int) -> np.random.Generator:
    """The generator that `robustness` gives to `corrupt`: one an image, for all severities."""
    return np.random.default_rng([seed, zlib.crc32(corruption.encode()), image])


def names_of(predictions: Predictions) -> tuple[str, ...]:
    """The figures that are followed: balanced accuracy, and those of every target."""
    return (
        *(f"{target}_{figure}" for target in predictions.targets
          for figure in ("auc", "sensitivity", "specificity")),
        "balanced_accuracy",
    )  # fmt: skip


def robustness(
    predict: Predict,
    tensors: NDArray[np.uint8],
    rows: NDArray[np.int64],
    truth: Predictions,
    points: Mapping[str, OperatingPoint],
    *,
    seed: int,
    most: int = MOST_IMAGES,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Corrupted, ...]:
    """The figures on the images as they are and under every corruption at every severity.

    Args:
        predict: from `train.pipeline.predictor`.
        tensors: the model's input squares, uint8 of shape (n, size, size, 3).
        rows: m indices into ``tensors``.
        truth: the right answers of those rows; its probabilities are not used.
        points: frozen operating points by target.
        seed: of the choice of images and of the corruptions.
        most: of more images than this, a part stratified by class is used.
        progress: called with (done, total) in images.

    Returns:
        first the clean figures (severity 0), then those of `CORRUPTIONS` in order, by severity.
    """
    chosen = _stratified(truth.truth, most, np.random.default_rng(seed))
    truth = replace(truth, truth=truth.truth[chosen], groups=truth.groups[chosen])
    clean = np.ascontiguousarray(tensors[rows[chosen]])
    every, names = np.arange(len(clean)), names_of(truth)
    once = np.ones((1, len(clean)))  # every image counts once: the plain figures, but fast
    total = len(clean) * (1 + len(CORRUPTIONS) * len(SEVERITIES))

    def answers(images: Pixels) -> Predictions:
        return replace(truth, probabilities=predict(images, every))

    whole = evaluate(answers(clean), points, bootstrap=CLEAN_BOOTSTRAP, seed=seed)
    metrics = {name: whole[name] for name in names if name in whole}
    results = [Corrupted(CLEAN, 0, len(clean), metrics)]
    with ThreadPoolExecutor(usable_cores()) as pool:
        for corruption in CORRUPTIONS:
            for severity in SEVERITIES:

                def worse(index: int, name: str = corruption, level: int = severity) -> Pixels:
                    return corrupt(clean[index], name, level, random_of(seed, name, index))

                images = np.stack(list(pool.map(worse, range(len(clean)))))
                values = weighted_figures(answers(images), points, once)
                metrics = {name: Metric(float(values[name][0])) for name in names if name in values}
                results.append(Corrupted(corruption, severity, len(clean), metrics))
                if progress is not None:
                    progress(len(clean) * len(results), total)
    return tuple(results)


def _stratified(truth: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """At most ``most`` positions, in order, with the classes in proportion."""
    if len(truth) <= most:
        return np.arange(len(truth))
    by_class = np.lexsort((rng.random(len(truth)), truth))
    return np.sort(by_class[np.linspace(0, len(truth) - 1, most).round().astype(np.int64)])
