"""From a file, bytes, array or Pillow image to upright RGB pixels, or a refusal that says why.

The format is decided by the first bytes, never by the name. Size limits are decided from the
header, before any pixel is decoded. What pixels become is said in `edge_runtime.colour`, what
colour profiles do in `edge_runtime.profiles`. EXIF orientation is applied (a HEIC file's reader
does so itself), and of several frames the first one is taken.
"""

from __future__ import annotations

import importlib
import io
import os
import stat
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import (
    ImageDamagedError,
    ImageError,
    ImageFormatError,
    ImageNotFoundError,
    ImageReaderError,
    ImageTooLargeError,
)
from edge_runtime.formats import FORMATS, content_kind, sniff
from edge_runtime.jpeg import MAX_SCANS, has_too_many_scans
from edge_runtime.profiles import to_srgb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

MAX_PIXELS = 50_000_000
"""Images with more pixels are refused; a phone's largest photographs have 48 to 50 million."""

MAX_BYTES = 256 * 1024 * 1024
"""Files with more bytes are refused; 50 million RGB pixels take 150 million bytes uncompressed."""

MAX_RUN_LENGTH_PIXELS = 5_000_000
"""BMPs in run-length coding with more pixels are refused: Pillow decodes them in Python, and a few
kilobytes may hold any number of pixels."""

_ORIENTATION_TAG = 0x0112
_LONGEST_REASON = 200
_NOT_KNOWN = ("unknown pixel mode", "unsupported", "cannot handle")
"""How Pillow's readers begin to say that a header announces a kind of image that they cannot read;
in a damaged file it may do so by mistake."""

