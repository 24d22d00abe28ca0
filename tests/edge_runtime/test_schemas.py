"""The schemas in docs/schemas against real files, and against the dataclasses."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import jsonschema
import pytest

from edge_runtime.classifier import Classifier
from edge_runtime.errors import ImageDamagedError, ManifestError
from edge_runtime.manifest import Manifest, parse_manifest
from edge_runtime.result import Failure, Result
from tests.conftest import Command
from tests.edge_runtime.changing import (
    PATHS_OUT_OF_THE_BUNDLE,
    Change,
    Document,
    altered,
    drop,
    edit_manifest,
    put,
)

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def schema(name: str) -> Document:
    """A schema of docs/schemas, itself checked."""
    document: Document = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(document)
    return document


def validate(value: object, name: str) -> None:
    """Validate ``value`` against a schema of docs/schemas."""
    jsonschema.Draft202012Validator(schema(name)).validate(value)


def test_manifest_of_a_bundle_fits_its_schema(document: Document):
    validate(document, "manifest")


@pytest.mark.parametrize(
    "change",
    [
        put("extra", value=1), put("labels", 0, "extra", value=1), drop("name"),
        drop("variants", 0, "golden"), put("schema_version", value=2), put("name", value=3),
        put("input", "size", value=8), put("input", "crop", value="none"),
        put("variants", 0, "verdict", value="ok"), put("variants", 0, "name", value="int8"),
        put("variants", 0, "golden_tolerance", value=1), put("input", "profile", value="none"),
        put("variants", 0, "sha256", value="A" * 64), put("golden_inputs", value=[]),
        put("gate", "confidence", value=None), put("source", "generated", value=1),
        *(put("other_files", 0, "file", value=path) for path in PATHS_OUT_OF_THE_BUNDLE),
    ],
)  # fmt: skip
def test_schema_and_reader_refuse_the_same_manifests(document: Document, change: Change):
    text = altered(document, change)
    with pytest.raises(ManifestError):
        parse_manifest(text)
    with pytest.raises(jsonschema.ValidationError):
        validate(json.loads(text), "manifest")


@pytest.mark.parametrize("file", ["a", "a/b.txt", "a..b/c", "...", "b/.hidden", "ä ö.md", "a/b..c"])
def test_schema_and_reader_accept_the_same_paths(document: Document, file: str):
    text = altered(document, put("other_files", 1, "file", value=file))
    assert parse_manifest(text).other_files[1].file == file
    validate(json.loads(text), "manifest")


def test_lines_that_the_command_prints_fit_their_schema(
    dermedge: Command, bundle: Path, images: list[Path]
):
    done = dermedge("classify", images[0], "none.jpg", "--json", "--model", bundle, check=1)
    result, failure = (json.loads(line) for line in done.stdout.splitlines())
    assert "decision" in result
    assert "error" in failure
    validate(result, "result")
    validate(failure, "result")


def test_results_and_failures_fit_their_schema(own_bundle: Path, images: list[Path]):
    classifier = Classifier.open(own_bundle)
    for answer in classifier.classify_many([images[0], "none.jpg", images[0].read_bytes(), b"x"]):
        validate(json.loads(json.dumps(answer.to_dict())), "result")

    def no_melanoma(own: Document) -> None:
        own["melanoma"] = None

    edit_manifest(own_bundle, no_melanoma)
    answer = Classifier.open(own_bundle).classify(images[0])
    assert answer.melanoma_probability is None
    validate(answer.to_dict(), "result")


@pytest.mark.parametrize(
    "change",
    [
        put("extra", value=1), drop("notes"), put("decision", value="benign"),
        put("label", value=1),
        put("malignant_probability", value=1.5), put("malignant_probability", value=None),
        put("timing_ms", "queue", value=0), drop("model", "sha256"), put("reasons", value="why"),
        put("error", value={"type": "ImageError", "message": "No."}),
    ],
)  # fmt: skip
def test_schema_refuses_other_results(bundle: Path, images: list[Path], change: Change):
    result = Classifier.open(bundle).classify(images[0]).to_dict()
    with pytest.raises(jsonschema.ValidationError):
        validate(json.loads(altered(result, change)), "result")


# ---------------------------------------------------------------- schemas and dataclasses agree

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def shape_of(kind: Any, *, written: bool) -> Document:
    """What a schema has to say of a type.

    Args:
        kind: a dataclass or the type of a field.
        written: whether every key is required, as in what we write, or only those without default.
    """
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)
        required = {
            field.name for field in fields if written or field.default is dataclasses.MISSING
        }
        return {
            "type": "object",
            "additionalProperties": False,
            "required": required,
            "properties": {
                field.name: shape_of(hints[field.name], written=written) for field in fields
            },
        }
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (inner,) = set(arguments) - {type(None)}
        if dataclasses.is_dataclass(inner):
            return {"or null": shape_of(inner, written=written)}
        return {"type": {_TYPES[inner], "null"}}
    if origin is Literal:
        return {"enum": set(arguments)}
    if origin is tuple:
        return {"type": "array", "items": shape_of(arguments[0], written=written)}
    if origin is Mapping:
        return {
            "type": "object",
            "additionalProperties": shape_of(arguments[1], written=written),
        }
    return {"type": _TYPES[kind]}


def shape_in(node: Document, root: Document) -> Document:
    """The same of a node of a schema, leaving out bounds and descriptions."""
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        return shape_in(root["$defs"][name], root)
    if "anyOf" in node:
        inner, nothing = node["anyOf"]
        assert nothing == {"type": "null"}
        return {"or null": shape_in(inner, root)}
    shape: Document = {}
    if "type" in node:
        shape["type"] = set(node["type"]) if isinstance(node["type"], list) else node["type"]
    else:
        shape["enum"] = set(node["enum"]) if "enum" in node else {node["const"]}
    if "items" in node:
        shape["items"] = shape_in(node["items"], root)
    if "properties" in node:
        shape["required"] = set(node["required"])
        shape["properties"] = {
            key: shape_in(value, root) for key, value in node["properties"].items()
        }
    if "additionalProperties" in node:
        more = node["additionalProperties"]
        shape["additionalProperties"] = more if more is False else shape_in(more, root)
    return shape


def test_manifest_schema_says_what_the_dataclasses_say():
    root = schema("manifest")
    assert shape_in(root, root) == shape_of(Manifest, written=False)


def test_result_schema_says_what_the_dataclass_says():
    root = schema("result")
    assert shape_in(root["$defs"]["Result"], root) == shape_of(Result, written=True)


def test_result_schema_says_what_a_failure_says():
    root = schema("result")
    failure = Failure("a.jpg", ImageDamagedError("a.jpg is damaged.")).to_dict()
    assert failure == {
        "file": "a.jpg",
        "error": {"type": "ImageDamagedError", "message": "a.jpg is damaged."},
    }
    described = root["$defs"]["Failure"]
    assert set(described["properties"]) == set(described["required"]) == set(failure)
    error = root["$defs"]["Error"]
    assert set(error["properties"]) == set(error["required"]) == set(failure["error"])


@pytest.mark.parametrize("name", ["manifest", "result"])
def test_schema_describes_every_key(name: str):
    root = schema(name)

    def check(node: Any, where: str) -> None:
        if isinstance(node, dict):
            for key, value in node.get("properties", {}).items():
                described = value
                while "$ref" in described and "description" not in described:
                    described = root["$defs"][described["$ref"].removeprefix("#/$defs/")]
                assert described.get("description", "").endswith("."), f"{where}.{key}"
            if node.get("type") == "object" and "properties" in node:
                assert node["additionalProperties"] is False, where
            for key, value in node.items():
                check(value, f"{where}.{key}")

    check(root, name)
