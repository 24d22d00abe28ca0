"""Images and labels in, a trained Keras CNN and honest figures out: a run folder.

>>> from train import TrainConfig, read_data, train
>>> run = train(read_data("ham10000"), TrainConfig(epochs=3), Path("runs/first"))
>>> run.run.metrics["val"]["melanoma_auc"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime._lazy import lazy_names

if TYPE_CHECKING:
    from train.config import TrainConfig
    from train.data.table import Dataset, read_data
    from train.run import RunFolder
    from train.training import train

__all__ = ["Dataset", "RunFolder", "TrainConfig", "read_data", "train"]

_MODULES = {
    "Dataset": "data.table",
    "RunFolder": "run",
    "TrainConfig": "config",
    "read_data": "data.table",
    "train": "training",
}

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
