"""What a training run can be told: frozen dataclasses, kept in full in the run folder."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from edge_runtime.errors import UsageError

Sampling = Literal["natural", "balanced"]
Monitor = Literal["val_loss", "val_auc"]
CalibrationKind = Literal["temperature", "bias-corrected"]

IMPORTED = "imported"
"""`TrainConfig.arch` of a model that was trained elsewhere. No such architecture can be built, and
what is said of training is left at its defaults and means nothing."""

USED_BY_IMPORT = ("arch", "input_size", "seed", "sensitivity", "bootstrap")
"""The fields that such a run rests on."""

FEWEST_RESAMPLES, MOST_RESAMPLES = 100, 100_000
"""Behind a 95% interval: 100 leave two beyond each end, more than the most only take time."""
HIGHEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes to training images; `TrainConfig.augmentation` scales them all.

    Attributes:
        rotation: degrees either way.
        horizontal_flip, vertical_flip: share of images that are mirrored.
        zoom: scale from 1 - zoom to 1 + zoom.
        shift: share of the side, either way.
        brightness, contrast, saturation: factor from 1 - x to 1 + x.
        hue: degrees either way.
        colour_cast: factor from 1 - x to 1 + x on each channel by itself.
        blur_share, blur: share of images blurred, and the largest standard deviation as a share of
            the side.
        jpeg_share, jpeg_quality: share of images compressed again, and the lowest quality.
        coarse_share, coarsest: share of images scaled down and up again, and the smallest scale.
        corner_share, narrowest: share of images whose corners are dark, as the tube of a
            dermatoscope makes them, and the smallest radius of the bright circle in half sides.
    """

    rotation: float = 180.0
    horizontal_flip: float = 0.5
    vertical_flip: float = 0.5
    zoom: float = 0.25
    shift: float = 0.06
    brightness: float = 0.15
    contrast: float = 0.25
    saturation: float = 0.25
    hue: float = 8.0
    colour_cast: float = 0.06
    blur_share: float = 0.1
    blur: float = 0.01
    jpeg_share: float = 0.15
    jpeg_quality: float = 40.0
    coarse_share: float = 0.3
    coarsest: float = 0.45
    corner_share: float = 0.0
    narrowest: float = 0.75

    def __post_init__(self) -> None:
        """Refuse values that cannot work, naming the range that can."""
        unusual = {
            "rotation": (0, 180), "zoom": (0, 0.8), "shift": (0, 0.5), "hue": (0, 180),
            "blur": (0, 0.1), "jpeg_quality": (5, 95), "coarsest": (0.1, 1),
            "narrowest": (0.3, 1.4),
        }  # fmt: skip
        _check_ranges(self, {field.name: (0, 1) for field in fields(self)} | unusual)


