"""The stream of batches: what an epoch shows, what it depends on, how images are mixed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from train import pipeline
from train.config import TrainConfig
from train.pipeline import epoch_order, mix, steps_per_epoch, training_batches

SIZE = 8
CLASSES = 4
ROWS = np.arange(0, 20, 2)  # every other one of 20 images
LABELS = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 3])  # of those rows; nothing is of class 2
PLAIN = TrainConfig(epochs=3, batch_size=4, augmentation=0, seed=5)


class Batch(NamedTuple):
    images: NDArray[np.float32]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]

    @property
    def rows(self) -> list[int]:
        """Each image is grey like its number."""
        return [int(image[0, 0, 0]) for image in self.images]


def batches(config: TrainConfig = PLAIN, first_epoch: int = 0) -> list[Batch]:
    grey = np.arange(20, dtype=np.uint8)[:, None, None, None]
    tensors = np.ascontiguousarray(np.broadcast_to(grey, (20, SIZE, SIZE, 3)))
    made = training_batches(
        tensors, ROWS, LABELS, (ROWS / 10).astype(np.float32), classes=CLASSES, config=config,
        first_epoch=first_epoch,
    )  # fmt: skip
    return [Batch(*(part.numpy() for part in batch)) for batch in made]


def assert_equal(some: list[Batch], others: list[Batch]) -> None:
    for one, other in zip(some, others, strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(left, right)


# What an epoch shows


def test_every_epoch_shows_every_row_once_with_its_target_and_weight() -> None:
    made = batches()
    assert [len(batch.images) for batch in made] == [4, 4, 2] * 3
    for start in (0, 3, 6):
        epoch = made[start : start + 3]
        assert sorted(row for batch in epoch for row in batch.rows) == ROWS.tolist()
    for batch in made:
        places = np.searchsorted(ROWS, batch.rows)
        np.testing.assert_array_equal(batch.targets, np.eye(CLASSES)[LABELS[places]])
        np.testing.assert_allclose(batch.weights, np.array(batch.rows) / 10, rtol=1e-6)


def test_elements_are_float32_of_known_rank_and_size() -> None:
    dataset = training_batches(
        np.zeros((3, SIZE, SIZE, 3), np.uint8), np.arange(3), np.zeros(3, np.int64),
        np.ones(3, np.float32), classes=2, config=PLAIN,
    )  # fmt: skip
    shapes = [tuple(part.shape) for part in dataset.element_spec]
    assert shapes == [(None, SIZE, SIZE, 3), (None, 2), (None,)]
    assert all(part.dtype.name == "float32" for part in dataset.element_spec)


@pytest.mark.parametrize(("images", "batch_size", "steps"), [(10, 4, 3), (8, 4, 2), (1, 32, 1)])
def test_steps_per_epoch_counts_the_smaller_last_batch(
    images: int, batch_size: int, steps: int
) -> None:
    assert steps_per_epoch(images, batch_size) == steps


def test_epochs_are_shuffled_unlike_each_other() -> None:
    orders = [[row for batch in batches()[s : s + 3] for row in batch.rows] for s in (0, 3, 6)]
    assert len({tuple(order) for order in orders}) == 3


def test_balanced_sampling_shows_every_class_equally_often_and_no_more_images() -> None:
    made = batches(replace(PLAIN, sampling="balanced", epochs=1))
    assert [len(batch.images) for batch in made] == [4, 4, 2]
    shown = np.concatenate([batch.targets for batch in made]).sum(axis=0)
    assert sorted(shown) == [0, 3, 3, 4]
    assert shown[2] == 0


def test_balanced_sampling_gives_no_class_more_over_many_epochs() -> None:
    random = np.random.default_rng(0)
    shown = sum(
        np.bincount(LABELS[epoch_order(LABELS, "balanced", random)], minlength=CLASSES)
        for _ in range(600)
    )
    np.testing.assert_allclose(shown / shown.sum(), [1 / 3, 1 / 3, 0, 1 / 3], atol=0.02)


def test_balanced_sampling_shows_all_images_of_a_class_before_one_comes_again() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    order = epoch_order(labels, "balanced", np.random.default_rng(0))
    times = np.bincount(order, minlength=100)
    assert set(times[:90]) == {0, 1}
    assert set(times[90:]) == {5}


# What a batch depends on


@pytest.mark.parametrize(
    "config",
    [
        replace(PLAIN, augmentation=1.0),
        replace(PLAIN, augmentation=1.0, sampling="balanced", mixup=0.4),
    ],
    ids=["natural", "balanced-mixed"],
)
def test_stream_begun_later_goes_on_as_the_whole_one_does(config: TrainConfig) -> None:
    whole = batches(config)
    for first in (1, 2, 3):
        assert_equal(batches(config, first), whole[3 * first :])


def test_number_of_epochs_does_not_change_the_first_ones() -> None:
    config = replace(PLAIN, augmentation=1.0)
    assert_equal(batches(replace(config, epochs=1)), batches(config)[:3])


def test_another_seed_gives_other_orders_and_other_changes() -> None:
    config = replace(PLAIN, augmentation=1.0, batch_size=10, epochs=1)
    one, other = batches(config)[0], batches(replace(config, seed=6))[0]
    assert one.targets.tolist() != other.targets.tolist()
    assert not np.array_equal(np.sort(one.images.ravel()), np.sort(other.images.ravel()))


def test_images_of_two_steps_are_augmented_unlike() -> None:
    config = TrainConfig(epochs=2, batch_size=4)
    same = np.full((8, SIZE, SIZE, 3), 128, np.uint8)
    made = training_batches(
        same, np.arange(8), np.zeros(8, np.int64), np.ones(8, np.float32), classes=2, config=config
    )
    steps = [images.numpy() for images, _, _ in made]
    assert len({step.tobytes() for step in steps}) == 4


def test_error_while_a_batch_is_made_reaches_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("Input/output error")

    monkeypatch.setattr(pipeline, "augment", fail)
    with pytest.raises(Exception, match="Input/output error"):
        batches(replace(PLAIN, augmentation=1.0))


# Mixing


def test_mixed_batches_hold_means_of_two_images_and_their_targets() -> None:
    tensors = np.zeros((64, SIZE, SIZE, 3), np.uint8)
    tensors[32:] = 200
    config = replace(PLAIN, batch_size=64, epochs=1, mixup=1.0)
    (made,) = training_batches(
        tensors, np.arange(64), np.repeat([0, 1], 32), np.ones(64, np.float32), classes=2,
        config=config,
    )  # fmt: skip
    images, targets, weights = (part.numpy() for part in made)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(images[:, 0, 0, 0], 200 * targets[:, 1], atol=0.51)
    np.testing.assert_allclose(weights, 1, rtol=1e-6)
    assert ((targets > 0.1) & (targets < 0.9)).any()


def test_cross_entropy_of_a_mixture_is_that_of_its_two_images_by_their_weights() -> None:
    random = np.random.default_rng(0)
    images = np.zeros((6, SIZE, SIZE, 3), np.uint8)
    targets = np.eye(6, dtype=np.float32)
    weights = np.array([1, 2, 3, 4, 5, 0], np.float32)
    _, mixed, total = mix(images, targets, weights, random, 1.0)
    again = np.random.default_rng(0)
    other, share = again.permutation(6), again.beta(1.0, 1.0, 6)
    surprise = random.uniform(0.1, 3, 6)  # minus the logarithm of each class's probability
    expected = share * weights * surprise + (1 - share) * weights[other] * surprise[other]
    np.testing.assert_allclose(total * (mixed @ surprise), expected, rtol=1e-5)


def test_no_mixup_leaves_targets_one_hot() -> None:
    for batch in batches():
        assert set(np.unique(batch.targets)) == {0, 1}
