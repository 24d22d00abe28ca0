"""`dermedge import`: a Keras model that was trained elsewhere in, a run folder out."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from edge_runtime._strict import to_json
from edge_runtime.errors import UsageError
from train.commands.data import add_data_arguments, data_of
from train.commands.resampling import add_seed_argument
from train.commands.written import add_output_arguments, default_out, tell
from train.config import TrainConfig
from train.importing.normalisation import NORMALISATIONS

SUMMARY = "Make a run folder out of a Keras model that was trained elsewhere, to be converted."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, what is known of it, and the images that judge it."""
    defaults = TrainConfig()
    rules = "; ".join(f"{rule.name}: {rule.formula}" for rule in NORMALISATIONS.values())
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="a .keras file, read in Keras's safe mode"
    )
    parser.add_argument(
        "--labels", type=Path, required=True, metavar="FILE",
        help="class codes in the order of the model's outputs, one a line; for a single output the "
        "negative class, then the positive one",
    )  # fmt: skip
    add_data_arguments(parser)
    parser.add_argument(
        "--normalisation", choices=tuple(NORMALISATIONS), metavar="NAME",
        help="what the model's input was made of bytes by, outside the model; it is built in, and "
        f"checked on validation images ({rules}). Left out, it is found on the images, if "
        "they tell",
    )  # fmt: skip
    parser.add_argument(
        "--input-size", type=int, metavar="N",
        help="side of the input in pixels, for a model that takes any",
    )  # fmt: skip
    parser.add_argument(
        "--input-rule", action="append", default=[], metavar="KEY=VALUE",
        help="a field of the rule by which an image becomes a square, such as jpeg_draft=0; may be "
        "given again (default: the centre square, bilinear)",
    )  # fmt: skip
    parser.add_argument(
        "--trained-on", type=Path, metavar="FILE",
        help="ids or file names of the images that the model was trained on, one a line or a CSV "
        "with image_id. Left out, the data's part train is taken as trained on; data that names no "
        "split is taken as never seen, but for a fifth that is kept for the quantizer",
    )  # fmt: skip
    parser.add_argument(
        "--accept-unproven", action="store_true",
        help="import even if the images speak against the normalisation or the order of the "
        "classes, or the model knows no more than chance; the run says so",
    )  # fmt: skip
    parser.add_argument(
        "--sensitivity", type=float, default=defaults.sensitivity, metavar="X",
        help="what the operating points are chosen for, on validation "
        f"(default: {defaults.sensitivity})",
    )  # fmt: skip
    parser.add_argument(
        "--bootstrap", type=int, default=defaults.bootstrap, metavar="N",
        help=f"resamples behind the 95%% intervals (default: {defaults.bootstrap})",
    )  # fmt: skip
    add_seed_argument(parser, "the split and the resampling")
    add_output_arguments(parser, "model")


def run(arguments: argparse.Namespace) -> int:
    """Import and print where the run is, what was checked, and how well the model does."""
    from train.importing import Source, import_model
    from train.importing.record import read_import

    source = Source(
        file=arguments.model,
        labels=arguments.labels,
        normalisation=arguments.normalisation,
        input_size=arguments.input_size,
        input_rule=dict(_field(word) for word in arguments.input_rule),
        trained_on=arguments.trained_on,
        accept_unproven=arguments.accept_unproven,
    )
    config = TrainConfig(
        seed=arguments.seed, sensitivity=arguments.sensitivity, bootstrap=arguments.bootstrap
    )
    data = data_of(arguments)
    out = arguments.out or default_out(data.root, arguments.model.stem)
    folder = import_model(source, data, out, config)
    tell(folder, out, arguments, {"import": to_json(read_import(folder))})
    return 0


def _field(word: str) -> tuple[str, object]:
    """A field of the input rule: a whole number where it looks like one, text otherwise."""
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise UsageError(f"--input-rule {word} cannot be read, expected for example jpeg_draft=0.")
    return name, int(value) if re.fullmatch(r"-?\d{1,9}", value) else value
