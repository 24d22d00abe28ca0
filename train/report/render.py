"""A run as one HTML page that needs no network and runs no script."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import Label, Metric
from train.config import USED_BY_IMPORT
from train.data.table import SPLITS
from train.evaluation.reliability import BINS
from train.importing.record import read_import
from train.report import pictures as picture
from train.report import plots, tables, words
from train.report.evidence import (
    JUDGED,
    Answered,
    TestImages,
    read_answers,
    read_history,
)
from train.report.mistakes import Example, examples, explained
from train.report.style import PALETTE, SPLIT_WORDS
from train.report.templates import environment
from train.robustness import CLEAN, CORRUPTIONS, SEVERITIES, Corrupted, corrupt, random_of
from train.run import MODEL_FILE, Run, RunFolder, lesions_by_split

if TYPE_CHECKING:
    from train.evaluation.subgroups import Subgroup

TEMPLATE = "template.html"
SMALL_GROUP, FEW_POSITIVES = 50, 10
"""Images and positives below which a subgroup's figures are greyed: their intervals are wide."""


@dataclass(frozen=True)
class Card:
    """One test image in the page.

    Attributes:
        example: the image.
        sources: (data URI, alternative text) of each picture; empty without pictures.
        verdict, explained: what became of it, and the class that the explanation is for; empty
            where it is not explained.
        evidence: whether anything speaks for that class.
    """

    example: Example
    sources: tuple[tuple[str, str], ...]
    verdict: str = ""
    explained: str = ""
    evidence: bool = False


@dataclass(frozen=True)
class TargetPlots:
    """The plots of one yes-or-no question, and the bins behind the reliability diagram."""

    target: str
    roc: plots.Plot
    precision_recall: plots.Plot
    reliability: plots.Plot | None
    bins: tuple[plots.Bin, ...]


@dataclass(frozen=True)
class CorruptionView:
    """One corruption: its curve, one example of it, and the figures by name and severity."""

    title: str
    parameter: str
    values: tuple[float, ...]
    plot: plots.Plot
    example: tuple[str, str] | None
    figures: Mapping[str, tuple[Metric | None, ...]]


def render_report(
    run: RunFolder,
    *,
    pictures: bool = True,
    images: TestImages | None = None,
    heat: Mapping[int, NDArray[np.float32]] | None = None,
    subgroups: Sequence[Subgroup] = (),
    subgroup_notes: Sequence[str] = (),
    corrupted: Sequence[Corrupted] = (),
) -> str:
    """The page's text.

    Args:
        run: the run.
        pictures: whether the page may hold pictures of lesions; without, it names ids only.
        images: the test images; None where they are gone.
        heat: Grad-CAM maps by position among the test images, from `train.report.gradcam`.
        subgroups: figures of parts of the test images.
        subgroup_notes: sentences beneath them.
        corrupted: from `train.robustness.robustness`.

    Raises:
        RunError: the run's tables do not belong together.
        ImageError: a picture that is shown cannot be read.
    """
    templates = environment()
    templates.filters |= {
        "short": lambda kind: words.SHORT[kind],
        "place_title": lambda metric: ": ".join(words.place_of(metric)),
        "place": lambda share: f"{100 * min(max(share, 0.0), 1.0):.1f}%",
    }
    template = templates.get_template(TEMPLATE)
    context = _context(run, images if pictures else None, heat or {}, subgroups, corrupted)
    return template.render(
        **context,
        pictures=pictures,
        images_found=images is not None,
        subgroup_notes=subgroup_notes,
    )


def _context(
    folder: RunFolder, images: TestImages | None, heat: Mapping[int, NDArray[np.float32]],
    subgroups: Sequence[Subgroup], corrupted: Sequence[Corrupted],
) -> dict[str, Any]:  # fmt: skip
    run, history, imported = folder.run, read_history(folder), read_import(folder)
    lesions = lesions_by_split(folder.rows())
    answers = {split: read_answers(folder, split) for split in JUDGED}
    test = answers["test"]
    target = test.predictions.main_target or test.predictions.targets[0]
    chosen = examples(test, target, run.operating_points[target].threshold)
    return {
        "run": run,
        "palette": PALETTE,
        "split_words": SPLIT_WORDS,
        "target": target,
        "tiles": _tiles(run, target),
        "examples": chosen,
        "imported": imported,
        "learning": plots.learning_curves(history, run.best_epoch) if history else (),
        "about_learning": _about_learning(run, history),
        "about_calibration": words.about_calibration(run.calibration),
        "confusion": tables.confusion(test.predictions),
        "targets": tuple(_target_plots(run, answers)),
        "groups": tuple(tables.figure_groups(run.metrics, run.codes)),
        "classes": tables.class_rows(run, "test"),
        "of_class": words.OF_CLASS,
        "judged": JUDGED,
        "subgroups": tuple((group, _is_small(group)) for group in subgroups),
        "subgroup_metrics": _followed(target),
        "corruptions": tuple(_corruptions(corrupted, images, chosen.found, target)),
        "corrupted_images": corrupted[0].images if corrupted else 0,
        "clean": corrupted[0].metrics if corrupted else {},
        "severities": (0, *SEVERITIES),
        "small_group": SMALL_GROUP,
        "few_positives": FEW_POSITIVES,
        "bins": BINS,
        "model_digest": run.files.get(MODEL_FILE, ""),
        "robustness_marks": plots.ROBUSTNESS_MARKS,
        "missed": _cards(chosen.missed, images),
        "false_alarms": _cards(chosen.false_alarms, images),
        "explained": _explained(explained(chosen), images, heat, run.labels),
        "splits": SPLITS,
        "lesions": lesions,
        "resampled": words.words_for_resampled(lesions),
        "config": [
            (field.name, getattr(run.config, field.name))
            for field in dataclasses.fields(run.config)
            if imported is None or field.name in USED_BY_IMPORT
        ],
    }


