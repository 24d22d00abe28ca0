"""The generated pages say what the code says."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest

import edge_runtime
from docs import generate
from edge_runtime import errors
from edge_runtime.commands import VERBS
from edge_runtime.errors import DermedgeError
from edge_runtime.result import Result
from tests.edge_runtime.making import assert_one_sentence
from tests.edge_runtime.provoking import PROVOCATIONS, provoke

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, DermedgeError)
]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The pages as they would be written now."""
    return {file.name: text for file, text in generate.pages().items()}


@pytest.mark.parametrize(
    "name",
    [
        "errors.md",
        pytest.param(
            "api.md",
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 13), reason="argparse of Python 3.13 words --help anew"
            ),
        ),
    ],
)
def test_page_is_not_stale(pages: dict[str, str], name: str):
    written = (generate.DOCS / name).read_text("utf-8")
    assert written == pages[name], f"docs/{name} is stale: run `make docs`"


def test_every_error_that_has_no_kinds_is_provoked():
    leaves = {each for each in CLASSES if not each.__subclasses__()}
    assert leaves <= {provocation.error for provocation in PROVOCATIONS}


def test_every_error_is_on_the_page(pages: dict[str, str]):
    for each in CLASSES:
        assert f"# {each.__name__}\n\n{each.__doc__}" in pages["errors.md"]
    assert pages["errors.md"].count("- **Seen:**") == len(PROVOCATIONS)
    assert pages["errors.md"].count("- **Do:**") == len(PROVOCATIONS)


@pytest.mark.parametrize(
    "provocation",
    [each for each in PROVOCATIONS if each.error.__name__ != "TrainingError"],
    ids=lambda each: each.error.__name__,
)
def test_error_is_one_sentence(provocation, tmp_path: Path):
    assert_one_sentence(provoke(provocation, tmp_path))


def test_every_type_in_a_signature_has_an_entry(pages: dict[str, str]):
    page = pages["api.md"]
    signatures = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    named = set(re.findall(r"(?:: |\[|\| |-> |, )([A-Z][a-zA-Z]+)", signatures))
    entries = set(re.findall(r"^##+ (\w+)$", page, re.MULTILINE))
    python = {"Any", "Iterable", "Iterator", "Literal", "Mapping", "None", "Path"}
    assert named - python - {"Image", "NDArray"} <= entries  # Pillow's and NumPy's
    assert {"Variant", "Checks", "PublicKey", "ImageSource", "Decision", "Quality"} <= named


def test_every_link_on_the_page_leads_somewhere(pages: dict[str, str]):
    page = pages["api.md"]
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-").replace(".", "") for heading in headings}
    links = set(re.findall(r"\]\(#([\w-]+)\)", page))
    assert {"the-decision", "colour-profiles", "figures"} <= links <= anchors
    assert not re.search(r"`(edge_runtime|convert|train)\.", page.partition("## Commands")[0])


def test_every_figure_of_a_result_is_explained(pages: dict[str, str]):
    entry = pages["api.md"].partition("\n## Result\n")[2].partition("\n## ")[0]
    for field in dataclasses.fields(Result):
        said = rf"^- `([a-z_]+, )*{field.name}\b[^`]*`: "
        assert re.search(said, entry, re.MULTILINE), field.name


def test_every_public_name_and_command_is_on_the_page(pages: dict[str, str]):
    for name in set(edge_runtime.__all__) - {"__version__"}:
        assert f"\n## {name}\n" in pages["api.md"]
    for verb in VERBS:
        assert f"\n### dermedge {verb}\n" in pages["api.md"]
        assert f"usage: dermedge {verb}" in pages["api.md"]
