"""Starting from the weights of an earlier run: at another size, on more images, or for longer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.errors import LeakError, UsageError
from train.calibration import unfold
from train.config import IMPORTED
from train.prepared import Prepared
from train.run import RunFolder

if TYPE_CHECKING:
    from train.architectures import Built


def started_from(built: Built, run: RunFolder, prepared: Prepared) -> Built:
    """A model with the weights of a run, and words that say so.

    Args:
        built: the model, of the run's architecture and width; its input may have another size.
        run: where the weights come from.
        prepared: what is trained on.

    Raises:
        UsageError: the run's model has other layers or classes.
        LeakError: the run was trained on images that are not in the training part here, or chosen
            by images of the test part.
    """
    codes = prepared.data.codes
    if run.run.codes != tuple(codes):
        raise UsageError(
            f"The classes of {run.run.name} are {', '.join(run.run.codes)}, those of the data "
            f"{', '.join(codes)}; start from a run with the same."
        )
    refuse_unlisted(run, prepared)
    earlier = run.model()
    unfold(earlier, run.run.calibration)  # the loss means the logits as they were trained
    before = earlier.get_weights()
    shapes = [weight.shape for weight in before]
    if shapes != [weight.shape for weight in built.model.get_weights()]:
        raise UsageError(
            f"The weights of {run.run.name}, {run.run.config.arch}, do not fit the architecture "
            "that was asked for; start from a run of the same --arch and --width."
        )
    built.model.set_weights(before)
    return replace(
        built, weights=f"{run.run.weights}, which gave the run {run.run.name}; trained on"
    )


def refuse_unlisted(run: RunFolder, prepared: Prepared) -> None:
    """Refuse a run that has learnt from images that the new run would not list as trained on.

    Whatever is judged later is compared with that list, so that no model is judged by what it, or
    the model that it began as, has learnt by heart. Images that chose its best epoch are not
    listed, but are no test of what begins with it.

    Raises:
        LeakError: names how many there are and the first one, or says that nobody can tell.
    """
    if run.run.config.arch == IMPORTED:
        raise LeakError(
            f"{run.run.name} was trained elsewhere, and what a run of dermedge has seen cannot be "
            "told of it; start from, or learn from, one that was trained here."
        )
    listed = {row.sha256 for row in prepared.rows if row.split == "train"}
    learnt = [row for row in run.rows() if row.split == "train"]
    unlisted = [row for row in learnt if row.sha256 not in listed]
    if unlisted:
        raise LeakError(
            f"{run.run.name} was trained on {len(unlisted)} images that are not in the training "
            f"part here (first: {Path(unlisted[0].file).name}), so nobody could tell later what "
            "the model has seen; train on data that has all of them, or start from another run."
        )
    tested = {row.sha256 for row in prepared.rows if row.split == "test"}
    chosen_by = [row for row in run.rows() if row.split == "val" and row.sha256 in tested]
    if chosen_by:
        raise LeakError(
            f"{run.run.name} was chosen by {len(chosen_by)} validation images that are test images "
            f"here (first: {Path(chosen_by[0].file).name}); keep the split that it was trained by, "
            "or start from, or learn from, another run."
        )
