"""What fitting gains in 8 bits, as a page: ``python -m tests.convert.quantization_study RUN ...``.

Every run is quantized as TensorFlow does it and with each step of
`convert.variants.tflite_fitting`, and answers its validation images. Needs the images of the runs;
two minutes a run.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, f1_score
from tabulate import tabulate

from convert.calibration import DEFAULT_IMAGES, calibration_rows
from convert.conversion import _export
from convert.evidence import Images, images_of_run
from convert.variants.rounding import Floats
from convert.variants.tflite import float32
from convert.variants.tflite_int8 import Int8Quantizer
from edge_runtime._files import write_text
from edge_runtime.manifest import Metric
from train.evaluation.bootstrap import interval, lesion_weights
from train.evaluation.execution import run_images
from train.run import RunFolder, lesions_of

RESAMPLES, SEED = 2000, 0
LEAST = 1e-7
HEAD = """# 8 bits that answer as the floats do

Written by `make quantization-page`; do not edit.

A file in 8 bits may pass the gate, which asks for melanoma alone, and still name other classes
than the network that was trained. Before TensorFlow quantizes a network, `dermedge convert`
therefore fits it to the calibration images ({images} of the training part). All of it is
published, and nothing of it costs the device anything:

1. **Biases** (`convert/variants/rounding.py`). Rounding a layer's weights moves the mean of its
   answers, by what its inputs are on average; the bias takes that back (Nagel et al., ICCV 2019).
2. **Rounding.** A weight goes up or down, whichever loses less of what the layer answers on
   inputs like those of the images. Nearest is not best: neighbouring pixels are alike, so errors
   of one filter add up or cancel (Nagel et al., ICML 2020; here by coordinate descent on the
   covariance of the inputs).
3. **Ranges** (`convert/variants/ranges.py`). The 256 steps of an activation lie where the mean
   square error of rounding and clipping together is least, not where the largest value was met
   (Nagel et al., arXiv:2106.08295).

Layers that the ladder leaves in float ([ladder.md](ladder.md)) keep their weights and biases.
`onnx_int8` is quantized by ONNX Runtime alone.

Below: validation images of each run, answered as the device does. Divergence: mean
Kullback-Leibler divergence of the probabilities from those of the file in floats, in nats, with
95% intervals over lesions. Agreement: share of images on which both name the same class. Steps
were chosen by the divergence."""


FORMS = {
    "as TensorFlow does it": frozenset[str](),
    "with biases": frozenset({"biases"}),
    "with biases and rounding": frozenset({"biases", "rounding"}),
    "with biases, rounding and ranges (used)": frozenset({"biases", "rounding", "ranges"}),
}


def main() -> None:
    """Quantize, ask, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, default=Path("docs/quantization.md"), metavar="FILE")
    arguments = parser.parse_args()
    parts = [HEAD.format(images=DEFAULT_IMAGES)]
    for folder in arguments.runs:
        parts.append(_part(RunFolder.open(folder)))
    write_text(arguments.out, "\n\n".join(parts) + "\n")
    print(arguments.out)


def _part(run: RunFolder) -> str:
    record, images = run.run, images_of_run(run)
    held = images.of_split("val")
    rows = [images.rows[index] for index in held]
    truth = np.array([record.codes.index(row.label) for row in rows])
    groups = lesions_of(rows)
    lines = []
    expected: NDArray[np.float64] | None = None
    for name, model in _files(run, images):
        found = run_images(model, "tflite", images.tensors, held).astype(np.float64)
        expected = found if expected is None else expected
        named = found.argmax(axis=1)
        lines.append((
            name,
            _shown(_divergence(expected, found, groups)),
            f"{(named == expected.argmax(axis=1)).mean():.1%}",
            f"{balanced_accuracy_score(truth, named):.3f}",
            f"{f1_score(truth, named, average='macro'):.3f}",
        ))  # fmt: skip
    heads = ("file", "divergence", "agreement", "balanced accuracy", "macro-F1")
    return (
        f"## {record.name}\n\n{record.config.arch} at {record.input.size} pixels, "
        f"{len(rows):,} validation images of {record.data.name}.\n\n"
        + tabulate(lines, heads, "github", disable_numparse=True)
    )


def _files(run: RunFolder, images: Images) -> Iterator[tuple[str, bytes]]:
    """The file in floats, then those in 8 bits."""
    with tempfile.TemporaryDirectory() as scratch:
        calibration = calibration_rows(images.rows, DEFAULT_IMAGES, SEED)
        exported = _export(run, run.model(), images.tensors[calibration], Path(scratch))
        yield "in floats", float32(exported)
        with mock.patch("convert.variants.rounding._descended", _nearest):
            nearest = Int8Quantizer(exported)
        fitted = Int8Quantizer(exported)
        for name, steps in FORMS.items():
            quantizer = fitted if "rounding" in steps else nearest
            changed = {
                "_layers": quantizer._fitted._layers if "biases" in steps else {},
                "_ranges": quantizer._fitted._ranges if "ranges" in steps else {},
            }
            with mock.patch.multiple(quantizer._fitted, **changed):
                yield name, quantizer.model()


def _nearest(exact: Floats, integers: Floats, covariance: Floats) -> Floats:
    return integers


def _divergence(expected: Floats, found: Floats, groups: NDArray[np.str_]) -> Metric:
    sure, other = np.maximum(expected, LEAST), np.maximum(found, LEAST)
    each = (sure * np.log(sure / other)).sum(axis=1)
    drawn = [
        weights @ each / weights.sum(axis=1) for weights in lesion_weights(groups, RESAMPLES, SEED)
    ]
    return interval("divergence", float(each.mean()), drawn)


def _shown(metric: Metric) -> str:
    return f"{metric.value + 0.0:.4f} [{metric.low:.4f}, {metric.high:.4f}]"


if __name__ == "__main__":
    main()