@dataclass(frozen=True)
class TrainConfig:
    """Everything that shapes a run besides the data.

    Attributes:
        arch: name of an architecture.
        width: factor on the channels, for the architectures that have one.
        input_size: side of the input in pixels.
        pretrained: start from the architecture's ImageNet weights where it has them.
        start: run folder of the same architecture and classes to start from instead, at any input
            size; all that it was trained on has to be in the training part.
        teacher: run folder of the same classes whose probabilities are learnt beside the labels,
            may be given again: of several, their mean; all that it was trained on has to be in the
            training part. It answers every image anew, which takes the time of its forward pass.
        distillation: share of the target that is the teachers'.
        frozen_epochs: epochs in which only the head learns, on cached features of the backbone as
            it comes, before the whole network does; 0 for none.
        frozen_stride: layers of the backbone whose maps are at most so many times smaller than the
            image stay as they came; 0 trains them all. Those maps are the largest, so a step
            takes much less time (docs/training_speed.md).
        epochs: how many times the whole network sees every training image.
        batch_size: images a step.
        learning_rate: peak of the schedule (linear warm-up, then a cosine down to zero).
        warmup_epochs: length of the warm-up.
        weight_decay: of AdamW.
        dropout: before the last layer.
        label_smoothing: share of the target that is spread over all classes.
        mixup: parameter of the Beta distribution from which the shares of two mixed images are
            drawn; 0 mixes none (Zhang et al., ICLR 2018).
        class_weighting: 0 trains on the classes as they are, 1 weighs them to equal sums; between,
            the weights are inverse frequencies to that power.
        sampling: "natural" sees every image once an epoch, "balanced" draws every class equally.
        logit_adjustment: the logarithm of the class frequencies, times this, is added to the logits
            in training only; 0 for none (Menon et al., ICLR 2021).
        average_weights: momentum of a running average over the steps, which is what is evaluated
            and kept; 0 for none.
        patience: stop after so many epochs without a better one; 0 never stops early.
        monitor: what makes an epoch the best, "val_loss" or "val_auc" (of the first target).
        calibration: of the probabilities on validation: by a "temperature" alone, or
            "bias-corrected", which gives melanoma the probability of being as frequent as there,
            whatever logit adjustment, class weights or sampling did (`train.calibration`).
        augmentation: 0 turns it off, 1 is the usual strength.
        augment: the ranges that the strength scales.
        seed: of the split, the shuffling, the initial weights and the augmentation.
        deterministic: the same seed gives the same weights to the last bit on the same machine, at
            the price of speed.
        val_fraction: share of the images for validation, where the data brings no such part.
        test_fraction: share of the images for the test, where the data brings no such part.
        sensitivity: what the operating points are chosen for, on validation.
        bootstrap: resamples behind the 95% intervals.
    """

    arch: str = "efficientnet_lite0"
    width: float = 1.0
    input_size: int = 160
    pretrained: bool = True
    start: str = ""
    teacher: tuple[str, ...] = ()
    distillation: float = 0.5
    frozen_epochs: int = 0
    frozen_stride: int = 0
    epochs: int = 12
    batch_size: int = 32
    learning_rate: float = 5e-4
    warmup_epochs: float = 1.0
    weight_decay: float = 0.02
    dropout: float = 0.2
    label_smoothing: float = 0.0
    mixup: float = 0.0
    class_weighting: float = 0.0
    sampling: Sampling = "natural"
    logit_adjustment: float = 0.0
    average_weights: float = 0.0
    patience: int = 0
    monitor: Monitor = "val_loss"
    calibration: CalibrationKind = "temperature"
    augmentation: float = 1.0
    augment: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    deterministic: bool = False
    val_fraction: float = 0.15
    test_fraction: float = 0.15
    sensitivity: float = 0.90
    bootstrap: int = 1000

    def __post_init__(self) -> None:
        """Refuse values that cannot work, naming the range that can."""
        _check_ranges(self, {
            "width": (0.1, 4), "frozen_epochs": (0, 1000), "frozen_stride": (0, 32),
            "epochs": (1, 10_000),
            "batch_size": (1, 4096), "learning_rate": (1e-8, 10.0), "warmup_epochs": (0, 100),
            "weight_decay": (0, 1), "dropout": (0, 0.9), "label_smoothing": (0, 0.5),
            "mixup": (0, 10), "class_weighting": (0, 1), "logit_adjustment": (0, 2),
            "average_weights": (0, 0.99999), "patience": (0, 10_000), "augmentation": (0, 3),
            "distillation": (0, 1), "seed": (0, HIGHEST_SEED),
            "val_fraction": (0.02, 0.5), "test_fraction": (0.02, 0.5),
            "sensitivity": (0.5, 0.999), "bootstrap": (FEWEST_RESAMPLES, MOST_RESAMPLES),
        })  # fmt: skip
        for name, choices in (
            ("sampling", Sampling), ("monitor", Monitor), ("calibration", CalibrationKind)
        ):  # fmt: skip
            if getattr(self, name) not in get_args(choices):
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}, expected {' or '.join(get_args(choices))}."
                )


def _check_ranges(config: object, ranges: dict[str, tuple[float, float]]) -> None:
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        if not low <= value <= high:
            raise UsageError(f"{name} is {value}, expected {low} to {high}.")
