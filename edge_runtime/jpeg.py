"""How often a JPEG's decoder would pass over the whole image.

A JPEG may bring its pixels in many scans, and libjpeg passes over the whole image for each of them,
however few bytes it has: hundreds of empty ones, in a small file, keep a processor busy for long.
Encoders write up to a dozen or so.
"""

from __future__ import annotations

import re

MAX_SCANS = 100
"""JPEGs with more scans are refused; libtiff draws the line for JPEGs within a TIFF here, too."""

_SCAN = b"\xff\xda"  # start of scan, ITU-T T.81, table B.1
_END, _WITHOUT_LENGTH = 0xD9, (0x01, 0xD8)
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # no stuffed 0xFF byte, no fill, no restart


def has_too_many_scans(content: bytes) -> bool:
    """Whether the first image of a JPEG file has more than `MAX_SCANS` scans.

    Thumbnails and what follows the image (a second picture, a film) do not count.
    """
    if content.count(_SCAN) <= MAX_SCANS:  # nearly always, and much faster than the walk
        return False
    scans, position = 0, 2
    while (found := _MARKER.search(content, position)) and scans <= MAX_SCANS:
        marker, position = content[found.end() - 1], found.end()
        if marker == _END:
            break
        if marker not in _WITHOUT_LENGTH:
            position += max(2, int.from_bytes(content[position : position + 2], "big"))
        scans += found.group() == _SCAN
    return scans > MAX_SCANS
