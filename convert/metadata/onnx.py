"""ONNX: `metadata_props`, pairs of text that every ONNX tool shows."""

from __future__ import annotations

import json
from dataclasses import asdict

from convert.metadata import INPUT_DESCRIPTION, OUTPUT_DESCRIPTION, Facts


def describe(model: bytes, facts: Facts) -> bytes:
    """The model with the facts as `metadata_props`; what is not plain text is JSON."""
    import onnx

    parsed = onnx.load_from_string(model)
    onnx.helper.set_model_props(parsed, properties(facts))
    return bytes(parsed.SerializeToString())


def properties(facts: Facts) -> dict[str, str]:
    """The facts as pairs of text; the keys are the fields of `Facts`, and three more."""
    record = asdict(facts)
    record["labels"] = [label.code for label in facts.labels]
    record["label_names"] = {label.code: label.name for label in facts.labels}
    record["malignant"] = [label.code for label in facts.labels if label.malignant]
    record["input_description"] = INPUT_DESCRIPTION
    record["output_description"] = OUTPUT_DESCRIPTION
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in record.items()
    }
