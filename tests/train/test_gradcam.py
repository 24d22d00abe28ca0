"""Grad-CAM: maps of what speaks for a class, laid over the picture."""

from __future__ import annotations

import numpy as np
import pytest

from train.report.gradcam import grad_cam
from train.report.pictures import overlay


@pytest.fixture(scope="module")
def colour_model():
    """Sees redness for class 0 and blueness for class 1, by construction."""
    from train import backend

    backend.prepare()
    import keras
    from keras import layers

    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255, name="normalisation")(image)
    x = layers.AveragePooling2D(4)(x)
    x = layers.Conv2D(2, 1, use_bias=False, activation="relu", name="features")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(2, use_bias=False, name="logits")(x)
    x = layers.Activation("softmax", name="probabilities")(x)
    model = keras.Model(image, x)
    kernel = np.array([[1, -1], [-0.5, -0.5], [-1, 1]], np.float32).reshape(1, 1, 3, 2)
    model.get_layer("features").set_weights([kernel])
    model.get_layer("logits").set_weights([np.array([[3, -3], [-3, 3]], np.float32)])
    return model


@pytest.mark.parametrize("frozen", [False, True])
def test_grad_cam_finds_the_object_and_another_one_for_another_class(colour_model, frozen):
    image = np.full((32, 32, 3), 128, np.uint8)
    image[4:12, 4:12] = (255, 0, 0)
    image[20:28, 16:24] = (0, 0, 255)
    colour_model.trainable = not frozen
    red, blue = grad_cam(colour_model, np.stack([image, image]), np.array([0, 1]))
    assert red.shape == blue.shape == (8, 8)
    assert red[1:3, 1:3].sum() > 0.95 * red.sum()
    assert blue[5:7, 4:6].sum() > 0.95 * blue.sum()
    assert red.max() == blue.max() == 1


def test_grad_cam_is_empty_where_nothing_speaks_for_the_class(colour_model):
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[:, 4:12, 4:12] = (255, 0, 0)
    assert not grad_cam(colour_model, image, np.array([1])).any()


def test_grad_cam_of_a_trained_run_is_a_map_from_0_to_1_that_depends_on_the_class(run_folder):
    rng = np.random.default_rng(0)
    size, classes = run_folder.run.input.size, len(run_folder.run.labels)
    image = rng.integers(0, 256, (1, size, size, 3), dtype=np.uint8).repeat(classes, axis=0)
    maps = grad_cam(run_folder.model(), image, np.arange(classes))
    assert maps.shape[0] == classes
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert not np.array_equal(maps[0], maps[1])


def test_an_overlay_changes_the_picture_only_where_there_is_evidence():
    image = np.full((64, 64, 3), 150, np.uint8)
    heat = np.zeros((8, 8), np.float32)
    heat[1, 1] = 1
    changed = np.abs(overlay(image, heat).astype(int) - image).sum(axis=2)
    assert changed[8:16, 8:16].mean() > 50
    assert changed[40:, 40:].max() == 0
