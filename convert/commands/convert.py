"""`dermedge convert`: a run folder in, a bundle of checked variants out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.commands.resampling import add_resampling_arguments, whole

if TYPE_CHECKING:
    from convert.outcome import Rung

SUMMARY = "Convert a run into TFLite and ONNX variants; a bundle gets those that pass the gate."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    from convert.calibration import DEFAULT_IMAGES
    from convert.variants import DEFAULT_VARIANTS, VARIANTS

    parser.add_argument("run", metavar="RUN", help="folder that `dermedge train` wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier bundle")
    parser.add_argument("--data", type=Path, metavar="DATA",
                        help="where the run's images are now, if they have moved")  # fmt: skip
    usual = ", ".join(DEFAULT_VARIANTS)
    parser.add_argument("--variants", metavar="LIST",
                        help=f"separated by commas, or all: {', '.join(VARIANTS)} (default: "
                        f"{usual})")  # fmt: skip
    parser.add_argument("--name", help="of the bundle (default: the run's)")
    parser.add_argument("--version", default="0.1.0", help="of the bundle (default: 0.1.0)")
    parser.add_argument("--licence", metavar="SPDX",
                        help="of the model files (default: the training data's)")  # fmt: skip
    add_margin_arguments(parser)
    parser.add_argument("--accept-unproven", action="store_true",
                        help="keep variants that cannot be judged, marked as such")  # fmt: skip
    parser.add_argument("--allow-failing", action="store_true",
                        help="keep variants that fail, marked as such")  # fmt: skip
    parser.add_argument("--no-ladder", action="store_true",
                        help="look for no repair where a variant does not pass")  # fmt: skip
    parser.add_argument("--no-pictures", action="store_true",
                        help="no photographs in the bundle's report")  # fmt: skip
    parser.add_argument("--remarks", type=Path, metavar="FILE",
                        help="Markdown to put into the model card")  # fmt: skip
    parser.add_argument("--calibration-images", type=_positive, default=DEFAULT_IMAGES,
                        metavar="N", help="training images that the quantizer sees (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the variants as JSON")


def add_margin_arguments(parser: argparse.ArgumentParser) -> None:
    """The largest losses that pass, and how intervals are drawn."""
    parser.add_argument("--auc-margin", type=float, default=0.01, metavar="X",
                        help="largest loss of AUC that passes (default: 0.01)")  # fmt: skip
    parser.add_argument("--sensitivity-margin", type=float, default=0.05, metavar="X",
                        help="largest loss of sensitivity that passes (default: 0.05)")  # fmt: skip
    add_resampling_arguments(parser, "whatever is drawn")


def _positive(text: str) -> int:
    if (value := whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"{value} is too small, expected 1 or more")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Convert and print the table; status 1 unless every variant passes."""
    from convert.conversion import convert
    from convert.gate.judge import Margins
    from convert.outcome import Options
    from convert.table import variant_json, variant_table
    from convert.trial import JUDGED_ON
    from convert.variants import chosen
    from train.run import RunFolder

    options = Options(
        variants=chosen(arguments.variants),
        margins=Margins(arguments.auc_margin, arguments.sensitivity_margin),
        calibration_images=arguments.calibration_images,
        accept_unproven=arguments.accept_unproven,
        allow_failing=arguments.allow_failing,
        name=arguments.name,
        version=arguments.version,
        licence=arguments.licence,
        seed=arguments.seed,
        bootstrap=arguments.bootstrap,
        ladder=not arguments.no_ladder,
        pictures=not arguments.no_pictures,
        remarks=_remarks(arguments.remarks),
    )
    folder = RunFolder.open(arguments.run)
    conversion = convert(
        folder, arguments.out, options, arguments.data, overwrite=arguments.overwrite
    )
    judged = [outcome for outcome in conversion.outcomes if outcome.entry is not None]
    entries = [outcome.entry for outcome in judged if outcome.entry is not None]
    left_out = [outcome for outcome in conversion.outcomes if outcome.entry is None]
    bundle = None if conversion.bundle is None else str(conversion.bundle)
    if arguments.json:
        report = {
            "bundle": bundle,
            "variants": [
                {
                    **variant_json(one.entry, JUDGED_ON),
                    "in_bundle": one.kept,
                    "float_layers": one.entry.float_layers,
                    "tries": [_rung_json(rung) for rung in one.rungs],
                }
                for one in judged
                if one.entry is not None
            ],
            "left_out": [{"name": one.kind.name, "reason": one.reason} for one in left_out],
        }
        print(json.dumps(report))
    else:
        target = "melanoma" if folder.run.melanoma else "malignant"
        speeds = {outcome.kind.name: outcome.median_ms for outcome in judged}
        print(variant_table(entries, JUDGED_ON, target, speeds))
        print(f"bundle: {bundle or 'none, as no variant passed'}")
    return 0 if all(entry.verdict == "pass" for entry in entries) and not left_out else 1


def _remarks(file: Path | None) -> str:
    from edge_runtime.errors import UsageError

    try:
        return "" if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(
            f"The remarks {file} cannot be read ({reason}); name a Markdown file."
        ) from None


def _rung_json(rung: Rung) -> dict[str, Any]:
    from edge_runtime._strict import to_json

    return {
        "float_layers": list(rung.float_layers),
        "bytes": len(rung.model),
        "median_ms": rung.median_ms,
        "verdict": rung.verdict,
        "reason": rung.reason,
        "difference": to_json(rung.difference),
    }
