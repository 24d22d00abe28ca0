"""Which TIFF files hold a picture that can be taken for what it is.

The format has room for much more than pictures of 8 bits, and Pillow opens some of it with other
values than were meant, or takes a preview for the picture. Refused are raw photographs (DNG), files
that begin with a reduced copy, depths other than 1, 2, 4, 8, 16 and 32 bits a channel, signed
numbers of up to 16 bits, 16-bit grey that counts from white, and uncompressed channels stored apart
unless they are plain 8-bit ones. Tags are those of TIFF revision 6.0, section 8, and of Adobe's DNG
specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

_NEW_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _DNG_VERSION = 254, 255, 50706
_BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT = 258, 259, 262, 284, 339
_REDUCED_BIT, _OLD_REDUCED = 1, 2
_UNCOMPRESSED, _STORED_APART = 1, 2
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _INKS = 0, 1, 2, 5
_SIGNED = 2
_DEPTHS = {1, 2, 4, 8, 16, 32}


def unknown_kind(image: Image) -> str | None:
    """What keeps an opened TIFF from being taken for a picture, or None.

    Args:
        image: that Pillow's TIFF reader has opened; its pixels need not be loaded.
    """
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    if _DNG_VERSION in tags:
        return "a raw photograph (DNG), which has to be developed"
    reduced = int(tags.get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED_BIT
    if reduced or tags.get(_OLD_SUBFILE_TYPE) == _OLD_REDUCED:
        return "a TIFF that begins with a reduced copy of its picture"
    depths, formats = set(tags.get(_BITS_PER_SAMPLE, (1,))), set(tags.get(_SAMPLE_FORMAT, (1,)))
    if not depths <= _DEPTHS:
        return f"a TIFF of {min(int(depth) for depth in depths - _DEPTHS)} bits a channel"
    if _SIGNED in formats and max(depths) <= 16:
        return "a TIFF of signed numbers"
    photometric = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)
    if photometric == _WHITE_IS_ZERO and image.mode.startswith("I;16"):
        return "a 16-bit TIFF that counts from white"
    apart = tags.get(_PLANES) == _STORED_APART and tags.get(_COMPRESSION, 1) == _UNCOMPRESSED
    if apart and not (depths == {8} and photometric in (_BLACK_IS_ZERO, _RGB, _INKS)):
        return "a TIFF whose channels are stored apart"
    return None
