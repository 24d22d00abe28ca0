"""`docs/quality.md` and its plots, from what `convert.checks.study` has measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.checks.damage import DAMAGES
from convert.checks.drawn import DRAWN
from convert.checks.methods import REFUSED, Compared
from convert.checks.photographs import SEEN_SOURCES, Others
from convert.checks.plots import plot_quality, plot_refusal, share_over, values_of
from convert.checks.shares import by_lesion, share
from edge_runtime._files import write_text
from edge_runtime.checks import Checks, Inspection, Inspector
from edge_runtime.manifest import Manifest
from edge_runtime.quality import READINGS, Figures, Flaw
from train.run import SplitRow, lesions_of

PAGE, QUALITY_PLOT, REFUSAL_PLOT = "quality.md", "quality_roc.svg", "quality_refusal.svg"
LIST = "quality_photographs.csv"


def outcome(
    inspector: Inspector, tensors: NDArray[np.uint8], rows: NDArray[np.int64]
) -> list[Inspection]:
    """What the checks say of some images of a sufficient size."""
    side = inspector.checks.shortest_side
    return [inspector.inspect(np.array(tensors[row]), side, side) for row in rows]


def write(
    out: Path, checks: Checks, rows: Sequence[SplitRow], tested: Sequence[Inspection],
    good: Sequence[Figures], curves: Mapping[Flaw, Sequence[Sequence[Figures]]],
    compared: Sequence[Compared], others: Others, inspector: Inspector, manifest: Manifest,
) -> None:  # fmt: skip
    """Write the page and its plot into ``out``.

    Args:
        out: folder of the documents.
        checks: as they were fitted.
        rows, tested: the test images, and what the checks say of them.
        good, curves: figures of test images, and of the same damaged, by flaw and severity.
        compared: the candidate methods.
        others: pictures of anything but skin.
        inspector: of the checks.
        manifest: of the bundle whose probabilities were compared.
    """
    parts = [
        _head(checks, rows, manifest),
        _limits(checks, good, curves),
        _good_images(rows, tested, manifest),
        _unfamiliar(checks, rows, tested, compared, others, inspector),
        _made_up(inspector, others),
        _limitations(),
    ]
    plot_quality(out / QUALITY_PLOT, checks, good, curves)
    known = np.array([one.unfamiliarity for one in tested])
    whole = others.whole
    plot_refusal(
        out / REFUSAL_PLOT, known, _away(inspector, others.tensors[whole]), others.seen[whole],
        checks.familiar.threshold,
    )  # fmt: skip
    write_text(out / PAGE, "\n\n".join(parts) + "\n")


def _head(checks: Checks, rows: Sequence[SplitRow], manifest: Manifest) -> str:
    return (
        "# What is refused before a probability is believed\n\n"
        "Written by these commands; do not edit. HAM10000 is a folder of the data set at 200 x 150 "
        f"pixels with its split, BUNDLE one that was trained on its training part ({manifest.name} "
        f"{manifest.version} here), PACKAGES holds the packages that [{LIST}]({LIST}) names.\n\n"
        "    python -m convert.checks.photographs --packages PACKAGES --out PHOTOGRAPHS\n"
        "    python -m convert.checks.study --data HAM10000 --bundle BUNDLE --others PHOTOGRAPHS "
        "--out docs\n\n"
        f"Limits were fitted on {checks.images:,} validation images of HAM10000 (200 "
        f"x 150 pixels, one resolution; input square {manifest.input.size} pixels), on copies of "
        "them damaged on purpose (`convert/checks/damage.py`), and on training images. The "
        f"{len(rows):,} test images took no part in that; how often they were looked at is said at "
        "the end. Intervals are 95%.\n\n"
        "The rule, first line that holds: `retake` (a flaw below), `uncertain` (unlike the "
        "training images), `refer`, `routine`. Probabilities are given whatever it says, and a "
        "refused picture whose probability reaches its operating point says so in its reasons. "
        "`--no-checks` (`checks=False`) leaves the first two out."
    )


def _limits(
    checks: Checks, good: Sequence[Figures], curves: Mapping[Flaw, Sequence[Sequence[Figures]]]
) -> str:
    from sklearn.metrics import roc_auc_score

    lines = [
        "## Quality: `retake`\n",
        f"Test images, {len(good)} as they are and the same damaged. Each cell: area under the "
        "ROC curve, and the share refused at the limit in the bundle. The severity in bold is the "
        f"one the limit was fitted to find. ![ROC curves]({QUALITY_PLOT})\n",
        "| flaw | figure, limit | good refused | severity 1 | 2 | 3 | 4 | 5 | values |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for flaw, damage in DAMAGES.items():
        reading, limit = READINGS[flaw], checks.limits[flaw]
        fine = values_of(good, flaw)
        cells = []
        for severity in range(1, 6):
            spoilt = values_of(curves[flaw][severity - 1], flaw)
            if flaw == "absent" and severity < 5:
                cells.append("")
                continue
            truth = np.r_[np.zeros(len(fine)), np.ones(len(spoilt))]
            area = roc_auc_score(truth, np.r_[fine, spoilt])
            text = f"{area:.3f}, {share_over(spoilt, flaw, limit.threshold):.0%}"
            cells.append(f"**{text}**" if severity == damage.fitted else text)
        relation = "above" if reading.high else "below"
        lines.append(
            f"| {damage.title} | {reading.figure} {relation} {limit.threshold:.3g} | "
            f"{share_over(fine, flaw, limit.threshold):.1%} | {' | '.join(cells)} | "
            f"{damage.parameter}: {', '.join(f'{value:g}' for value in damage.values)} |"
        )
    lines.append(
        f"\nToo small: a shorter side under {checks.shortest_side} pixels, half of the model's "
        "input. That one is a rule and not a measurement: `train/robustness.py` shrinks pictures "
        "to 0.6 down to 0.25 of the side (`rescale`), and `dermedge report` shows what each costs "
        "a run."
    )
    return "\n".join(lines)


def _good_images(rows: Sequence[SplitRow], tested: Sequence[Inspection], manifest: Manifest) -> str:
    labels = np.array([row.label for row in rows])
    groups = lesions_of(rows)
    melanoma = labels == manifest.melanoma
    lines = [
        "## Good test images that are refused\n",
        "Differences are melanomas less the rest. Intervals resample lesions, and are a rule of "
        "three where all or none are meant.\n",
        "| | all | melanomas | the rest | difference |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, refused in (
        ("`retake`", np.array([bool(one.retake) for one in tested])),
        ("`uncertain`, and not `retake`",
         np.array([bool(one.uncertain) and not one.retake for one in tested])),
        ("either", np.array([one.refused for one in tested])),
    ):  # fmt: skip
        more = by_lesion(refused, melanoma, groups)
        lines.append(
            f"| {name} | {share(refused, groups)} | {share(refused[melanoma], groups[melanoma])} | "
            f"{share(refused[~melanoma], groups[~melanoma])} | {more.value:+.1%}"
            f" ({more.low:+.1%} to {more.high:+.1%}) |"
        )
    answered = ~np.array([one.refused for one in tested])
    lines.append("\nAnswered, by class: " + ", ".join(
        f"{label} {share(answered[labels == label], groups[labels == label])}"
        for label in sorted(set(labels.tolist()))
    ) + ".")  # fmt: skip
    return "\n".join(lines)


def _unfamiliar(
    checks: Checks, rows: Sequence[SplitRow], tested: Sequence[Inspection],
    compared: Sequence[Compared], others: Others, inspector: Inspector,
) -> str:  # fmt: skip
    seen = others.seen
    heads = " | ".join(f"found at {part:.0%} refused | least answered class" for part in REFUSED)
    lines = [
        "## What the model does not know: `uncertain`\n",
        f"Candidates, on all validation images and {int(seen.sum())} pictures "
        f"({len(set(others.photographs[seen]))} photographs, whole and in halves) of the seen "
        "sources:\n",
        f"| score | AUC | {heads} |", "|---|---|" + "---|---|" * len(REFUSED),
    ]  # fmt: skip
    for one in compared:
        cells = [
            f"{found:.1%} | {code} {passed:.0%}"
            for found, (code, passed) in zip(one.found, one.least, strict=True)
        ]
        lines.append(f"| {one.name} | {one.auc:.4f} | {' | '.join(cells)} |")
    known, groups = np.array([one.unfamiliarity for one in tested]), lesions_of(rows)
    away = _away(inspector, others.tensors)
    limit = checks.familiar.threshold
    lines += [
        "\nThe nearest training images tell a little better, but need their features in every "
        "bundle (the bytes are given; a mean and a matrix take 14 kB), and at 5% refused they pass "
        "fewer vascular lesions. A class counts by the root of its share of the training images, "
        "so that a rare one is familiar too.\n",
        "The chosen one on the test images and on photographs that packages ship (people, animals, "
        "food, rooms, streets, landscapes, textures, laboratory glass, postcards, pages). A source "
        f"is a package; those of the list `SEEN_SOURCES` ({len(SEEN_SOURCES)} of them) were seen "
        "while methods and thresholds were chosen, the others were not. Intervals of photographs "
        "resample them, and are a rule of three where all are found. "
        f"![Refusals]({REFUSAL_PLOT})\n",
        "| threshold | test images refused | photographs | seen sources | unseen sources | all |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    at_five = float(np.quantile(known, 0.95))
    every = np.ones(len(away), bool)
    for name, threshold in (
        (f"of the bundle ({limit:.2f})", limit),
        (f"that refuses 5% of the test images ({at_five:.2f})", at_five),
    ):
        for kind, part in (("whole", others.whole), ("whole, and in halves", every)):
            cells = [
                f"{share(away[chosen] > threshold, others.photographs[chosen])} of {chosen.sum()}"
                for chosen in (part & seen, part & ~seen, part)
            ]
            refused = share(known > threshold, groups)
            lines.append(f"| {name} | {refused} | {kind} | {' | '.join(cells)} |")
    passing = others.photographs[others.whole & (away <= limit)].tolist()
    lines.append(f"\nWhole photographs that pass as familiar: {', '.join(passing) or 'none'}.")
    return "\n".join(lines)


def _made_up(inspector: Inspector, others: Others) -> str:
    size = others.tensors.shape[1]
    side = inspector.checks.shortest_side
    lines = [
        "## Drawn pictures\n", "Not photographs, 40 of each, by any refusal:\n",
        "| picture | `retake` | `uncertain` | answered |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, draw in DRAWN.items():
        found = [
            inspector.inspect(draw(size, np.random.default_rng(number)), side, side)
            for number in range(40)
        ]
        retake = sum(bool(one.retake) for one in found)
        uncertain = sum(bool(one.uncertain) and not one.retake for one in found)
        lines.append(f"| {name} | {retake} | {uncertain} | {40 - retake - uncertain} |")
    return "\n".join(lines)


def _limitations() -> str:
    return (
        "## What was not reached\n\n"
        "- A lesion that is cut off, and skin without any, are found in about half of the cases "
        "only: good pictures hold lesions that fill the frame, or hardly stand out from the skin, "
        "and these must not be refused.\n"
        "- Vascular lesions are refused more often than others; few are in the training part. The "
        "shares by class are above, and in a bundle's manifest for its own data.\n"
        "- The test part was looked at four times, for four versions of this page. First 2% of "
        "the validation images were called unfamiliar; that found 90% of the pictures of the seen "
        "sources, so it became 3.5%. The second page showed that 72% of the vascular lesions of "
        "the test part were answered (21 of 29). Thereupon the classes' weights, twice as many "
        "training images and a share of 3% were chosen on validation images and seen sources; the "
        "question came from the test part, the answer did not. The small square is now averaged in "
        "one step where its size allows. 71 of the photographs of unseen sources were on the "
        "first two pages as such; the others came with the third. The fourth has intervals over "
        "lesions where the others had them over images, and a bundle that comes with this "
        "software; nothing was chosen by it.\n"
        "- Damage is simulated on the input square. Photographs refused by a person were not to "
        "be had.\n"
        "- Pictures of other skin are few among the photographs (two of hands, some of faces): a "
        "hand and two faces pass as familiar, so other skin is not reliably refused. Clinical "
        "photographs are missing."
    )


def _away(inspector: Inspector, tensors: NDArray[np.uint8]) -> NDArray[np.float64]:
    side = inspector.checks.shortest_side
    return np.array([
        inspector.inspect(np.ascontiguousarray(tensor), side, side).unfamiliarity
        for tensor in tensors
    ])  # fmt: skip
