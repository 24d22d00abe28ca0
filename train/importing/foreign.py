"""A model that was trained elsewhere, as it was saved: what it takes and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from edge_runtime.errors import ConversionError, UsageError
from train.importing.graph import flat
from train.importing.normalisation import Normalisation

Ending = Literal["softmax", "sigmoid", "linear"]
_BATCH = 64
_ENDINGS: Mapping[str, Ending] = {"softmax": "softmax", "sigmoid": "sigmoid", "linear": "linear"}
_EXACT, _HALF = 1e-4, 0.02
"""Differences of a probability that rounding explains: of 32-bit floats, and of 16-bit ones."""

_WHOLE = 1e-3
"""Distance of a sum of probabilities from one that 16-bit floats explain."""


@dataclass(frozen=True)
class Foreign:
    """A model as it was saved.

    Attributes:
        model: functional, with one input and one output.
        last: class of its last operation, inside all models that it may be made of.
        ending: what that does to the logits.
        outputs: how many numbers it answers.
    """

    model: Any
    last: str
    ending: Ending
    outputs: int

    @property
    def classes(self) -> int:
        """How many classes the answers stand for; a single output tells two apart."""
        return max(2, self.outputs)

    @property
    def tolerance(self) -> float:
        """How far a probability may be from that of the model rebuilt in float32."""
        body = flat(self.model)
        kinds = {getattr(layer, "compute_dtype", "float32") for layer in body.layers}
        return _EXACT if kinds <= {"float32"} else _HALF

    @property
    def words(self) -> str:
        """What it ends in."""
        if self.ending == "linear":
            return "one logit" if self.outputs == 1 else f"{self.outputs} logits"
        return f"a {self.ending} of {self.outputs} output{'s' if self.outputs > 1 else ''}"

    def probabilities(
        self, images: NDArray[np.uint8], normalisation: Normalisation
    ) -> NDArray[np.float64]:
        """What the model answers to images that are normalised outside it, in NumPy.

        Args:
            images: uint8 of shape (n, size, size, 3).
            normalisation: how they become its input.

        Returns:
            float64 of shape (n, classes), NaN where an answer is no number.

        Raises:
            ConversionError: it ends in what are meant to be logits, and are probabilities.
        """
        from scipy.special import expit, softmax

        starts = range(0, len(images), _BATCH)
        parts = [normalisation.apply(np.asarray(images[at : at + _BATCH])) for at in starts]
        answers = [np.asarray(self.model(part, training=False), np.float64) for part in parts]
        found = np.concatenate(answers)
        if self.outputs == 1:
            positive = found[:, 0] if self.ending == "sigmoid" else expit(found[:, 0])
            return np.stack([1 - positive, positive], axis=1)
        if self.ending == "softmax":
            return found
        if (found >= 0).all() and np.allclose(found.sum(axis=1), 1, atol=_WHOLE):
            raise ConversionError(
                f"The model's answers sum to one, and its last layer ({self.last}) is no softmax, "
                "so no temperature can be folded into it; let it end in a dense layer and a "
                "softmax."
            )
        logits: NDArray[np.float64] = softmax(found, axis=1)
        return logits


def foreign(model: Any) -> Foreign:
    """Look at a model that was just read.

    Raises:
        ConversionError: it does not take RGB images or does not answer with one row of classes.
    """
    try:
        inputs, outputs = model.inputs, model.outputs
    except (AttributeError, ValueError):
        inputs = outputs = None
    if not inputs or not outputs:
        raise ConversionError(
            "The model's inputs and outputs are not defined (a class of its own, or a Sequential "
            "model without an Input); build it from keras.Input by keras.Model or Sequential."
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ConversionError(
            f"The model has {len(inputs)} inputs and {len(outputs)} outputs, expected one image "
            "in and one row of classes out."
        )
    _check_input(tuple(inputs[0].shape))
    shape = tuple(outputs[0].shape)
    if len(shape) != 2 or shape[1] is None:
        raise ConversionError(
            f"The model answers with the shape {_shown(shape)}, expected (images, classes); this "
            "is no image classifier."
        )
    whole = keras.Model(inputs[0], outputs[0], name=model.name)
    last = flat(whole).operations[-1]
    ending, count = _ending(last), int(shape[1])
    if ending == "sigmoid" and count > 1:
        raise ConversionError(
            f"The model ends in a sigmoid of {count} outputs, which may all be true at once; "
            "expected a softmax, logits, or a sigmoid of a single output."
        )
    if ending == "softmax" and count == 1:
        raise ConversionError(
            "The model ends in a softmax of a single output, which is always one; expected a "
            "sigmoid there, or two outputs."
        )
    return Foreign(whole, type(last).__name__, ending, count)


def input_size(of: Foreign, asked: int | None) -> int:
    """The side of the model's square input in pixels.

    Raises:
        UsageError: the model leaves it open and none was asked for, or has another.
    """
    _, side, width, _ = of.model.inputs[0].shape
    sides = {length for length in (side, width) if length is not None}
    if not sides and asked is None:
        raise UsageError("The model takes images of any size; say which with --input-size.")
    if asked is not None and sides - {asked}:
        raise UsageError(
            f"The model takes images of {sides.pop()} px, not {asked}; leave --input-size out."
        )
    return asked if asked is not None else sides.pop()


def _check_input(shape: tuple[int | None, ...]) -> None:
    fault = ""
    if len(shape) != 4:
        fault = "expected (images, height, width, 3)"
    elif shape[0] is not None:
        fault = "expected any number of images at a time; save it with a batch of None"
    elif shape[3] == 1:
        fault = "which is grey; expected RGB images (repeat the channel in a model around it)"
    elif shape[3] != 3:
        first = " (channels come last)" if shape[1] == 3 else ""
        fault = f"expected three channels{first}: (images, height, width, 3)"
    elif shape[1] != shape[2]:
        fault = "which is not square; expected as many rows as columns"
    if fault:
        raise ConversionError(f"The model takes the shape {_shown(shape)}, {fault}.")


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if side is None else str(side) for side in shape)})"


def _ending(operation: Any) -> Ending:
    """What the last operation does.

    Raises:
        ConversionError: neither a softmax nor a sigmoid, and not nothing.
    """
    if isinstance(operation, layers.Softmax):
        return "softmax"
    if not isinstance(operation, layers.Layer):  # keras.ops
        return _ENDINGS.get(type(operation).__name__.lower(), "linear")
    activation = getattr(operation, "activation", keras.activations.linear)
    name = getattr(activation, "__name__", type(activation).__name__)
    if name not in _ENDINGS:
        raise ConversionError(
            f"The model ends in the activation {name}, expected softmax, sigmoid (of a single "
            "output), or none."
        )
    return _ENDINGS[name]
