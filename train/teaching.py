"""Learning from another model beside the labels (Hinton et al., Distilling the Knowledge in a
Neural Network, 2015, arXiv:1503.02531, at a temperature of 1).

The teacher sees the very images that the student does, augmented and mixed as they are, as in Beyer
et al., Knowledge distillation: A good teacher is patient and consistent, CVPR 2022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import UsageError
from train.calibration import fold
from train.prepared import Prepared
from train.run import RunFolder
from train.starting import refuse_unlisted

if TYPE_CHECKING:
    import keras


def teacher_of(run: RunFolder, prepared: Prepared) -> keras.Model:
    """The model of a run, as a teacher of others: as it came out of its training, without the
    biases of its calibration, which undo what logit adjustment does.

    Args:
        run: the teacher's.
        prepared: what the student is trained on.

    Raises:
        UsageError: it has other classes.
        LeakError: the run was trained on images that are not in the training part here: what the
            teacher knows of them would reach the student.
    """
    if run.run.codes != tuple(prepared.data.codes):
        raise UsageError(
            f"The teacher {run.run.name} knows the classes {', '.join(run.run.codes)}, the data "
            f"have {', '.join(prepared.data.codes)}; take a teacher with the same."
        )
    refuse_unlisted(run, prepared)
    model, calibration = run.model(), run.run.calibration
    if calibration.kept and calibration.biases:
        fold(model, 1.0, [-bias for bias in calibration.biases])
    return model


def taught(batches: Any, teacher: keras.Model, offsets: NDArray[np.float32], share: float) -> Any:
    """Batches whose targets are partly the teacher's probabilities.

    Args:
        batches: ``tf.data.Dataset`` of (images, targets, weights), see `train.pipeline`.
        teacher: its layer "logits" is asked; images are resized to its input where they have to be.
        offsets: what the loss adds to the student's logits (`train.objective.logit_offsets`): the
            teacher's get the same, as both answer as if classes were equally frequent.
        share: of the target that is the teacher's.
    """
    import keras
    import tensorflow as tf

    from train.fast_layers import with_fast_layers

    network = with_fast_layers(keras.Model(teacher.inputs, teacher.get_layer("logits").output))
    size = teacher.input_shape[1:3]

    def teach(images: Any, targets: Any, weights: Any) -> tuple[Any, Any, Any]:
        seen = images
        if tuple(images.shape[1:3]) != size:
            seen = tf.image.resize(images, size, antialias=True)
        told = tf.nn.softmax(network(seen, training=False) + offsets)
        return images, (1 - share) * targets + share * told, weights

    return batches.map(teach).prefetch(1)
