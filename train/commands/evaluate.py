"""`dermedge evaluate`: figures of a run or a bundle on labelled images, with intervals."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from edge_runtime._terminal import visible_lines
from edge_runtime.errors import UsageError
from train.commands.data import add_data_arguments, add_mapping_argument, data_of
from train.commands.resampling import add_resampling_arguments

if TYPE_CHECKING:
    from train.evaluation.images import Images
    from train.evaluation.subject import Subject

SUMMARY = "Measure a run or a bundle on labelled images that it was not trained on."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("model", metavar="RUN_OR_BUNDLE")
    add_data_arguments(parser)
    parser.add_argument("--split", default="test", choices=("train", "val", "test"),
                        help="which part of the data (default: test); data that names no split is "
                        "all test. Without --data: of the run's own data")  # fmt: skip
    parser.add_argument("--variant", metavar="NAME",
                        help="which variant of a bundle (default: the first that "
                        "passed)")  # fmt: skip
    parser.add_argument("--against", metavar="RUN_OR_BUNDLE",
                        help="compare with this one on the same images, paired")  # fmt: skip
    parser.add_argument("--against-variant", metavar="NAME",
                        help="which variant of the other bundle")  # fmt: skip
    add_mapping_argument(parser)
    parser.add_argument("--skip-trained", action="store_true",
                        help="leave out images that the model was trained on, instead of "
                        "refusing")  # fmt: skip
    parser.add_argument("--subgroups", action="store_true",
                        help="also by age, sex, site, resolution and skin tone")  # fmt: skip
    add_resampling_arguments(parser, "the resampling")
    parser.add_argument("--json", action="store_true", help="print one object")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print."""
    from train.evaluation import table
    from train.evaluation.classes import parse_mapping
    from train.evaluation.evaluation import Options, compare_subjects, evaluate_subject
    from train.evaluation.subject import open_subject

    options = Options(
        mapping=parse_mapping(arguments.map),
        bootstrap=arguments.bootstrap,
        seed=arguments.seed,
        skip_trained=arguments.skip_trained,
        subgroups=arguments.subgroups,
    )
    subject = open_subject(arguments.model, arguments.variant)
    images = _images(arguments, subject)
    if arguments.against is None:
        if arguments.against_variant is not None:
            raise UsageError("--against-variant needs --against; name the other bundle with it.")
        found = evaluate_subject(subject, images, options)
        _print(arguments, table.evaluation_json(found), table.evaluation_table(found))
        return 0
    other = open_subject(arguments.against, arguments.against_variant)
    both = compare_subjects(subject, other, images, options)
    _print(arguments, table.comparison_json(both), table.comparison_table(both))
    return 0


def _images(arguments: argparse.Namespace, subject: Subject) -> Images:
    from train.evaluation.images import images_of_data, images_of_run

    if arguments.data or subject.run is None:
        return images_of_data(data_of(arguments), arguments.split)
    return images_of_run(subject.run, arguments.split)


def _print(arguments: argparse.Namespace, report: object, text: str) -> None:
    print(json.dumps(report) if arguments.json else visible_lines(text))
