"""`dermedge demo`: the main job from end to end, on generated images, in about two minutes."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convert.demonstration import Demonstration

SUMMARY = "Draw images, train, convert, judge and classify: the main job on generated data."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="FOLDER",
                        help="for data, run and bundle (default: out/demo)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier demo")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and print its table; status 1 unless every variant passes."""
    from convert.demonstration import demonstrate

    demonstration = demonstrate(arguments.out, seed=arguments.seed, overwrite=arguments.overwrite)
    if arguments.json:
        print(json.dumps(_report(demonstration)))
    else:
        _print(demonstration)
    entries = [outcome.entry for outcome in demonstration.conversion.outcomes]
    return 0 if all(entry is not None and entry.verdict == "pass" for entry in entries) else 1


def _report(demonstration: Demonstration) -> dict[str, object]:
    from convert.table import variant_json
    from convert.trial import JUDGED_ON

    conversion = demonstration.conversion
    return {
        "generated": True,
        "bundle": None if conversion.bundle is None else str(conversion.bundle),
        "variants": [
            {**variant_json(one.entry, JUDGED_ON), "median_ms": one.median_ms}
            for one in conversion.outcomes
            if one.entry is not None
        ],
        "classified": [answer.to_dict() for answer in demonstration.answers],
    }


def _print(demonstration: Demonstration) -> None:
    from convert.table import variant_table
    from convert.trial import JUDGED_ON
    from edge_runtime.result import Result

    conversion, bundle = demonstration.conversion, demonstration.conversion.bundle
    judged = [one for one in conversion.outcomes if one.entry is not None]
    entries = [one.entry for one in judged if one.entry is not None]
    counts = demonstration.run.run.counts[JUDGED_ON]
    print(f"\nEvery variant beside the Keras model, on the {sum(counts.values())} generated images "
          f"({counts['mel']} melanoma) on which its thresholds were chosen:\n")  # fmt: skip
    speeds = {one.kind.name: one.median_ms for one in judged}
    print(variant_table(entries, JUDGED_ON, "melanoma", speeds))
    print(
        "\nThe images are generated, so these figures show that the machinery works, nothing else."
        "\nIntervals: AUC 95%, losses 90%. Median ms: one inference, one thread, on this machine."
    )
    if bundle is None:
        print("\nNo variant passed, so there is no bundle.")
        return
    print("\nThree of the test images, read from their files:\n")
    for answer, truth in zip(demonstration.answers, demonstration.truth, strict=True):
        if isinstance(answer, Result):
            name = Path(answer.file or "").name
            print(
                f"  {name}  drawn as {truth:<4} {answer.decision.upper():<8} "
                f"melanoma {answer.melanoma_probability:.3f}  "
                f"malignant {answer.malignant_probability:.3f}  most probable {answer.label}"
            )
    print(f"\nbundle: {bundle}")
    print(f"report: {demonstration.run.folder / 'report.html'}")
    command = "dermedge" if shutil.which("dermedge") else sys.argv[0]
    print(f"next:   {command} classify {demonstration.answers[0].file} --model {bundle}")
    print(f"        {command} info {bundle}")
