"""ICC profiles made for the tests, version 2.1, as ICC.1:2001-04 describes them."""

from __future__ import annotations

import itertools
import struct

import numpy as np
from numpy.typing import NDArray

D50 = (0.9642, 1.0, 0.8249)

# Columns are red, green and blue as XYZ under D50 (Bradford-adapted from the spaces' primaries).
PRIMARIES: dict[str, list[tuple[float, float, float]]] = {
    "Display P3": [(0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189),
                   (0.1571, 0.06657, 0.78407)],
    "Adobe RGB": [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087),
                  (0.14919, 0.06322, 0.74457)],
    "sRGB by another name": [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708),
                             (0.14307, 0.06061, 0.7141)],
}  # fmt: skip


def rgb_profile(name: str) -> bytes:
    """A display's profile: three primaries and a tone curve."""
    curve = gamma(563 / 256) if name == "Adobe RGB" else srgb_curve()
    tags = {b"desc": description(name), b"wtpt": xyz(D50)}
    for letter, colour in zip(b"rgb", PRIMARIES[name], strict=True):
        tags[bytes([letter]) + b"XYZ"] = xyz(colour)
        tags[bytes([letter]) + b"TRC"] = curve
    return profile(b"RGB ", b"XYZ ", b"mntr", tags)


def grey_profile(exponent: float, name: str = "Grey") -> bytes:
    """A grey space with a gamma curve."""
    tags = {b"desc": description(name), b"wtpt": xyz(D50), b"kTRC": gamma(exponent)}
    return profile(b"GRAY", b"XYZ ", b"mntr", tags)


def cmyk_profile() -> bytes:
    """A printer whose cyan ink is a light blue (all corners of a table with two points a side)."""
    header = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    identity = struct.pack(">9i", *(65536 * int(i == j) for i in range(3) for j in range(3)))
    ramp = bytes(range(256))
    corners = b"".join(
        bytes([max(0, 255 - 60 * c - 120 * m - 20 * y - 255 * k), 128, 128 - 60 * c * (1 - k)])
        for c, m, y, k in itertools.product((0, 1), repeat=4)
    )
    tags = {
        b"desc": description("Ink"), b"wtpt": xyz(D50),
        b"A2B0": header + identity + ramp * 4 + corners + ramp * 3,
    }  # fmt: skip
    return profile(b"CMYK", b"Lab ", b"prtr", tags)


def dim_profile(black: int) -> bytes:
    """A screen whose darkest colour is a grey of lightness ``black`` * 100 / 255."""
    header = b"mft1" + bytes(4) + bytes([3, 3, 2, 0])
    identity = struct.pack(">9i", *(65536 * int(i == j) for i in range(3) for j in range(3)))
    ramp = bytes(range(256))
    corners = b"".join(
        bytes([black + (255 - black) * sum(corner) // 3, 128, 128])
        for corner in itertools.product((0, 1), repeat=3)
    )
    table = header + identity + ramp * 3 + corners + ramp * 3
    tags = {b"desc": description("Dim"), b"wtpt": xyz(D50), b"A2B0": table, b"A2B1": table}
    return profile(b"RGB ", b"Lab ", b"scnr", tags)


def profile(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A whole profile: header, table of tags, tags."""
    tags = {b"cprt": b"text" + bytes(4) + b"CC0\0", **tags}
    position = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for signature, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += signature + struct.pack(">II", position + len(body), len(content))
        body += padded
    header = struct.pack(
        ">I4sI4s4s4s12s4s44s", position + len(body), b"lcms", 0x02100000, kind, space, connection,
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0), b"acsp", bytes(44),
    )  # fmt: skip
    white = struct.pack(">3i", *(round(value * 65536) for value in D50))
    return header[:68] + white + bytes(48) + table + body


def xyz(values: tuple[float, float, float]) -> bytes:
    """A tag of type XYZ."""
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def gamma(exponent: float) -> bytes:
    """A tone curve that is a power."""
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256))


def srgb_curve() -> bytes:
    """The tone curve of sRGB, in 1024 samples."""
    values = np.rint(srgb_to_linear(np.linspace(0, 1, 1024)) * 65535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", 1024) + values.tobytes()


def description(text: str) -> bytes:
    """The name that people see."""
    ascii_text = text.encode() + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(ascii_text)) + ascii_text + bytes(78)


def srgb_to_linear(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tone curve of sRGB, IEC 61966-2-1."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Its inverse; what lies outside sRGB is cut off."""
    value = np.clip(value, 0, 1)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def to_srgb_by_hand(colours: NDArray[np.uint8], name: str) -> NDArray[np.float64]:
    """What a profile's RGB bytes are in sRGB, 0 to 255: curve, two matrices, curve."""
    value = colours / 255
    linear = value ** (563 / 256) if name == "Adobe RGB" else srgb_to_linear(value)
    to_xyz = np.array(PRIMARIES[name]).T
    from_xyz = np.linalg.inv(np.array(PRIMARIES["sRGB by another name"]).T)
    return 255 * linear_to_srgb(linear @ (from_xyz @ to_xyz).T)
