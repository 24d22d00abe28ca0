"""What is handed over: a Keras model file, a list of classes, a list of images trained on.

A model file may come from anybody, so Keras's safe mode stays on: Python code that a file brings
(a ``Lambda`` layer, a class of its own) is not run, and such a file is refused.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import Any

from edge_runtime._files import sha256
from edge_runtime.errors import ClassError, ConversionError, TableError, UsageError

KERAS_SUFFIX = ".keras"
SUFFIXES = (KERAS_SUFFIX, ".h5", ".hdf5")
ID_COLUMN = "image_id"

_UNSAFE = ("lambda", "safe_mode", "arbitrary code")
_UNKNOWN_CLASS = re.compile(r"(?:locate class|Unknown \w+):? '(\w+)'")


def check_file(file: Path) -> None:
    """Refuse what cannot be a model file, before Keras has to be imported to tell.

    Raises:
        UsageError, ConversionError: as `read_model`.
    """
    if not file.is_file():
        raise UsageError(f"There is no file {file}; name a Keras model file ({KERAS_SUFFIX}).")
    if file.suffix not in SUFFIXES:
        raise UsageError(
            f"{file.name} ends in {file.suffix or 'nothing'}, expected {', '.join(SUFFIXES)}; save "
            f'the model by model.save("{file.stem}{KERAS_SUFFIX}").'
        )
    if file.suffix == KERAS_SUFFIX and not zipfile.is_zipfile(file):
        raise ConversionError(
            f"{file.name} is damaged or not a Keras model (such a file is a ZIP archive, this one "
            f'is not); save it again by model.save("{file.name}").'
        )


def read_model(file: Path) -> Any:
    """The Keras model of a file, and nothing that the file would have executed.

    Args:
        file: a ``.keras`` file, or one in Keras's older HDF5 format.

    Raises:
        UsageError: there is no such file, or not one by Keras.
        ConversionError: it is damaged, or needs Python code that did not come with Keras.
    """
    check_file(file)
    import keras

    try:
        return keras.models.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file may fail anywhere in Keras, with any class
        raise _refusal(file, error) from None


def digest(file: Path) -> str:
    """SHA-256 of a file that `read_model` has read."""
    return sha256(file.read_bytes())


def read_labels(file: Path) -> tuple[str, ...]:
    """Class codes in the order of a model's outputs: one a line, as in a bundle's labels.txt.

    Raises:
        UsageError: the file cannot be read.
        ClassError: fewer than two codes, or one of them twice.
    """
    codes = tuple(line.strip() for line in _text(file).splitlines() if line.strip())
    repeated = sorted({code for code in codes if codes.count(code) > 1})
    if repeated:
        raise ClassError(f"{file.name} lists {repeated[0]} more than once; correct it.")
    if len(codes) < 2:
        raise ClassError(
            f"{file.name} lists {len(codes)} classes, expected at least two: the codes in the "
            "order of the model's outputs, one a line (of a single output: the negative class, "
            "then the positive one)."
        )
    return codes


def read_trained_on(file: Path) -> frozenset[str]:
    """Ids or file names of images: a CSV with a column ``image_id``, or one a line.

    Raises:
        UsageError: the file cannot be read.
        TableError: it lists none.
    """
    text = _text(file)
    reader = csv.DictReader(io.StringIO(text))
    if ID_COLUMN in (reader.fieldnames or ()):
        listed = [row[ID_COLUMN] for row in reader]
    else:
        listed = text.splitlines()
    found = frozenset(name.strip() for name in listed if name and name.strip())
    if not found:
        raise TableError(f"{file.name} lists no image; give ids or file names, one a line.")
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{file} cannot be read ({reason}); name a text file.") from None


def _refusal(file: Path, error: Exception) -> ConversionError:
    text = str(error)
    unknown = _UNKNOWN_CLASS.search(text)
    if unknown:
        return ConversionError(
            f"{file.name} needs a class of its own, {unknown[1]}, and code that comes with a model "
            "is not run; build the model from Keras's own layers."
        )
    if any(word in text.lower() for word in _UNSAFE):
        return ConversionError(
            f"{file.name} holds Python code (a Lambda layer), which is not run, as it could do "
            "anything; build the model from Keras's own layers, such as Rescaling."
        )
    reason = (text.strip().splitlines() or [type(error).__name__])[0]
    return ConversionError(
        f"{file.name} does not load with the Keras that is installed ({reason[:200]}); save it "
        "again, or install the Keras that wrote it."
    )
