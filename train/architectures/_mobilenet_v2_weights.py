"""The ImageNet weights of MobileNetV2 that Keras publishes, for users whose network has them.

A training does not depend on them: where they cannot be had, the backbone keeps its random weights
and the run says why.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.errors import TrainingError
from train.architectures import backbone_layers
from train.architectures._assembly import RANDOM_WEIGHTS

if TYPE_CHECKING:
    import keras

WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
SIZES = (96, 128, 160, 192, 224)
"""There is one file for each width and input size; weights of the nearest size start a model best,
as its batch normalization has seen objects of about that size."""
ORIGIN = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
"""Where `keras.applications` itself has them from."""
PATIENCE = 8.0
"""Seconds until the first answer, and between two pieces of the file. Without it, a firewall that
swallows packets costs minutes: every address of the server is tried for as long as the system
allows."""


def load_weights(model: keras.Model, *, width: float = 1.0) -> str:
    """Set every weight of the backbone of ``model`` if they can be had; say where they came from.

    Raises:
        TrainingError: the file is there, but it is damaged or does not fit the backbone.
    """
    if width not in WIDTHS:
        published = ", ".join(f"{one:g}" for one in WIDTHS)
        return f"{RANDOM_WEIGHTS} (ImageNet weights are published for the widths {published} only)"
    size = min(SIZES, key=lambda published: abs(published - model.input_shape[1]))
    name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(width)}_{size}_no_top.h5"
    try:
        path = _fetch(name)
    except _Unavailable as reason:
        return f"{RANDOM_WEIGHTS} (ImageNet weights could not be downloaded: {reason})"
    _fill(model, path)
    return f"MobileNetV2 ImageNet weights from keras.applications, width {width:g}, {size} px"


class _Unavailable(Exception):
    """Why there are no weights, as a clause."""


def _fetch(name: str) -> Path:
    """The file from Keras's cache, where it has been downloaded to if need be."""
    import keras

    cache = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    if not (cache / "models" / name).is_file():
        _require_answer(ORIGIN + name)
    with _socket_timeout(PATIENCE), contextlib.redirect_stdout(sys.stderr):  # it draws a bar
        try:
            return Path(
                keras.utils.get_file(
                    name, ORIGIN + name, cache_subdir="models", cache_dir=str(cache)
                )
            )
        except Exception as error:  # what get_file raises is an Exception and no subclass
            raise _Unavailable(_clause(error)) from error


def _require_answer(address: str) -> None:
    """Ask for the file's header and wait no longer than `PATIENCE`, names and routes included.

    In a thread, since a socket's timeout holds for each address of the server and not for looking
    up its name.
    """
    failed: list[Exception] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(address, method="HEAD")
            urllib.request.urlopen(request, timeout=PATIENCE).close()
        except Exception as error:  # any failure to answer is one
            failed.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    if asking.is_alive():
        raise _Unavailable(f"no answer within {PATIENCE:g} seconds")
    if failed:
        raise _Unavailable(_clause(failed[0])) from failed[0]


def _clause(error: Exception) -> str:
    if isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError):
        error = error.reason if isinstance(error.reason, Exception) else error
    if isinstance(error, TimeoutError):
        return f"no answer within {PATIENCE:g} seconds"
    reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return " ".join(reason.split())


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _fill(model: keras.Model, path: Path) -> None:
    """Read Keras's file into the backbone, whose layers with weights are in the same order."""
    import keras

    backbone = keras.Model(model.inputs, backbone_layers(model)[-1].output)  # shares the weights
    try:
        backbone.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(
            f"the ImageNet weights in {path} cannot be used ({reason}); remove that file, so that "
            "it is downloaded again, or pass --no-pretrained"
        ) from error
