"""docs/schemas/run.schema.json against a real run, and against the dataclasses."""

from __future__ import annotations

import json

import jsonschema
import pytest

from edge_runtime._strict import RecordError, from_json
from edge_runtime.manifest import Label, Metric, OperatingPoint
from edge_runtime.preprocess import InputRule
from tests.edge_runtime.test_schemas import schema, validate
from train.calibration import Calibration
from train.config import Augmentation, TrainConfig
from train.data.description import Description
from train.run import RUN_FILE, Run, RunFolder


def test_record_of_a_run_fits_its_schema(run_folder: RunFolder):
    validate(json.loads((run_folder.folder / RUN_FILE).read_text()), "run")


@pytest.mark.parametrize("key", ["schema_version", "labels", "config", "operating_points"])
def test_schema_and_reader_refuse_a_run_that_lacks_a_key(run_folder: RunFolder, key: str):
    record = json.loads((run_folder.folder / RUN_FILE).read_text())
    del record[key]
    with pytest.raises(jsonschema.ValidationError):
        validate(record, "run")
    with pytest.raises(RecordError):
        from_json(Run, record)


def test_run_schema_lists_the_keys_of_the_dataclasses():
    definitions = schema("run")["$defs"]
    for kind in (
        Run, TrainConfig, Augmentation, Label, Metric, OperatingPoint, InputRule, Calibration,
        Description,
    ):  # fmt: skip
        assert set(definitions[kind.__name__]["properties"]) == set(kind.__dataclass_fields__)
