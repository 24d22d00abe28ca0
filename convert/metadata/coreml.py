"""Core ML: the description in the specification of an mlpackage, which is held as a ZIP."""

from __future__ import annotations

from convert.metadata import INPUT_DESCRIPTION, OUTPUT_DESCRIPTION, Facts
from convert.metadata.archive import unzipped, zipped
from convert.metadata.onnx import properties

SPECIFICATION = "Data/com.apple.CoreML/model.mlmodel"
"""The specification's place in an mlpackage."""

_STANDARD = ("description", "author", "licence", "version")  # these have fields of their own


def describe(model: bytes, facts: Facts) -> bytes:
    """The package with the facts in its specification, and without the day of its making."""
    from coremltools.proto import Model_pb2

    members = unzipped(model)
    spec = Model_pb2.Model.FromString(members[SPECIFICATION])
    description = spec.description
    metadata = description.metadata
    metadata.shortDescription, metadata.author = facts.description, facts.author
    metadata.license, metadata.versionString = facts.licence, facts.version
    metadata.userDefined.pop("com.github.apple.coremltools.conversion_date", None)
    for key, value in properties(facts).items():
        if key not in _STANDARD:
            metadata.userDefined[key] = value
    description.input[0].shortDescription = INPUT_DESCRIPTION
    for output in description.output:
        if output.name == description.predictedProbabilitiesName:
            output.shortDescription = OUTPUT_DESCRIPTION
    members[SPECIFICATION] = spec.SerializeToString(deterministic=True)
    return zipped(members)
