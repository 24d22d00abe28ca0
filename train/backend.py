"""Bring up TensorFlow and Keras once, quietly, or say how to install them."""

from __future__ import annotations

import os

from edge_runtime._terminal import quiet_stderr
from edge_runtime.errors import MissingExtraError


def prepare() -> None:
    """Import TensorFlow with its start-up chatter off; to be called before anything that needs it.

    Raises:
        MissingExtraError: TensorFlow or Keras is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors only
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with quiet_stderr():
            import keras
            import tensorflow
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The package {error.name} is not installed; run "
            '`pip install ./edge_runtime ".[train]"` in the checkout.'
        ) from None
    tensorflow.get_logger().setLevel("ERROR")
    if keras.backend.backend() != "tensorflow":
        raise MissingExtraError(
            f"Keras runs on {keras.backend.backend()} here, and the training stage needs "
            "TensorFlow; set KERAS_BACKEND=tensorflow."
        )


def versions() -> dict[str, str]:
    """Versions of what shapes a trained model."""
    import platform
    from importlib.metadata import version

    names = ("numpy", "pillow", "keras", "scikit-learn", "dermedge-runtime")
    found = {name: version(name) for name in names}
    import tensorflow

    return {"python": platform.python_version(), "tensorflow": tensorflow.__version__, **found}
