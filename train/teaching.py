"""Learning from other models beside the labels (Hinton et al., Distilling the Knowledge in a
Neural Network, 2015, arXiv:1503.02531, at a temperature of 1).

Teachers see the very images that the student does, augmented and mixed as they are, as in Beyer
et al., Knowledge distillation: A good teacher is patient and consistent, CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import UsageError
from train.calibration import unfold
from train.data.table import class_indices
from train.objective import class_weights, log_frequencies
from train.prepared import Prepared
from train.run import MODEL_FILE, RunFolder
from train.starting import refuse_unlisted

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Teacher:
    """A model that others learn from, as it came out of its training.

    Attributes:
        model: its layer "logits" is asked.
        prior: what these logits hold of the frequencies of the classes in its training, as
            logarithms of shape (classes,): all of it, or with logit adjustment less.
        digest: SHA-256 of the model's file.
    """

    model: keras.Model
    prior: NDArray[np.float32]
    digest: str


def teacher_of(run: RunFolder, prepared: Prepared) -> Teacher:
    """The model of a run, as a teacher of others.

    Args:
        run: the teacher's.
        prepared: what the student is trained on.

    Raises:
        UsageError: it has other classes.
        LeakError: the run was trained on images that are not in the training part here: what the
            teacher knows of them would reach the student.
    """
    codes = run.run.codes
    if codes != tuple(prepared.data.codes):
        raise UsageError(
            f"The teacher {run.run.name} knows the classes {', '.join(codes)}, the data "
            f"have {', '.join(prepared.data.codes)}; take a teacher with the same."
        )
    refuse_unlisted(run, prepared)
    model = run.model()
    unfold(model, run.run.calibration)
    config = run.run.config
    labels = class_indices([row.label for row in run.rows() if row.split == "train"], codes)
    weights = class_weights(labels, len(codes), config.class_weighting)
    held = np.float32(1 - config.logit_adjustment)
    prior = held * log_frequencies(labels, weights, config)
    return Teacher(model, prior, run.run.files[MODEL_FILE])


def taught(
    batches: Any, teachers: Sequence[Teacher], frequencies: NDArray[np.float32], share: float
) -> Any:
    """Batches whose targets are partly the mean of the teachers' probabilities.

    They are those of classes as frequent as the student meets them, however often a teacher did:
    the one prior is taken out of its logits and the other put in (Saerens et al., Adjusting the
    outputs of a classifier to new a priori probabilities, Neural Computation 14, 2002).

    Args:
        batches: ``tf.data.Dataset`` of (images, targets, weights), see `train.pipeline`.
        teachers: at least one; images are resized to its input where they have to be.
        frequencies: of the classes as the student meets them (`train.objective.log_frequencies`).
        share: of the target that is the teachers'.
    """
    import keras
    import tensorflow as tf

    from train.fast_layers import with_fast_layers

    def answers(teacher: Teacher) -> Any:
        model = teacher.model
        network = with_fast_layers(keras.Model(model.inputs, model.get_layer("logits").output))
        size, shift = model.input_shape[1:3], frequencies - teacher.prior

        def answer(images: Any) -> Any:
            if tuple(images.shape[1:3]) != size:
                images = tf.image.resize(images, size, antialias=True)
            return tf.nn.softmax(network(images, training=False) + shift)

        return answer

    asked = [answers(teacher) for teacher in teachers]

    def teach(images: Any, targets: Any, weights: Any) -> tuple[Any, Any, Any]:
        told = tf.add_n([answer(images) for answer in asked]) / len(asked)
        return images, (1 - share) * targets + share * told, weights

    return batches.map(teach).prefetch(1)
