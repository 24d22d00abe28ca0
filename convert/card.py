"""The model card and the words that every bundle carries."""

from __future__ import annotations

from edge_runtime.manifest import Manifest, Metric

INTENDED_USE = (
    "Research on decision support for pigmented skin lesions photographed with a dermatoscope. "
    "Not a medical device; not for use on patients."
)
_FIGURES = ("auc", "sensitivity", "specificity")


def model_card(manifest: Manifest) -> str:
    """The model card as Markdown."""
    source, gate = manifest.source, manifest.gate
    target = manifest.targets[0]
    generated = (
        "\n**Trained on generated images: its figures say nothing about patients.**\n"
        if source.generated
        else ""
    )
    lines = [
        f"# {manifest.name} {manifest.version}",
        generated,
        f"**Intended use.** {manifest.intended_use}",
        "",
        f"**Model.** {source.architecture}, {manifest.input.size} x {manifest.input.size} pixels, "
        f"{len(manifest.labels)} classes; {source.weights}.",
        "",
        f"**Data.** {source.training_images} training images of {source.data}. "
        f"Licence of this model: {source.licence}.",
        *(f"Cite: {citation}" for citation in source.citations),
        "",
        "**Classes.** "
        + "; ".join(
            f"`{label.code}` {label.name}{' (malignant)' if label.malignant else ''}"
            for label in manifest.labels
        ),
        "",
        f"**Gate.** Judged on {gate.images} {gate.split} images with {gate.melanomas} {target} of "
        f"{gate.melanoma_lesions} lesions; a loss of AUC up to {gate.auc_margin:g} and of "
        f"sensitivity up to {gate.sensitivity_margin:g} passes, with "
        f"{gate.confidence:.0%} confidence.",
        "",
        *_table(manifest, target),
        "",
        "**Limits.** The figures hold for images like those it was tested on. Other cameras, other "
        "skin types and other kinds of lesion can be worse; measure on your own images before you "
        "rely on anything.",
        "",
    ]
    return "\n".join(lines)


def _table(manifest: Manifest, target: str) -> list[str]:
    splits = list(manifest.variants[0].metrics)
    heads = [f"{split} {target} {name}" for split in splits for name in _FIGURES]
    rows = [
        "| variant | bytes | " + " | ".join(heads) + " | verdict |",
        "| --- | ---: |" + " --- |" * (len(heads) + 1),
    ]
    for variant in manifest.variants:
        cells = [
            _shown(variant.metrics[split].get(f"{target}_{name}"))
            for split in splits
            for name in _FIGURES
        ]
        rows.append(
            f"| `{variant.name}` | {variant.bytes:,} | {' | '.join(cells)} | {variant.verdict} |"
        )
    return rows


def _shown(metric: Metric | None) -> str:
    if metric is None:
        return "-"
    if metric.low is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"