# What Pillow's decoders raise on damaged content.
_DAMAGE = (
    OSError, SyntaxError, ValueError, IndexError, TypeError, KeyError, EOFError, AttributeError,
    OverflowError, ZeroDivisionError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Decoded:
    """An upright RGB image and what the file said of itself.

    Attributes:
        pixels: Pillow image of mode RGB, in sRGB; may be a reduced decoding.
        width, height: size of the upright image in full, in pixels.
        format: a key of `FORMATS`, or "array" or "image" for input that came decoded.
        notes: what became of its colour profile, where there is something to say.
    """

    pixels: Image
    width: int
    height: int
    format: str
    notes: tuple[str, ...] = ()


def read(path: str | os.PathLike[str]) -> bytes:
    """The bytes of an image file.

    Raises:
        ImageNotFoundError: nothing there, a folder, a device, or not readable.
        ImageTooLargeError: over `MAX_BYTES`.
        ImageDamagedError: empty.
    """
    name = Path(path).name
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise ImageNotFoundError(f"{name} is {kind}; name an image file.")
        if status.st_size > MAX_BYTES:
            raise ImageTooLargeError(
                f"{name} has {status.st_size / 1e6:.0f} MB, more than the {MAX_BYTES / 1e6:.0f} MB "
                "that are read; save it in a smaller size."
            )
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise ImageNotFoundError(f"There is no file {os.fspath(path)}; check the path.") from None
    except ValueError:
        raise ImageNotFoundError(f"{os.fspath(path)!r} is not a path; check it.") from None
    except OSError as error:
        raise ImageNotFoundError(
            f"{name} cannot be read ({error.strerror}); check the path and its permissions."
        ) from None
    if not content:
        raise ImageDamagedError(f"{name} is empty (0 bytes); copy it again from its source.")
    return content


def decode(
    content: bytes, *, name: str = "image", smallest_draft: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Decoded:  # fmt: skip
    """Decode the bytes of an image file into upright RGB.

    Args:
        content: the whole file.
        name: how error messages call it.
        smallest_draft: a JPEG, and an image whose colours are converted, may be decoded at 1/2, 1/4
            or 1/8 scale while its shorter side stays at least this many pixels; None decodes in
            full.
        max_pixels: larger images are refused from their header.

    Raises:
        ImageFormatError: not one of the supported formats, or a kind of it or pixels of a range
            that are not known.
        ImageReaderError: a HEIC image, and the package that reads it is not installed.
        ImageTooLargeError: more than ``max_pixels`` pixels.
        ImageDamagedError: truncated or corrupt.
    """
    file_format = sniff(content)
    if file_format is None:
        raise ImageFormatError(
            f"{name} is {content_kind(content)}, expected a JPEG, PNG, BMP, TIFF, WebP or HEIC "
            "image; save it as one of these."
        )
    from PIL.Image import DecompressionBombError

    try:
        image = _open(file_format, content, name)
        width, height = image.size
        unknown = _unknown_kind(image) if file_format == "TIFF" else None
    except DecompressionBombError as error:  # Pillow's own limit, which only its WebP reader checks
        raise ImageTooLargeError(
            f"{name} has more pixels than Pillow decodes ({str(error).rstrip('.')}); reduce it."
        ) from None
    except _DAMAGE as error:
        raise _unreadable(name, file_format, error) from None
    if unknown is not None:
        raise _of_unknown_kind(name, unknown)
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"{name} has {width} x {height} pixels ({width * height / 1e6:.1f} megapixels), more "
            f"than the limit of {max_pixels / 1e6:g}; reduce it first, or raise the limit."
        )
    if width * height > MAX_RUN_LENGTH_PIXELS and _is_run_length_coded(image):
        raise ImageTooLargeError(
            f"{name} is a BMP in run-length coding of {width} x {height} pixels, more than the "
            f"{MAX_RUN_LENGTH_PIXELS / 1e6:g} million that are decoded; save it as a PNG."
        )
    if min(width, height) < 1:
        raise ImageDamagedError(f"{name} has {width} x {height} pixels; copy it again.")
    try:
        if file_format == "JPEG" and has_too_many_scans(content):
            raise ValueError(f"it has more than {MAX_SCANS} scans")
        if file_format == "JPEG" and smallest_draft:
            image.draft(None, (smallest_draft, smallest_draft))
        image.load()
        if file_format == "PNG":
            _scale_transparency(image, content)
        turned, orientation = _upright(image)
        pixels, notes = to_srgb(turned, name=name, smallest=smallest_draft)
    except MemoryError:
        raise _too_large_for_memory(name, width, height) from None
    except _DAMAGE as error:
        raise _unreadable(name, file_format, error) from None
    if orientation >= 5 or (file_format == "TIFF" and image.size == (height, width)):
        width, height = height, width
    return Decoded(pixels, width, height, file_format, notes)


def decode_image(image: Image, *, name: str = "image") -> Decoded:
    """Upright RGB of a Pillow image that the caller has opened.

    Raises:
        ImageDamagedError: it has no pixels, or they cannot be loaded.
        ImageFormatError: a kind of TIFF that is not read, or pixels of unknown range.
        ImageTooLargeError: more pixels than there is memory for.
    """
    if min(image.size) < 1:
        raise ImageDamagedError(f"{name} has {image.width} x {image.height} pixels; use another.")
    try:
        unknown = _unknown_kind(image) if hasattr(image, "tag_v2") else None
        if unknown is None:
            image.load()
            pixels, notes = to_srgb(_upright(image)[0], name=name)
    except MemoryError:
        raise _too_large_for_memory(name, *image.size) from None
    except _DAMAGE as error:
        raise _unreadable(name, image.format or "Pillow", error) from None
    if unknown is not None:
        raise _of_unknown_kind(name, unknown)
    return Decoded(pixels, pixels.width, pixels.height, "image", notes)


def decode_array(array: NDArray[Any], *, name: str = "array") -> Decoded:
    """A Pillow image of an RGB array of shape (height, width, 3) and dtype uint8.

    Raises:
        ImageFormatError: another shape or dtype.
    """
    from PIL import Image

    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageFormatError(
            f"{name} has shape {array.shape} and dtype {array.dtype}, expected (height, width, 3) "
            "and uint8, in RGB order."
        )
    image = Image.fromarray(np.ascontiguousarray(array))
    return Decoded(image, image.width, image.height, "array")


def _open(file_format: str, content: bytes, name: str) -> Image:
    """Parse the header only. Pillow's ``Image.open`` would import plugins that are not needed."""
    known = FORMATS[file_format]
    try:
        module = importlib.import_module(known.module)
    except ImportError:
        if known.extra is None:
            raise
        raise ImageReaderError(
            f"{name} is a {file_format} image, and the package that reads these is not installed; "
            f'run `pip install "dermedge-runtime[{known.extra}]"`, or save it as a JPEG.'
        ) from None
    image: Image = getattr(module, known.reader)(io.BytesIO(content))
    return image


def _of_unknown_kind(name: str, kind: str) -> ImageFormatError:
    return ImageFormatError(f"{name} is {kind}; save it as an 8-bit JPEG or PNG.")


def _unknown_kind(image: Image) -> str | None:
    from edge_runtime.tiff import unknown_kind  # not at every start: few images are TIFFs

    return unknown_kind(image)


def _is_run_length_coded(image: Image) -> bool:
    return any(tile[0] == "bmp_rle" for tile in getattr(image, "tile", ()))


def _scale_transparency(image: Image, content: bytes) -> None:
    """Bring the transparent colour of a PNG to the 8 bits to which Pillow brought its pixels.

    The file gives it in its own bit depth. Of 16-bit RGB the high bytes are compared, as only they
    are decoded; 16-bit grey is left to `edge_runtime.colour`, which has all bits.
    """
    depth, key = content[24], image.info.get("transparency")  # IHDR is the first chunk
    if isinstance(key, int) and image.mode in ("1", "L") and depth < 8:
        image.info["transparency"] = min(255, key * 255 // (2**depth - 1))  # "1" may be scaled
    elif isinstance(key, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _upright(image: Image) -> tuple[Image, int]:
    """The image turned as its EXIF orientation says, and that orientation (1 to 8)."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }  # fmt: skip
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGE:
        orientation = 1  # damaged EXIF says nothing about the pixels, which have decoded
    turn = turns.get(orientation) if isinstance(orientation, int) else None
    return (image, 1) if turn is None else (image.transpose(turn), orientation)


def _too_large_for_memory(name: str, width: int, height: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{name} has {width} x {height} pixels, more than there is memory to decode; reduce it."
    )


def _unreadable(name: str, file_format: str, error: BaseException) -> ImageError:
    """What Pillow's refusal means: a kind of image that it does not know, or a damaged one."""
    text = " ".join(str(error).split())[:_LONGEST_REASON]  # a library's may have several lines,
    text = "".join(filter(str.isprintable, text))  # and quote whatever stands in the file
    cause = error.__cause__ or error  # Pillow's readers wrap what Python raises in them
    unknown = isinstance(cause, (OSError, SyntaxError)) and text.lower().startswith(_NOT_KNOWN)
    if file_format == "TIFF" and isinstance(cause, KeyError):  # out of the table of codings
        unknown, text = True, f"coding {text}"
    if unknown:
        return ImageFormatError(
            f"{name} is a {file_format} image of a kind that is not read here ({text}); save it as "
            "an 8-bit JPEG or PNG, or copy it again from its source."
        )
    what = "truncated" if "truncated" in text.lower() else "damaged"
    return ImageDamagedError(
        f"{name} is a {what} {file_format} image ({text or type(error).__name__}); "
        "copy it again from its source."
    )
