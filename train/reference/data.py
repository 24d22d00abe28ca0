"""The tables that the reference model is trained on, made by `dermedge audit`.

HAM10000 keeps its published split. ISIC 2017 and what is left of the 9-class collection are for
training only. Whatever shows a picture or a lesion of a validation or test part, or of ISIC 2018's
official test set, is set aside, as are pictures whose labels contradict each other.
"""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from edge_runtime.commands import NOT_DONE, main
from edge_runtime.errors import DataError
from train.data.description import DESCRIPTION_FILE

HAM, ISIC_2017, NINE, ISIC_2018 = "ham10000", "isic2017", "isic_9class", "isic2018_task3_test"
TABLES = {"ham": (HAM,), "all": (HAM, ISIC_2017, NINE)}
"""Which data sets a table holds; the first of them keeps its split."""

CLASSES = {
    ISIC_2017: {"sk": "bkl"},
    NINE: {
        "melanoma": "mel", "nevus": "nv", "actinic keratosis": "akiec",
        "basal cell carcinoma": "bcc", "dermatofibroma": "df",
        "pigmented benign keratosis": "bkl", "seborrheic keratosis": "bkl",
        "squamous cell carcinoma": "akiec", "vascular lesion": "vasc",
    },
}  # fmt: skip
"""Names in HAM10000 of the classes of the others. Its ``akiec`` has Bowen's disease, squamous cell
carcinoma in situ, in it; invasive ones have no class of their own there."""


def table(name: str, folder: Path) -> Path:
    """The table of a name in `TABLES`; made in ``folder`` where it is not there yet.

    Raises:
        DataError: it could not be made; the audit has said why.
    """
    path = folder / name / "table.csv"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with as_file(files("train.reference") / "tables" / f"{name}.toml") as description:
            shutil.copyfile(description, path.parent / DESCRIPTION_FILE)
        if main(audit_words(name, path)) == NOT_DONE or not path.is_file():
            raise DataError(f"The table {name} could not be made; see the sentence before.")
    return path


def audit_words(name: str, path: Path) -> list[str]:
    """The command line that makes a table."""
    first, *others = TABLES[name]
    words = ["audit", first, *others, ISIC_2018, "--held-out", ISIC_2018]
    for other in others:
        words += ["--train-only", other]
        for theirs, ours in CLASSES[other].items():
            words += ["--map", f"{theirs}={ours}"]
    return [*words, "--keep-split", "--fix", str(path)]
