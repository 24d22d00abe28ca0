"""A Keras image classifier that was trained elsewhere, made into a run folder.

>>> from train.importing import Source, import_model
>>> source = Source(Path("model.keras"), Path("labels.txt"), normalisation="tf")
>>> import_model(source, read_data("ham10000"), Path("runs/foreign"))

- `file`: reading the model, in Keras's safe mode, and the lists that come with it
- `foreign`, `graph`: looking at it: what it takes, what it ends in, what it answers
- `network`: rebuilding it with its normalisation inside, and logits before the softmax
- `normalisation`: the rules by which bytes become a network's input
- `fitting`, `behaviour`: which of them the model was trained with, by how it answers
- `parts`: which images it has seen, and which may judge it
- `record`: what a run knows of all this
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime._lazy import lazy_names

if TYPE_CHECKING:
    from train.importing.importing import Source, import_model

__all__ = ["Source", "import_model"]

__getattr__ = lazy_names(__name__, {"Source": "importing", "import_model": "importing"})


def __dir__() -> list[str]:
    return sorted(__all__)
