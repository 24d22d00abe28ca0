"""How fast training steps are here: `python -m benchmarks.training`.

Four ways to train the same network take turns in one process, so that whatever else the machine
does slows all of them:

- Keras's own layers, on one batch again and again;
- the layers that training uses (`train.fast_layers`), on the same batch again and again;
- those layers, on batches that the input pipeline makes meanwhile;
- those layers, on the same batch again and again, with the large maps frozen (``frozen_stride``).

The second over the first is what the layers gain; the third over the second is what is left with
the pipeline, 1 if it were free; the fourth over the second is what freezing gains. Beside them the
network answers a batch, as in validation, with either kind of layers. Images are generated, weights
random: neither changes the work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import Environment, load_note, observe
from edge_runtime.errors import DermedgeError, UsageError
from train.config import TrainConfig
from train.progress import bar

FROZEN_STRIDE = 4
KERAS, FAST, PIPELINE = "keras layers", "fast layers", "fast layers, pipeline"
FROZEN = f"fast layers, frozen stride {FROZEN_STRIDE}"
KERAS_ANSWERS, FAST_ANSWERS = "keras layers, answers", "fast layers, answers"
CLASSES = 7
IMAGES = 64
"""Generated images; more would only take longer to draw."""
WARM_UP_STEPS = 2
"""The first step traces and the second still allocates."""


@dataclass(frozen=True)
class Speed:
    """One way of training, median of the rounds.

    Attributes:
        images_per_second: by the clock.
        cpu_ms_per_image: of all threads of this process; what others do hardly shows in it.
    """

    images_per_second: float
    cpu_ms_per_image: float


@dataclass(frozen=True)
class Report:
    """Everything that was measured.

    Attributes:
        speeds: by the names `KERAS`, `FAST`, `PIPELINE`, `FROZEN`, `KERAS_ANSWERS` and
            `FAST_ANSWERS`.
        gain: images per second of `FAST` over `KERAS`, median of the ratios of each round.
        pipeline_share: the same of `PIPELINE` over `FAST`.
        frozen_gain: the same of `FROZEN` over `FAST`.
        answer_gain: the same of `FAST_ANSWERS` over `KERAS_ANSWERS`.
        augmentation_cpu_ms: CPU time of augmenting one image alone.
        notes: doubts about the figures, in words.
    """

    arch: str
    input_size: int
    batch_size: int
    rounds: int
    steps: int
    speeds: Mapping[str, Speed]
    gain: float
    pipeline_share: float
    frozen_gain: float
    answer_gain: float
    augmentation_cpu_ms: float
    environment: Environment
    notes: tuple[str, ...]


def measure(config: TrainConfig, *, rounds: int = 7, steps: int = 6) -> Report:
    """Measure the four ways of training in turns.

    The pipeline makes the batch after a turn's last step beside the next turn: of its cost, one
    part in ``steps`` is charged to another way.

    Args:
        config: its architecture, sizes, augmentation, sampling and mixup are used.
        rounds: turns of each way.
        steps: training steps in a turn.

    Raises:
        UsageError: a number is too small, or the configuration names what there is not.
    """
    if rounds < 3 or steps < 1:
        raise UsageError(
            f"rounds is {rounds} and steps is {steps}, expected 3 rounds and 1 step or more."
        )
    from train import backend

    backend.prepare()
    environment = observe()
    tensors = _generated(config.input_size)
    ways = _ways(config, tensors)
    with bar("training", (rounds + 1) * len(ways), "turn") as progress:
        for number, way in enumerate(ways.values()):
            _turn(way, WARM_UP_STEPS)
            progress(number + 1)
        turns: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(rounds):
            for place, (name, way) in enumerate(ways.items()):
                turns[name].append(_turn(way, steps))
                progress((number + 1) * len(ways) + place + 1)

    images = steps * config.batch_size
    note = load_note(environment)
    return Report(
        arch=config.arch, input_size=config.input_size, batch_size=config.batch_size,
        rounds=rounds, steps=steps,
        speeds={name: _speed(found, images) for name, found in turns.items()},
        gain=_ratio(turns[KERAS], turns[FAST]),
        pipeline_share=_ratio(turns[FAST], turns[PIPELINE]),
        frozen_gain=_ratio(turns[FAST], turns[FROZEN]),
        answer_gain=_ratio(turns[KERAS_ANSWERS], turns[FAST_ANSWERS]),
        augmentation_cpu_ms=_augmentation_cpu_ms(tensors, config),
        environment=environment,
        notes=() if note is None else (note,),
    )  # fmt: skip


def _generated(size: int) -> NDArray[np.uint8]:
    from train.synthetic import LABELS, render

    return np.stack(
        [render(LABELS[n % len(LABELS)], n, width=size, height=size) for n in range(IMAGES)]
    )


def _ways(config: TrainConfig, tensors: NDArray[np.uint8]) -> dict[str, Callable[[], object]]:
    """A function for each way of training that does one step."""
    import tensorflow as tf

    from train.pipeline import training_batches

    rows = np.arange(max(len(tensors), config.batch_size)) % len(tensors)
    batches = training_batches(
        tensors, rows, rows % CLASSES, np.ones(len(rows), np.float32), classes=CLASSES,
        config=config,
    )  # fmt: skip
    full = batches.filter(lambda images, *_: tf.shape(images)[0] == config.batch_size)
    repeated = full.take(1).cache().repeat()
    # Weights are not shared between the ways: each trains a network of its own.
    return {
        KERAS: _stepper(config, iter(repeated), fast=False),
        FAST: _stepper(config, iter(repeated), fast=True),
        PIPELINE: _stepper(config, iter(full), fast=True),
        FROZEN: _stepper(replace(config, frozen_stride=FROZEN_STRIDE), iter(repeated), fast=True),
        KERAS_ANSWERS: _answerer(config, tensors, fast=False),
        FAST_ANSWERS: _answerer(config, tensors, fast=True),
    }


def _network(config: TrainConfig, *, fast: bool) -> Any:
    """From images to logits."""
    import keras

    from train.architectures import build, freeze
    from train.fast_layers import with_fast_layers

    keras.utils.set_random_seed(config.seed)
    model = build(
        config.arch, input_size=config.input_size, classes=CLASSES, pretrained=False
    ).model
    if config.frozen_stride:
        freeze(model, config.frozen_stride)
    network = keras.Model(model.inputs, model.get_layer("logits").output)
    return with_fast_layers(network) if fast else network


def _answerer(
    config: TrainConfig, tensors: NDArray[np.uint8], *, fast: bool
) -> Callable[[], object]:
    from train.pipeline import predictor

    predict = predictor(_network(config, fast=fast), config.batch_size)
    rows = np.arange(config.batch_size) % len(tensors)
    return lambda: predict(tensors, rows)


def _stepper(config: TrainConfig, batches: Iterator[Any], *, fast: bool) -> Callable[[], object]:
    import keras

    network = _network(config, fast=fast)
    network.compile(
        optimizer=keras.optimizers.AdamW(config.learning_rate, clipnorm=1.0),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    network.optimizer.build(network.trainable_variables)
    network.make_train_function()
    return lambda: network.train_function(batches)


def _turn(way: Callable[[], object], steps: int) -> tuple[float, float]:
    """Seconds by the clock and of the processors."""
    clock, processors = time.perf_counter(), time.process_time()
    for _ in range(steps):
        way()
    return time.perf_counter() - clock, time.process_time() - processors


def _speed(turns: list[tuple[float, float]], images: int) -> Speed:
    return Speed(
        round(images / statistics.median(clock for clock, _ in turns), 1),
        round(1000 * statistics.median(processors for _, processors in turns) / images, 2),
    )


def _ratio(base: list[tuple[float, float]], other: list[tuple[float, float]]) -> float:
    """How many times faster the other way is by the clock."""
    ratios = (one[0] / two[0] for one, two in zip(base, other, strict=True))
    return round(statistics.median(ratios), 3)


def _augmentation_cpu_ms(tensors: NDArray[np.uint8], config: TrainConfig) -> float:
    from train.augment import augment

    took = []
    for seed in range(5):
        start = time.thread_time()
        augment(tensors, np.random.default_rng(seed), config.augmentation, config.augment)
        took.append(time.thread_time() - start)
    return round(1000 * statistics.median(took) / len(tensors), 3)


def as_text(report: Report) -> str:
    """What people read."""
    from tabulate import tabulate

    rows = [
        (name, f"{speed.images_per_second:.1f}", f"{speed.cpu_ms_per_image:.2f}")
        for name, speed in report.speeds.items()
    ]
    heads = ("with", "images/s", "CPU ms/image")
    table = tabulate(rows, heads, "simple", disable_numparse=True, colalign=("left", "right",
                                                                            "right"))  # fmt: skip
    machine = report.environment
    return "\n".join((
        f"{report.arch} at {report.input_size} px, batches of {report.batch_size}; "
        f"median of {report.rounds} rounds of {report.steps} steps",
        f"{machine.cpu or machine.machine}, {machine.usable_cores} cores, {machine.os}",
        "",
        str(table),
        "",
        f"fast layers over Keras's: {report.gain:.2f} times the images per second",
        f"with the pipeline over without: {report.pipeline_share:.3f} "
        f"(augmentation alone: {report.augmentation_cpu_ms:.2f} CPU ms/image)",
        f"with maps down to 1/{FROZEN_STRIDE} frozen over without: {report.frozen_gain:.2f} times "
        "the images per second",
        f"answers with the fast layers over Keras's: {report.answer_gain:.2f} times the images per "
        "second",
    ))  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Measure and print; the status is 0, or 2 if the call was wrong."""
    usual = TrainConfig()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description="Measure how fast training is here."
    )
    parser.add_argument("--arch", default=usual.arch)
    parser.add_argument("--input-size", type=int, default=usual.input_size, metavar="PIXELS")
    parser.add_argument("--batch-size", type=int, default=usual.batch_size, metavar="N")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="turns of each way")
    parser.add_argument("--steps", type=int, default=6, metavar="N", help="in each turn")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(argv)
    try:
        config = TrainConfig(
            arch=given.arch, input_size=given.input_size, batch_size=given.batch_size,
            epochs=10_000,
        )  # fmt: skip
        report = measure(config, rounds=given.rounds, steps=given.steps)
    except DermedgeError as error:
        print(f"dermedge: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(report)) if given.json else as_text(report))
    for note in report.notes:
        print(f"dermedge: {note}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
