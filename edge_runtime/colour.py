"""Every kind of pixel becomes 8-bit RGB, by this rule:

grey, black-and-white   the grey value in all three channels
palette                 the palette's colours
16-bit grey             value / 257, rounded to nearest (65535 becomes 255)
16-bit RGB              the high byte (that is how Pillow decodes it)
CMYK, YCbCr, LAB        Pillow's conversion; with a profile, see `edge_runtime.profiles`
alpha, transparency     laid over black, as the dark surround of a dermatoscope would be; the
                        transparent colour of a 16-bit RGB PNG is compared by its high bytes
32-bit, float pixels    refused, as their range is not known; but whole numbers with a maximum
                        of 256 to 65535 are 16-bit grey (as older Pillows read such PNGs)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import ImageFormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

_ROWS = 256  # that are laid over black at a time


def to_rgb(image: Image, *, name: str = "image") -> Image:
    """Turn any mode into RGB by the rule at the top of this module.

    Raises:
        ImageFormatError: 32-bit integer or float pixels outside 0 to 65535 or of unknown range.
    """
    from PIL import Image as pillow

    mode, transparent = image.mode, image.info.get("transparency")
    if mode == "RGB" and transparent is None:
        return image
    if mode.startswith("I"):
        values: NDArray[Any] = np.asarray(image)
        if mode == "I" and not (values.min() >= 0 and 256 <= values.max() <= 65535):
            raise ImageFormatError(
                f"{name} has 32-bit pixels from {values.min()} to {values.max()}, expected 8 or 16 "
                "bits a channel; save it as 8-bit RGB."
            )
        grey = (values.astype(np.uint32) + 128) // 257
        if isinstance(transparent, int):
            grey[values == transparent] = 0
        return pillow.fromarray(grey.astype(np.uint8)).convert("RGB")
    if mode == "F":
        raise ImageFormatError(
            f"{name} has floating-point pixels, whose range is not known; save it as 8-bit RGB."
        )
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or transparent is not None:
        return _over_black(image)
    return image.convert("RGB")


def _over_black(image: Image) -> Image:
    """The image laid over black, some rows at a time: all at once takes several copies of it."""
    from PIL import Image as pillow

    pixels = pillow.new("RGB", image.size)
    for top in range(0, image.height, _ROWS):
        strip = image.crop((0, top, image.width, min(top + _ROWS, image.height))).convert("RGBA")
        black = pillow.new("RGBA", strip.size, (0, 0, 0, 255))
        pixels.paste(pillow.alpha_composite(black, strip).convert("RGB"), (0, top))
    return pixels
