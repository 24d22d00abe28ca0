"""What a training run can be told: one frozen dataclass, kept in full in the run folder."""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.errors import UsageError


@dataclass(frozen=True)
class TrainConfig:
    """Everything that shapes a run besides the data.

    Attributes:
        arch: name of an architecture, see `train.architectures`.
        input_size: side of the input in pixels.
        epochs: how many times every training image is seen.
        batch_size: images a step.
        learning_rate: peak of the schedule (linear warm-up, then a cosine down to zero).
        warmup_epochs: length of the warm-up.
        weight_decay: of AdamW.
        dropout: before the last layer.
        class_weighting: 0 trains on the classes as they are, 1 weighs them to equal sums; between,
            the weights are inverse frequencies to that power.
        augmentation: 0 turns it off, 1 is the usual strength.
        pretrained: start from the architecture's ImageNet weights where it has them.
        seed: of the split, the shuffling, the initial weights and the augmentation.
        val_fraction, test_fraction: shares for parts that the data does not bring.
        sensitivity: what the operating points are chosen for, on validation.
        bootstrap: resamples behind the 95% intervals.
    """

    arch: str = "efficientnet_lite0"
    input_size: int = 160
    epochs: int = 12
    batch_size: int = 32
    learning_rate: float = 5e-4
    warmup_epochs: float = 1.0
    weight_decay: float = 0.02
    dropout: float = 0.2
    class_weighting: float = 0.0
    augmentation: float = 1.0
    pretrained: bool = True
    seed: int = 0
    val_fraction: float = 0.15
    test_fraction: float = 0.15
    sensitivity: float = 0.90
    bootstrap: int = 1000

    def __post_init__(self) -> None:
        """Refuse values that cannot work, naming the range that can."""
        ranges = {
            "epochs": (1, 10_000), "batch_size": (1, 4096), "learning_rate": (1e-8, 10.0),
            "warmup_epochs": (0, 100), "weight_decay": (0, 1), "dropout": (0, 0.9),
            "class_weighting": (0, 1), "augmentation": (0, 3), "seed": (0, 2**31 - 1),
            "val_fraction": (0.02, 0.5), "test_fraction": (0.02, 0.5), "sensitivity": (0.5, 0.999),
            "bootstrap": (100, 100_000),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} is {value}, expected {low} to {high}.")
