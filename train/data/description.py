"""What a data set says of itself: its classes, which are malignant, its licence and citation.

Looked for in this order:

1. ``dataset.toml`` beside the images (or the file that ``--description`` names),
2. a description that this package ships under the data folder's name (``descriptions/``),
3. the common class names of ``classes.toml``, with an unknown licence.

Which classes count as malignant is therefore data, never code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime._strict import RecordError, from_json
from edge_runtime.errors import ClassError, TableError
from edge_runtime.manifest import Label

DESCRIPTION_FILE = "dataset.toml"
UNKNOWN_LICENCE = "unknown"
GENERATED = "generated"

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Description:
    """The content of a ``dataset.toml``.

    Attributes:
        name: what reports call the data; "generated" says that no patient was photographed.
        description, citation: for people.
        licence: an SPDX identifier, or "unknown".
        melanoma: code of the melanoma class; empty where the data has none.
        malignant: codes of the malignant classes, melanoma among them.
        names: full names of classes, by code; missing ones come from ``classes.toml``.
    """

    name: str
    malignant: tuple[str, ...]
    melanoma: str = ""
    description: str = ""
    licence: str = UNKNOWN_LICENCE
    citation: str = ""
    names: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if self.melanoma and self.melanoma not in self.malignant:
            raise RecordError(f"melanoma is {self.melanoma!r}, which is not among the malignant")

    @property
    def generated(self) -> bool:
        """Whether the images were made by a program."""
        return self.name == GENERATED

    def labels(self, codes: Collection[str]) -> tuple[Label, ...]:
        """The classes ``codes`` in alphabetical order, named and marked.

        Raises:
            ClassError: the description calls a class malignant that neither the data nor
                ``classes.toml`` nor its own names have, or no class is malignant.
        """
        known = _known_classes()
        if not set(codes) & set(self.malignant):
            raise ClassError(
                f"None of the classes {', '.join(sorted(codes))} is malignant according to the "
                f"description of {self.name} ({', '.join(self.malignant) or 'none'}); "
                f"correct its {DESCRIPTION_FILE}."
            )
        missing = set(self.malignant) - set(codes) - set(known) - set(self.names or {})
        if missing:
            raise ClassError(
                f"The description of {self.name} calls {min(missing)} malignant, and no image is "
                f"of that class ({', '.join(sorted(codes))}); correct its {DESCRIPTION_FILE}, or "
                "name the class there under [names]."
            )
        names = self.names or {}
        return tuple(
            Label(
                code,
                names.get(code) or str(known.get(code, {}).get("name", code)),
                code in self.malignant,
            )
            for code in sorted(codes)
        )


def describe(folder: Path, codes: Collection[str], file: Path | None = None) -> Description:
    """The description of the data in ``folder``, which holds the classes ``codes``.

    Args:
        folder: the data folder, or the folder of its CSV.
        codes: class codes found in the data.
        file: a description to use instead of looking for one.

    Raises:
        TableError: the file is missing, is not TOML, or has a wrong key.
        ClassError: nothing says whether a class is malignant.
    """
    if file is not None or (folder / DESCRIPTION_FILE).is_file():
        return _read(file or folder / DESCRIPTION_FILE)
    shipped = _HERE / "descriptions" / f"{folder.resolve().name}.toml"
    if shipped.is_file() and (found := _read(shipped)).malignant and {*found.malignant} & {*codes}:
        return found
    known = _known_classes()
    unknown = sorted(set(codes) - set(known))
    if unknown:
        raise ClassError(
            f"Nothing says whether the class {unknown[0]!r} is malignant; write a "
            f'{DESCRIPTION_FILE} into {folder.name} with name = "..." and malignant = ["...", ...].'
        )
    melanoma = [code for code in codes if known[code].get("melanoma")]
    return Description(
        name=folder.resolve().name,
        malignant=tuple(sorted(code for code in codes if known[code]["malignant"])),
        melanoma=melanoma[0] if len(melanoma) == 1 else "",
    )


def _read(path: Path) -> Description:
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
        return from_json(Description, value, path.name)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecordError) as error:
        raise TableError(f"The description {path} cannot be used: {error}; correct it.") from None


def _known_classes() -> dict[str, dict[str, Any]]:
    return tomllib.loads((_HERE / "classes.toml").read_text(encoding="utf-8"))
