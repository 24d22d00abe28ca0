"""Embedded colour profiles: whatever a file was saved in, its pixels become sRGB.

    no profile                 the pixels are taken as sRGB
    an sRGB profile, any name  nothing is computed: it moves no colour by more than one level
    RGB, grey, CMYK profile    converted by LittleCMS, relative colorimetric with black point
                               compensation (what photo editors do by default)
    any other profile          ignored: damaged, for pixels of another kind, or LittleCMS is missing
                               from this Pillow

What was converted or ignored is said in the result's notes. Pixels are converted where they are
decoded, so that whoever decodes gets the same colours. A large image is reduced first, as JPEGs
are by their decoder: colours are averaged before they are converted, not after, for a fraction of
the time.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.colour import to_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

SAME_COLOUR = 1
"""A profile that moves no colour by more than this many levels of 256 is sRGB."""

_GREY_MODES = ("1", "L", "LA", "La", "I")
_PROFILES_KEPT = 8  # phones of one clinic share one or two
_BLACK_POINT_COMPENSATION = 0x2000  # of LittleCMS; Pillow before 10.3 has no name for it
_WIDE_PRIMARIES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}  # ITU-T H.273, table 2


@dataclass(frozen=True)
class _Conversion:
    """What a profile does to pixels: nothing where ``transform`` is None."""

    transform: Any
    note: str = ""


def to_srgb(
    image: Image, *, name: str = "image", smallest: int | None = None
) -> tuple[Image, tuple[str, ...]]:
    """RGB pixels in the sRGB colour space, and what is to be said of the image's profile.

    Args:
        image: any mode that `edge_runtime.colour.to_rgb` takes.
        name: how error messages call it.
        smallest: an image that has to be converted may be reduced to 1/2, 1/4 or 1/8 while its
            shorter side stays at least this many pixels; None converts it in full.

    Raises:
        ImageFormatError: pixels of unknown range.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return to_rgb(image, name=name), _declared(image)
    kind = "CMYK" if image.mode == "CMYK" else "L" if _is_grey(image) else "RGB"
    conversion = _conversion(bytes(profile), kind)
    notes = (conversion.note,) if conversion.note else ()
    transform = conversion.transform
    if transform is None:
        return to_rgb(image, name=name), notes
    pixels = image if kind == "CMYK" else to_rgb(image, name=name)
    factor = _reduction(min(pixels.size), smallest)
    if factor > 1:
        pixels = pixels.reduce(factor)
    if transform.input_mode == "L":
        pixels = pixels.getchannel(0)
    return transform.apply(pixels), notes


def _reduction(side: int, smallest: int | None) -> int:
    """The largest of 8, 4, 2 and 1 by which ``side`` can be divided and stay above ``smallest``."""
    return next((n for n in (8, 4, 2) if smallest and side // n >= smallest), 1)


def _is_grey(image: Image) -> bool:
    return image.mode in _GREY_MODES or image.mode.startswith("I;16")


def _declared(image: Image) -> tuple[str, ...]:
    """A note where a HEIC file names wide colours by number, without a profile."""
    declared = image.info.get("nclx_profile")
    primaries = declared.get("color_primaries") if isinstance(declared, dict) else None
    if primaries not in _WIDE_PRIMARIES:
        return ()
    return (f"its colours are {_WIDE_PRIMARIES[primaries]} without a profile, taken as sRGB",)


@functools.lru_cache(maxsize=_PROFILES_KEPT)
def _conversion(profile: bytes, kind: str) -> _Conversion:
    """How pixels of ``kind`` (RGB, L or CMYK) with this profile are converted."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = str(source.profile.xcolor_space).strip()
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space)
        if mode is None or (mode != kind and (mode, kind) != ("RGB", "L")):
            return _Conversion(
                None, f"its colour profile is for {_cleaned(space)} pixels and was ignored"
            )
        transform = ImageCms.ImageCmsTransform(
            source, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")), mode, "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=_BLACK_POINT_COMPENSATION,  # type: ignore[arg-type]
        )  # fmt: skip
        if mode != "CMYK" and _moves(transform) <= SAME_COLOUR:
            return _Conversion(None)
        description = _cleaned(source.profile.profile_description)
    except ImportError:
        return _Conversion(
            None, "its colour profile was ignored, as this Pillow comes without LittleCMS"
        )
    except (OSError, ValueError, TypeError, AttributeError, ImageCms.PyCMSError):
        return _Conversion(None, "its colour profile is damaged and was ignored")
    return _Conversion(transform, f"its colours were converted from {description} to sRGB")


def _moves(transform: Any) -> int:
    """The largest change of a channel over a grid of colours, in levels of 256."""
    from PIL import Image

    if transform.input_mode == "L":
        before = np.arange(256, dtype=np.uint8)[None]
        expected = before[..., None]
    else:
        steps = np.linspace(0, 255, 9).astype(np.uint8)
        expected = before = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    after = np.asarray(transform.apply(Image.fromarray(before)))
    return int(np.abs(after.astype(int) - expected).max())


def _cleaned(description: str | None) -> str:
    """A profile's name fit for a terminal; it comes from the file and may hold anything."""
    text = "".join(character for character in description or "" if character.isprintable())
    return text.strip()[:40].strip() or "an unnamed profile"
