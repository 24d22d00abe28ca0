"""The transparent colour of a PNG, which the file gives in its own bit depth."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime.colour import to_rgb
from tests.edge_runtime.making import noise, png
from tests.edge_runtime.test_image import pixels


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_colour_of_a_png_becomes_black(channels: int):
    picture = np.full((6, 8, channels), 200, np.uint8)
    picture[2:4, 3:6] = 90
    key = b"".join(struct.pack(">H", 200) for _ in range(channels))
    content = png(
        picture.tobytes(), 8, 6, depth=8, colour=0 if channels == 1 else 2, transparent=key
    )
    expected = np.where(picture == 200, 0, picture)
    assert (pixels(content) == expected).all()


@pytest.mark.parametrize(
    ("depth", "samples", "key", "expected"),
    [
        (1, [0b10100000], 1, [0, 0, 0]),
        (1, [0b10100000], 0, [255, 0, 255]),
        (2, [0b11100100], 3, [0, 170, 85]),
        (4, [0xF3, 0x50], 15, [0, 51, 85]),
        (16, [200, 7, 200, 8, 3, 9], 200 * 256 + 7, [0, 199, 3]),
    ],
)
def test_transparent_grey_is_compared_in_the_files_own_depth(
    depth: int, samples: list[int], key: int, expected: list[int]
):
    content = png(bytes(samples), 3, 1, depth=depth, colour=0, transparent=struct.pack(">H", key))
    assert pixels(content)[0].tolist() == [[grey] * 3 for grey in expected]


def test_transparent_colour_of_a_16_bit_png_is_compared_by_its_high_bytes():
    samples = np.array([[0x6400, 0x6411, 0x64FF], [0x0064, 0x0064, 0x0064]], ">u2")
    key = struct.pack(">HHH", *samples[0].tolist())
    content = png(samples.tobytes(), 2, 1, depth=16, colour=2, transparent=key)
    assert pixels(content)[0].tolist() == [[0, 0, 0], [0, 0, 0]]
    other = png(samples.tobytes(), 2, 1, depth=16, colour=2, transparent=bytes([0, 0x64] * 3))
    assert pixels(other)[0].tolist() == [[0x64] * 3, [0, 0, 0]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_image_taller_than_a_strip_has_no_seams(mode: str):
    picture = Image.fromarray(noise(600, 30, channels=4))
    if mode != "RGBA":
        picture = picture.convert("LA").convert(mode)
    black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
    at_once = Image.alpha_composite(black, picture.convert("RGBA")).convert("RGB")
    assert to_rgb(picture).tobytes() == at_once.tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L"])
def test_transparent_image_takes_little_more_memory_than_its_pixels(mode: str, tmp_path: Path):
    file = tmp_path / "large.png"
    colour = {"RGBA": (1, 2, 3, 4), "RGB": (1, 2, 3), "L": 1}[mode]
    told = {} if mode == "RGBA" else {"transparency": colour}
    Image.new(mode, (3000, 3000), colour).save(file, **told)
    code = (
        "import resource, sys\n"
        "from edge_runtime.image import decode, read\n"
        "from PIL import PngImagePlugin\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak()\n"
        "decode(read(sys.argv[1]))\n"
        "print((peak() - before) / 9e6)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 13  # bytes a pixel; it was 20, a gigabyte at 50 megapixels
