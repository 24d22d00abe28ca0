"""A bundle against an earlier one on the same images: the regression test between releases.

Three questions. Does the new release tell melanomas from others as well as the old one? That is the
gate's rule, with the old release's variant for its reference. What does it change for those who
use it, at the thresholds that each release froze? A release whose model is as good and whose
threshold is not would pass the first. And does it answer as often? A release whose checks refuse
more would pass both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convert.checking.decisions import Change, answering, decisions
from convert.checking.execution import Execution, executable, held_out, title_of, unexecuted
from convert.checking.finding import Finding, finding, with_finding
from convert.checking.rule import Rule
from convert.gate.judge import Margins
from edge_runtime.bundle import Bundle
from edge_runtime.errors import ClassError, VariantError
from edge_runtime.manifest import Label, Manifest, Variant
from train.data.table import Dataset
from train.metrics import Predictions


@dataclass(frozen=True)
class Compared:
    """One variant that both releases have.

    Attributes:
        entry: of the new manifest, with the figures and the verdict of these images.
        decisions: by "melanoma_sensitivity" and "malignant_sensitivity", the shares whose
            probabilities reach an operating point, and "specificity", the share of benign images
            whose do not; all of them whatever the checks say. And where a bundle brings checks, by
            "melanoma_answered", "malignant_answered" and "answered", the shares that they let pass.
        newly_missed: ids of the malignant images of which only the old release's probabilities
            reach an operating point.
        newly_refused: ids of the malignant images that only the new release's checks refuse.
    """

    entry: Variant
    decisions: Mapping[str, Change]
    newly_missed: tuple[str, ...]
    newly_refused: tuple[str, ...]


@dataclass(frozen=True)
class Release:
    """The comparison of two bundles.

    Attributes:
        compared: variants that both have.
        only_new, only_old: names of those that one of them has.
    """

    compared: tuple[Compared, ...]
    only_new: tuple[str, ...]
    only_old: tuple[str, ...]


def check_against(
    new: Bundle, old: Bundle, data: Dataset, split: str, margins: Margins, *,
    variants: Sequence[str] | None = None, bootstrap: int = 1000, seed: int = 0,
) -> Release:  # fmt: skip
    """Compare two bundles on the same images, variant by variant.

    Their input sizes and the order of their labels may differ.

    Args:
        new, old: opened; every model file's digest is checked on the way.
        data: labelled images whose classes both models know.
        split: which part of them.
        margins: the largest losses that pass. That of sensitivity also holds, for the first
            target, for the sensitivity with each release at its own thresholds, and for the share
            that its checks let pass.
        variants: names; all that both have for None.
        bootstrap, seed: of the 95% intervals, resampled by lesion.

    Raises:
        VariantError: no variant in common, or a named one that is not in both.
        ClassError: the bundles answer in different classes, or the data has one they do not know.
        LeakError: either model was trained on some of the images.
        GateError: the images hold no melanoma.
    """
    rule = Rule(split, margins, bootstrap, seed)
    pairs = _pairs(new, old, variants)
    _refuse_other_classes(new, old)
    images = held_out(data, split, _titles(new, old))
    before, after = Execution(old, images), Execution(new, images)
    ids = [record.image_id for record in images.records]
    compared = [
        _compared(rule, one, other, after, before, ids)
        if executable(one)
        else Compared(unexecuted(one, split), {}, (), ())
        for one, other in pairs
    ]
    names = [{variant.name: None for variant in one.manifest.variants} for one in (new, old)]
    return Release(
        tuple(compared),
        only_new=tuple(name for name in names[0] if name not in names[1]),
        only_old=tuple(name for name in names[1] if name not in names[0]),
    )


def _compared(
    rule: Rule, new: Variant, old: Variant, after: Execution, before: Execution, ids: Sequence[str]
) -> Compared:
    expected = before.of(old)
    answers = _reordered(after.of(new), expected.labels)
    threshold = old.operating_points[expected.targets[0]].threshold
    entry = rule.judged(new, answers, expected, threshold)
    referred = (
        expected.referred(old.operating_points),
        answers.referred(new.operating_points),
    )
    changes = decisions(expected, *referred, bootstrap=rule.bootstrap, seed=rule.seed)
    kept = _kept("sensitivity", "sensitivity", expected, referred, changes, rule.margins)
    entry = with_finding(entry, kept)
    passed = ~before.refused, ~after.refused
    if _checked(before) or _checked(after):
        changes |= answering(expected, *passed, bootstrap=rule.bootstrap, seed=rule.seed)
        kept = _kept("answered", "answer", expected, passed, changes, rule.margins)
        entry = with_finding(entry, kept)
    malignant = expected.positive("malignant")
    missed, refused = (malignant & once & ~now for once, now in (referred, passed))
    return Compared(entry, changes, _chosen(ids, missed), _chosen(ids, refused))


def _checked(execution: Execution) -> bool:
    return execution.bundle.manifest.checks is not None


def _chosen(ids: Sequence[str], marked: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(np.array(ids)[marked].tolist())


_SAID = {
    "sensitivity": "at its own thresholds it refers {0.newly_wrong} {1} images fewer and "
    "{0.newly_right} more than the old release, of {0.images} (sensitivity {0.before:.3f} before, "
    "{0.after:.3f} after)",
    "answered": "its checks refuse {0.newly_wrong} {1} images more and {0.newly_right} fewer than "
    "the old release's, of {0.images} (answered {0.before:.3f} before, {0.after:.3f} after)",
}
"""Of a change of the first target's figure."""


