"""The ladder on real images, and a page about it: ``python -m tests.convert.ladder_study``.

A network of MobileNetV3's kind is trained on HAM10000 and converted twice: as it is, and after its
channels have been made unequal, which changes nothing in floats and breaks it in 8 bits. Needs
DERMEDGE_DATA; half an hour.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from convert.conversion import convert
from convert.outcome import Conversion, Options, Outcome
from convert.variants import chosen
from edge_runtime._files import write_text
from edge_runtime.manifest import Metric
from tests.convert import hard_swish
from tests.convert.rescaled import rescaled_run
from train import architectures
from train.config import TrainConfig
from train.data.shelf import find
from train.data.table import read_data
from train.run import RunFolder
from train.training import train

CONFIG = TrainConfig(
    arch=hard_swish.ARCHITECTURE.name, input_size=96, epochs=12, learning_rate=2e-3,
    augmentation=0.5, average_weights=0.995, monitor="val_auc", bootstrap=200,
)  # fmt: skip
DECADES = 3.0
SHOWN_LAYERS = 12
HEAD = """# The ladder

A variant that does not pass the gate gets further tries, in this order (`convert/ladder.py`):

1. **The layers that cause the loss stay in float.** TensorFlow's quantization debugger makes files
   in which one layer alone is in 8 bits, inputs and output with it. The mean Kullback-Leibler
   divergence of their answers on calibration images ranks the layers. The worst 5, 10, 20 and 40%
   of them are left in float, one try after the other, until the gate is content. (TFLite only.)
2. **16-bit activations** (`tflite_int16x8`), where the operators allow them.
3. **16-bit floats** (`tflite_f16`; for ONNX `onnx_f16`, at once).

The debugger's own figure, the error of a layer's output in quantization steps, is in the bundle's
report, but it does not find the cause: rounding to a step gives 0.29 steps however large the step
is. Where the channels of a feature map differ a thousandfold in range, the small ones vanish in a
step that suits the large ones, and the figure is still 0.3.

Nothing is tried where the validation images could not pass even an exact copy of the model, for
want of melanomas. Validation chooses among the tries, so a file that passes after several has had
as many chances; docs/gate.md gives the chance that one of them is luck (for a file that lost 0.03
of AUC 0.0 to 0.1%, and 4.2% where that is a few whole lesions). The test images are looked at once,
after the last try. `--no-ladder` turns it off."""


def main() -> None:
    """Train, convert twice, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("out/ladder"), metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("docs/ladder.md"), metavar="FILE")
    arguments = parser.parse_args()
    name = hard_swish.ARCHITECTURE.name
    architectures.ARCHITECTURES = {**architectures.ARCHITECTURES, name: hard_swish.ARCHITECTURE}
    trained = _trained(arguments.work / "trained")
    unequal = arguments.work / "unequal"
    broken = (
        RunFolder.open(unequal)
        if unequal.exists()
        else rescaled_run(
            trained, unequal, lambda model: hard_swish.with_unequal_channels(model, DECADES)
        )
    )
    lines = [HEAD, *_about(trained)]
    for title, run in (("As trained", trained), ("Channels made unequal", broken)):
        options = Options(variants=chosen("tflite_f32,tflite_int8"), bootstrap=200)
        bundle = arguments.work / f"{run.folder.name}_bundle"
        lines += ["", f"## {title}", "", *_tries(convert(run, bundle, options, overwrite=True))]
    write_text(arguments.out, "\n".join(lines) + "\n")
    print(arguments.out)


def _trained(folder: Path) -> RunFolder:
    if folder.exists():
        return RunFolder.open(folder)
    partial = folder.with_name(folder.name + ".partial")
    return train(read_data(find("ham10000")), CONFIG, folder, resume=partial.exists())


def _about(run: RunFolder) -> Iterator[str]:
    counts, figures = run.run.counts, run.run.metrics["val"]
    yield f"""
Shown below on a network of the kind that breaks: {len(hard_swish.BLOCKS)} of MobileNetV3-Small's
blocks (hard-swish, squeeze-and-excitation; `tests/convert/hard_swish.py`), trained from scratch on
the {sum(counts["train"].values()):,} training images of HAM10000's published split at
{CONFIG.input_size} px for {CONFIG.epochs} epochs: validation melanoma AUC
{_shown(figures["melanoma_auc"])}, balanced accuracy {_shown(figures["balanced_accuracy"])}.
`make ladder-page` does it again and writes this page.

After so short a training from scratch its channels are alike, and 8 bits hold them. Long training
leaves them unequal (M. Nagel et al., ICCV 2019, figure 2), so for the second table two groups of
feature maps are rescaled, by up to {10**DECADES:.0f} times from channel to channel, and the layers
that read them by the inverse: the same function in floats, other ranges in 8 bits."""


def _tries(conversion: Conversion) -> Iterator[str]:
    yield "| variant | layers in float | bytes | AUC loss | agreement | verdict |"
    yield "| --- | ---: | ---: | --- | ---: | --- |"
    for outcome in conversion.outcomes:
        for rung in outcome.rungs:
            agreement = rung.difference["agreement"].value
            yield (
                f"| `{outcome.kind.name}` | {len(rung.float_layers)} | {len(rung.model):,} | "
                f"{_shown(rung.difference['melanoma_auc'])} | "
                f"{agreement:.1%} | {rung.verdict} |"
            )
        if not outcome.rungs:
            yield f"| `{outcome.kind.name}` | | | | | left out: {outcome.reason} |"
    for outcome in conversion.outcomes:
        yield from _after(outcome)


def _after(outcome: Outcome) -> Iterator[str]:
    if outcome.entry is None:
        return
    figures = outcome.entry.metrics["test"]
    yield (
        f"\n`{outcome.kind.name}` on the test images: melanoma AUC "
        f"{_shown(figures['melanoma_auc'])}, loss "
        f"{_shown(outcome.entry.difference['test']['melanoma_auc'])}."
    )
    worst = [one for one in outcome.layer_errors if one.effect is not None][:SHOWN_LAYERS]
    if worst:
        yield "\n| layer | alone in 8 bits, divergence | error in steps |"
        yield "| --- | ---: | ---: |"
        for one in worst:
            yield f"| {one.layer} | {one.effect:.4f} | {one.error:.2f} |"


def _shown(metric: Metric) -> str:
    interval = "" if metric.low is None else f" ({_rounded(metric.low)} to {_rounded(metric.high)})"
    return f"{_rounded(metric.value)}{interval}"


def _rounded(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # which makes 0 of -0


if __name__ == "__main__":
    main()
