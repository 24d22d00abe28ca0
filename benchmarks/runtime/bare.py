"""The least that a program can do: decode with Pillow, shrink, call the interpreter.

This is what the runtime is measured against. It reads the same pixels (JPEGs decoded at reduced
scale, centre square, bilinear) and feeds them to the same interpreter with the same threads, and it
checks nothing: not the model file, not its answers, not the photograph.

Run as a file it is the start that `benchmarks.runtime.start` compares:
``bare.py MODEL THREADS IMAGE SIZE DRAFT`` prints the index of a class, then the peak of its memory
in bytes.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image


class BareLoop:
    """An interpreter, and nothing else."""

    def __init__(self, model: str, threads: int, size: int, draft: int) -> None:
        """Load the TFLite file ``model``; ``size`` and ``draft`` are those of its input rule."""
        self._interpreter = Interpreter(model_path=model, num_threads=threads)
        self._interpreter.allocate_tensors()
        (source,) = self._interpreter.get_input_details()
        (result,) = self._interpreter.get_output_details()
        self._input, self._output = source["index"], result["index"]
        self._dtype = source["dtype"]
        self._size, self._draft = size, size * draft

    def answer(self, file: str) -> int:
        """The index of the likeliest class of an image file."""
        with Image.open(file) as image:
            image.draft("RGB", (self._draft, self._draft))
            pixels = image.convert("RGB")
        side = min(pixels.size)
        left, top = (pixels.width - side) // 2, (pixels.height - side) // 2
        square = pixels.crop((left, top, left + side, top + side))
        small = square.resize((self._size, self._size), Image.Resampling.BILINEAR)
        tensor = np.asarray(small)[np.newaxis].astype(self._dtype, copy=False)
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        probabilities: Any = self._interpreter.get_tensor(self._output)
        return int(probabilities[0].argmax())


def main() -> None:
    """Print the answer and the memory."""
    model, threads, image, size, draft = sys.argv[1:]
    print(BareLoop(model, int(threads), int(size), int(draft)).answer(image), flush=True)
    with open("/proc/self/status", encoding="ascii") as status:
        print(next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:")))


if __name__ == "__main__":
    main()