def _kept(
    figure: str, loss: str, truth: Predictions, sides: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    changes: Mapping[str, Change], margins: Margins,
) -> Finding | None:  # fmt: skip
    """Whether the new side of a figure is as good as the old one."""
    target = truth.targets[0]
    said = _SAID[figure].format(changes[f"{target}_{figure}"], target)
    return finding(loss, said, truth, *sides, margins)


def _reordered(answers: Predictions, labels: tuple[Label, ...]) -> Predictions:
    """The same answers with the classes in another order."""
    column = {label.code: index for index, label in enumerate(answers.labels)}
    order = np.array([column[label.code] for label in labels])
    back = np.argsort(order)
    return replace(
        answers, probabilities=answers.probabilities[:, order], truth=back[answers.truth],
        labels=labels,
    )  # fmt: skip


def _titles(new: Bundle, old: Bundle) -> dict[str, Bundle]:
    """What the two are called in sentences; their names and versions may be the same."""
    return {
        f"the new bundle ({title_of(new)})": new,
        f"the old bundle ({title_of(old)})": old,
    }


def _pairs(new: Bundle, old: Bundle, names: Sequence[str] | None) -> list[tuple[Variant, Variant]]:
    held = {
        title: {variant.name: variant for variant in bundle.manifest.variants}
        for title, bundle in _titles(new, old).items()
    }
    for title, variants in held.items():
        for name in names or ():
            if name not in variants:
                raise VariantError(
                    f"There is no variant {name} to compare in {title}; it holds "
                    f"{', '.join(variants)}."
                )
    of_new, of_old = held.values()
    shared = [name for name in (names or of_new) if name in of_old]
    if not shared:
        told = "; ".join(f"{title} holds {', '.join(variants)}" for title, variants in held.items())
        raise VariantError(f"There is no variant that both bundles hold: {told}.")
    return [(of_new[name], of_old[name]) for name in shared]


def _refuse_other_classes(new: Bundle, old: Bundle) -> None:
    """Refuse bundles that do not answer the same question."""
    in_new, in_old = _titles(new, old)
    of_new, of_old = (
        {label.code: label.malignant for label in one.manifest.labels} for one in (new, old)
    )
    apart = [
        f"only {title} knows {', '.join(sorted({*own} - {*others}))}"
        for title, own, others in ((in_new, of_new, of_old), (in_old, of_old, of_new))
        if {*own} - {*others}
    ]
    apart += [
        f"{code} is malignant to {in_new if malignant else in_old} alone"
        for code, malignant in of_new.items()
        if code in of_old and malignant != of_old[code]
    ]
    if new.manifest.melanoma != old.manifest.melanoma:
        apart.append(
            f"melanoma is {_called(new.manifest)} to {in_new}, {_called(old.manifest)} to {in_old}"
        )
    if apart:
        raise ClassError(
            f"The bundles answer in different classes: {'; '.join(apart)}; compare releases with "
            "the same classes."
        )


def _called(manifest: Manifest) -> str:
    return "no class" if manifest.melanoma is None else manifest.melanoma
