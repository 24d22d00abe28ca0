"""Core ML through coremltools: an mlpackage that takes an image and names the class.

An mlpackage is a folder; the variant is a ZIP of it, to be unpacked before Xcode or Core ML opens
it. Nothing but Apple's systems executes it, so what is written is checked against what it should
say instead: the input an RGB image of the model's size, the outputs named, the classes in order.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import tensorflow as tf

from convert.metadata.archive import zipped
from convert.metadata.coreml import SPECIFICATION
from convert.variants import Exported
from edge_runtime.errors import VariantUnsupportedError

INPUT, LABEL, PROBABILITIES = "image", "classLabel", "classLabel_probs"
"""Names of the input and of the two outputs, as coremltools gives them to classifiers."""

_MANIFEST = "Manifest.json"


def float16(exported: Exported) -> bytes:
    """ZIP of an mlpackage: weights and activations as 16-bit floats, the softmax in 32 bits."""
    import coremltools

    shape = (1, exported.size, exported.size, 3)
    function = tf.function(lambda image: exported.model(image, training=False))
    try:
        package = coremltools.convert(
            [function.get_concrete_function(tf.TensorSpec(shape, tf.float32, name=INPUT))],
            source="tensorflow",
            convert_to="mlprogram",
            inputs=[coremltools.ImageType(name=INPUT, shape=shape, color_layout="RGB")],
            classifier_config=coremltools.ClassifierConfig(list(exported.labels)),
            compute_precision=coremltools.transform.FP16ComputePrecision(
                op_selector=lambda operator: operator.op_type != "softmax"
            ),
            minimum_deployment_target=coremltools.target.iOS15,
            skip_model_load=True,
        )
    except (ValueError, RuntimeError, NotImplementedError, KeyError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise VariantUnsupportedError(f"Core ML cannot hold this model: {line[:300]}") from None
    _check(package.get_spec(), exported)
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model.mlpackage"
        package.save(str(saved))
        members = {
            path.relative_to(saved).as_posix(): path.read_bytes()
            for path in saved.rglob("*")
            if path.is_file()
        }
    members[_MANIFEST] = _manifest(members)
    return zipped(members)


def _manifest(members: dict[str, bytes]) -> bytes:
    """The package's list of parts, under keys of their paths where coremltools draws lots."""
    record = json.loads(members[_MANIFEST])
    parts = sorted(record["itemInfoEntries"].values(), key=lambda part: str(part["path"]))
    keys = {part["path"]: str(uuid5(NAMESPACE_URL, part["path"])) for part in parts}
    record["itemInfoEntries"] = {keys[part["path"]]: part for part in parts}
    record["rootModelIdentifier"] = keys[SPECIFICATION.removeprefix("Data/")]
    return json.dumps(record, indent=4, sort_keys=True).encode() + b"\n"


def _check(spec: Any, exported: Exported) -> None:
    """Refuse a specification that does not say what an app relies on."""
    from coremltools.proto import MIL_pb2

    description = spec.description
    image = description.input[0].type.imageType
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    operators = {output.name: one for one in block.operations for output in one.outputs}
    found = {
        "input": (description.input[0].name, image.width, image.height),
        "colour": image.ColorSpace.Name(image.colorSpace),
        "outputs": tuple(output.name for output in description.output),
        "roles": (description.predictedFeatureName, description.predictedProbabilitiesName),
        "labels": _class_labels(operators),
        "softmax": [
            one.outputs[0].type.tensorType.dataType
            for one in block.operations
            if one.type == "softmax"
        ],
    }
    expected = {
        "input": (INPUT, exported.size, exported.size),
        "colour": "RGB",
        "outputs": (LABEL, PROBABILITIES),
        "roles": (LABEL, PROBABILITIES),
        "labels": exported.labels,
        "softmax": [MIL_pb2.FLOAT32],
    }
    for name, value in expected.items():
        if found[name] != value:
            raise VariantUnsupportedError(
                f"Core ML's file would have {found[name]} as {name}, expected {value}; the model "
                "needs one RGB image in and a softmax as its last layer."
            )


def _class_labels(operators: dict[str, Any]) -> tuple[str, ...]:
    """The labels that the program's last operator, `classify`, gives to the probabilities."""
    (classes,) = operators[LABEL].inputs["classes"].arguments
    labels = classes.value.immediateValue.list.values
    return tuple(label.immediateValue.tensor.strings.values[0] for label in labels)