def _about_learning(run: Run, history: Sequence[Mapping[str, float]]) -> str:
    return words.about_learning(history, run.best_epoch, run.config.monitor) if history else ""


def _followed(target: str) -> tuple[str, ...]:
    return (f"{target}_auc", f"{target}_sensitivity", f"{target}_specificity")


def _tiles(run: Run, target: str) -> list[tuple[str, str, Metric | None]]:
    """The three figures that matter: a heading, what it means, the figure on test."""
    asked = run.operating_points[target].target_sensitivity
    meant = (
        f"chance that a {target} image gets a higher probability than another image",
        f"share of the {target} images that are referred, asked for {asked:.0%} on validation",
        "share of the other images that are not referred",
    )
    heads = (f"{target.capitalize()} AUC", "Sensitivity", "Specificity")
    metrics = (run.metrics["test"].get(name) for name in _followed(target))
    return list(zip(heads, meant, metrics, strict=True))


def _target_plots(run: Run, answers: Mapping[str, Answered]) -> Iterator[TargetPlots]:
    """Of melanoma and of malignant; of one of them where they are the same classes."""
    splits = {name: answered.predictions for name, answered in answers.items()}
    test, seen = splits["test"], set()
    for target in test.targets:
        columns = tuple(test.columns(target).tolist())
        if columns in seen:
            continue
        seen.add(columns)
        scores, positive = test.scores(target), test.positive(target)
        bins = plots.reliability_bins(scores, positive)
        point = run.operating_points[target]
        yield TargetPlots(
            target,
            plots.roc_curves(splits, target, point),
            plots.precision_recall_curves(splits, target, point),
            plots.reliability(bins, scores, target) if bins else None,
            bins,
        )


def _is_small(group: Subgroup) -> bool:
    return group.images < SMALL_GROUP or group.positives < FEW_POSITIVES


def _corruptions(
    corrupted: Sequence[Corrupted], images: TestImages | None, shown: Sequence[Example],
    target: str,
) -> Iterator[CorruptionView]:  # fmt: skip
    """Every corruption that was tried; the example is a clear positive, at severity 3."""
    clean = [entry for entry in corrupted if entry.corruption == CLEAN]
    for name, corruption in CORRUPTIONS.items():
        entries = clean + [entry for entry in corrupted if entry.corruption == name]
        if len(entries) <= len(clean):
            continue
        figures = {
            metric: tuple(entry.metrics.get(metric) for entry in entries)
            for metric in (*_followed(target), "balanced_accuracy")
        }
        labelled = {
            word: figures[metric]
            for word, metric in zip(
                ("AUC", "sensitivity", "specificity"), _followed(target), strict=True
            )
        }
        example = None
        if images is not None and shown:
            tensor = np.asarray(images.tensors[shown[0].position])
            worse = [corrupt(tensor, name, level, random_of(0, name, 0)) for level in (1, 3, 5)]
            strip = np.concatenate(worse, axis=1)
            alt = f"{corruption.title} at severity 1, 3 and 5 on one image"
            example = (picture.data_uri(strip), alt)
        yield CorruptionView(
            corruption.title,
            corruption.parameter,
            corruption.values,
            plots.robustness_curve(corruption.title, [e.severity for e in entries], labelled),
            example,
            figures,
        )


def _cards(chosen: Sequence[Example], images: TestImages | None) -> tuple[Card, ...]:
    if images is None:
        return tuple(Card(example, ()) for example in chosen)
    return tuple(Card(example, (_photograph(example, images)[1],)) for example in chosen)


def _explained(
    chosen: Sequence[tuple[str, Example]], images: TestImages | None,
    heat: Mapping[int, NDArray[np.float32]], labels: Sequence[Label],
) -> tuple[Card, ...]:  # fmt: skip
    cards: list[Card] = []
    for verdict, example in chosen:
        if images is None or example.position not in heat:
            continue
        photograph, source = _photograph(example, images)
        found, name = heat[example.position], labels[example.explained].name
        shown = picture.data_uri(picture.overlay(photograph, found))
        alt = f"Grad-CAM for {name} over {example.image_id}"
        cards.append(Card(example, (source, (shown, alt)), verdict, name, bool(found.any())))
    return tuple(cards)


def _photograph(example: Example, images: TestImages) -> tuple[NDArray[np.uint8], tuple[str, str]]:
    pixels = picture.square(images.files[example.position])
    return pixels, (picture.data_uri(pixels), f"{example.truth}, {example.image_id}")
