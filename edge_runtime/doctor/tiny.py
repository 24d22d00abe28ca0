"""Two tiny model files, so that an interpreter can be tried where there is no bundle.

Both compute ``softmax(mean over the pixels @ WEIGHTS)`` of a float32 image of shape (1, 16, 16, 3);
a test holds them to it. The TFLite file was written by TensorFlow's converter, the ONNX file by
onnx.helper.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np

SIZE = 16
WEIGHTS = np.array([[0, 1 / 32], [0, 0], [0, -1 / 32]], np.float32)
"""Red speaks for the second class, blue against it."""

_TFLITE = (
    "eNp1VL9v01AQvtRumqQhBBG1KUQoQwamNAkoQ1UEUSiiqGlRiboaqzHFUuKgxO7Mn8DAwMCEGBgYGFjZEANigL0DYweG"
    "DB06lD6+e7k4biue9Ok9n999990Pu0BE7Qcbt3JUpALlKUdZSsOWIBNngo3oFXAI/I4RjYAfJpGBZxxxm1dKe7FPCk9p"
    "8VsFLgNDZ7DventWx3lmB11f+4GC3iilZuWcAPqB/yLwrQoJN9tTp0rxzvfcnr3nYJ8Bbsv7A3Ak5HwVaG5t7qxtP1nf"
    "2rRaa+3G/Ua7Ae6xNr43F7nbcz1rEHi+23OsfWcwdPseJWE/Av4AX4GPwHvgLfAa8MX/neh6GtaAc8iEcdhW0ta4tsXF"
    "j3R9JnU2da0ObnR/leo7lwzJzdReRLVyrVpGNTJqHIs5q+V6uULTdXyi1AlAf5Wqy72E1I+5HoktTxfWHdm/rML3HsC9"
    "am2sbxebfQ/18J1OWfPk9LVMqJrzyYid+zySmh2L9p7teuzB+XyQGk04rgnHvHAUxhqSvBdFc7RmRC/vxqT/sbCGUy3z"
    "ES2celbOWjd6NPExaDqzKIlijpyu6ZRD+ng9Lee2+BuhrvEe1UPSq+d4yAM/WTHwUOJ+O+VYFMsKZ1zy/AT7FeyP7YHv"
    "+pg8p9O0u92VSiQG73F11n9W8hvBn2e5ZfutoFs747NyzscUn5LMQsuxvWguhs5iQX//i9Lh8ZqDVa9YTjgMKQPPtg++"
    "BeFbHjidYJcTsVyv4+46w6me7+f0zAjXZxXNoartMxE9+bBD/9fDMW7qHE2d5+LF/42l/xuorBn5Z2UjM1ERLn5/CE1L"
    "4xhLRzgnZT7Tek5I30pLTN7+AWIlvOc="
)
_ONNX = (
    "eNrj4LC6wMhlycWamZuYnirEkpuamKfEFZSaUpqc6gtka/FysSRWpBY7MDowLWBk1+Ln4shOTS1IycwtlmBYwMjEJcIF"
    "1sPFWC7EWKXE5ptY4luawyXDxVglxFigxB6cn1aSm1ihxQ0yJrNYghGoR4ilJDOvUkuZg5mDSYDRibHcS4IBAmwZUMHe"
    "KHmYy8S4RDgYhQS4mDgYgVgAipmThLkYC4T4uHiAkhxQSSYnFi4GAV4AroImmw=="
)

TINY_MODELS = {
    name: zlib.decompress(base64.b64decode(text))
    for name, text in (("tflite", _TFLITE), ("onnx", _ONNX))
}
"""A model file of each format."""
