"""What a report says in sentences: names of figures, and what a run's numbers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from train.calibration import Calibration
from train.config import Monitor
from train.run import LesionCount

TARGETS = ("melanoma", "malignant")
OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "precision", "recall", "auc_macro")
OF_CLASS = ("precision", "recall", "f1", "auc")
"""Kinds of figures that every class has; ``recall_mel`` is the recall of the class mel."""

_TITLES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy (mean recall)",
    "macro_f1": "F1, mean of the classes",
    "precision": "Precision, mean of the classes",
    "recall": "Recall, mean of the classes",
    "auc_macro": "ROC AUC, mean of the classes",
    "brier": "Brier score of all classes",
    "ece": "Expected calibration error",
    "ece_by_chance": "... that a perfect model would show",
    "auc": "ROC AUC",
    "average_precision": "Average precision",
    "sensitivity": "Sensitivity at the operating point",
    "specificity": "Specificity at the operating point",
    "sensitivity_of_decision": "Sensitivity of the decision (any target's operating point)",
    "specificity_of_decision": "Specificity of the decision",
}
SHORT = {
    "precision": "Precision", "recall": "Recall", "f1": "F1", "auc": "ROC AUC",
    "sensitivity": "Sensitivity", "specificity": "Specificity",
}  # fmt: skip
"""Column headings."""

_SPELLED = {"auc": "AUC", "f1": "F1", "ece": "ECE"}
_AT_SENSITIVITY = "specificity_at_sensitivity_"

_EVEN = 0.01
"""Distance of the temperature from 1 below which it changes nothing that anyone would notice."""

_CLEAR_RISE = 0.05
"""Share by which the validation loss has to rise above its lowest to be called a rise."""

_BEST: Mapping[Monitor, str] = {
    "val_loss": "lowest validation loss",
    "val_auc": "highest validation AUC",
}


def words_for_resampled(lesions: Mapping[str, LesionCount]) -> str:
    """What intervals resample.

    Args:
        lesions: of `train.run.lesions_by_split`.
    """
    if not lesions:
        return "images"
    if not any(count.named for count in lesions.values()):
        return "groups of like photographs"
    if not any(count.unnamed for count in lesions.values()):
        return "lesions"
    return "lesions, and photographs or groups of like ones where the lesion is not known"


def place_of(metric: str) -> tuple[str, str]:
    """A figure's heading and its name for people; one that is not known is spelled out."""
    target, _, about = metric.partition("_")
    if target not in TARGETS:
        return ("Calibration" if metric.startswith(("ece", "brier")) else "All classes",
                title_of(metric))  # fmt: skip
    if about == "brier":
        return "Calibration", f"Brier score of {target}"
    if about.startswith(_AT_SENSITIVITY):
        share = int(about.removeprefix(_AT_SENSITIVITY)) / 100
        return target.capitalize(), f"Specificity where sensitivity is {share:.2f}"
    return target.capitalize(), title_of(about)


def title_of(metric: str) -> str:
    """A figure's name for people, without its target."""
    if metric in _TITLES:
        return _TITLES[metric]
    spelled = " ".join(_SPELLED.get(word, word) for word in metric.split("_"))
    return spelled[:1].upper() + spelled[1:]


def about_learning(
    history: Sequence[Mapping[str, float]], best_epoch: int, monitor: Monitor
) -> str:
    """What the learning curves show, in one or two sentences.

    Args:
        history: one row an epoch.
        best_epoch: the one whose weights were kept, counted from 1.
        monitor: the figure that made it the best.
    """
    losses = [row["val_loss"] for row in history]
    lowest = 1 + losses.index(min(losses))
    then, last = history[lowest - 1], history[-1]
    kept = f"The weights of epoch {best_epoch} were kept, which has the {_BEST[monitor]}."
    if lowest == len(history):
        found = (
            f"The validation loss was still at its lowest in the last epoch, {lowest}: there is no "
            "sign of overfitting"
        )
        return f"{found}, and more epochs may help." if best_epoch == lowest else f"{found}. {kept}"
    rise = f"from {then['val_loss']:.3f} to {last['val_loss']:.3f}"
    if last["val_loss"] / then["val_loss"] - 1 <= _CLEAR_RISE:
        return (
            f"The validation loss was lowest in epoch {lowest} ({then['val_loss']:.3f}) and ended "
            f"at {last['val_loss']:.3f}: no clear overfitting. {kept}"
        )
    if last["loss"] < then["loss"]:
        return (
            f"The model overfits after epoch {lowest}: until the last epoch the training loss went "
            f"on falling, from {then['loss']:.3f} to {last['loss']:.3f}, while the validation loss "
            f"rose {rise}. {kept}"
        )
    return (
        f"After epoch {lowest} the validation loss rose {rise}, and the training loss did not fall "
        f"either, from {then['loss']:.3f} to {last['loss']:.3f}. {kept}"
    )


def about_calibration(calibration: Calibration) -> str:
    """Whether the probabilities were recalibrated, and what it changed."""
    temperature = calibration.temperature
    if abs(temperature - 1) < _EVEN:
        leaning = "neither overconfident nor too cautious"
    else:
        leaning = "overconfident" if temperature > 1 else "too cautious"
    biases = (
        ", and a constant added to the first target's logit makes its mean probability there its "
        "share"
        if calibration.biases
        else ""
    )
    found = (
        f"The temperature fitted on validation is {temperature:.3f}: uncorrected, the model was "
        f"{leaning}{biases}. This changes the log loss there from {calibration.loss_before:.4f} to "
        f"{calibration.loss_after:.4f}; on lesions that it was not fitted to, it gains between "
        f"{calibration.gain_low:.4f} and {calibration.gain_high:.4f} (95% interval)."
    )
    if calibration.kept:
        return f"{found} It is folded into the model's last layer: all figures here include it."
    return f"{found} The gain is not certain, so it was left out: the model is as it was trained."
