"""Core ML: what can be held to account without Apple's systems."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.checking import check
from convert.conversion import Conversion, convert
from convert.gate.judge import Margins
from convert.metadata.archive import unzipped
from convert.metadata.coreml import SPECIFICATION
from convert.outcome import Options
from convert.table import variant_table
from convert.variants import chosen
from edge_runtime import Classifier
from edge_runtime.bundle import Bundle
from edge_runtime.errors import BackendNotInstalledError
from train.data.table import read_data
from train.run import RunFolder

pytest.importorskip("coremltools", reason="no coremltools: install the extra coreml")
Converted = tuple[Conversion, Path]


@pytest.fixture(scope="module")
def options() -> Options:
    """A variant that can be judged, and Core ML's."""
    return Options(variants=chosen("tflite_f32,coreml_f16"), bootstrap=0, calibration_images=30)


@pytest.fixture(scope="module")
def converted(
    run_folder: RunFolder, options: Options, tmp_path_factory: pytest.TempPathFactory
) -> Converted:
    """The run's bundle with both."""
    out = tmp_path_factory.mktemp("coreml") / "bundle"
    return convert(run_folder, out, replace(options, accept_unproven=True)), out


@pytest.fixture(scope="module")
def specification(converted: Converted) -> Any:
    """The specification in the package."""
    from coremltools.proto import Model_pb2

    content = (converted[1] / "coreml_f16.mlpackage.zip").read_bytes()
    return Model_pb2.Model.FromString(unzipped(content)[SPECIFICATION])


def test_package_takes_an_rgb_image_and_names_the_class(specification: Any) -> None:
    description = specification.description
    (source,) = description.input
    image = source.type.imageType
    assert (source.name, image.width, image.height) == ("image", 32, 32)
    assert image.ColorSpace.Name(image.colorSpace) == "RGB"
    outputs = {output.name: output.type.WhichOneof("Type") for output in description.output}
    assert outputs == {"classLabel": "stringType", "classLabel_probs": "dictionaryType"}


def test_package_holds_the_labels_in_order(specification: Any) -> None:
    (block,) = specification.mlProgram.functions["main"].block_specializations.values()
    (classify,) = (one for one in block.operations if one.type == "classify")
    assert str(classify).index('"bkl"') < str(classify).index('"mel"') < str(classify).index('"nv"')


def test_package_computes_in_16_bits_but_for_the_softmax(specification: Any) -> None:
    from coremltools.proto import MIL_pb2

    (block,) = specification.mlProgram.functions["main"].block_specializations.values()
    kinds = [(one.type, one.outputs[0].type.tensorType.dataType) for one in block.operations]
    assert [kind for name, kind in kinds if name == "softmax"] == [MIL_pb2.FLOAT32]
    assert [kind for name, kind in kinds if name == "conv"] == [MIL_pb2.FLOAT16] * 5


def test_package_describes_itself_and_not_the_day(specification: Any) -> None:
    metadata = specification.description.metadata
    assert "Not a medical device" in metadata.shortDescription
    assert (metadata.versionString, metadata.license) == ("0.1.0", "CC0-1.0")
    assert metadata.userDefined["variant"] == "coreml_f16"
    assert "com.github.apple.coremltools.conversion_date" not in metadata.userDefined


def test_package_opens_in_coremltools(converted: Converted, tmp_path: Path) -> None:
    import coremltools

    with zipfile.ZipFile(converted[1] / "coreml_f16.mlpackage.zip") as archive:
        archive.extractall(tmp_path / "model.mlpackage")
    model = coremltools.models.MLModel(str(tmp_path / "model.mlpackage"), skip_model_load=True)
    assert Path(model.weights_dir).is_dir()


@pytest.mark.slow
def test_two_conversions_give_the_same_bytes(
    converted: Converted, run_folder: RunFolder, options: Options, tmp_path: Path
) -> None:
    convert(run_folder, tmp_path / "again", replace(options, accept_unproven=True))
    file = "coreml_f16.mlpackage.zip"
    assert (tmp_path / "again" / file).read_bytes() == (converted[1] / file).read_bytes()


def test_what_nothing_here_executes_cannot_be_judged_and_says_so(
    converted: Converted, run_folder: RunFolder
) -> None:
    entry = Bundle.open(converted[1]).manifest.variant("coreml_f16")
    assert entry.verdict == "cannot judge"
    assert entry.reason.startswith("no runtime here can execute coreml files")
    assert entry.metrics == entry.difference == {"val": {}, "test": {}}
    assert entry.operating_points == run_folder.run.operating_points
    reference = Bundle.open(converted[1]).manifest.variant("tflite_f32")
    np.testing.assert_allclose(entry.golden, reference.golden, atol=1e-5)
    (row,) = (line for line in variant_table([entry], "val", "melanoma").splitlines()[2:])
    assert row.split()[-2:] == ["cannot", "judge"]


def test_it_is_left_out_unless_accepted(
    run_folder: RunFolder, options: Options, tmp_path: Path
) -> None:
    conversion = convert(run_folder, tmp_path / "bundle", options)
    assert [(one.kind.name, one.kept) for one in conversion.outcomes] == [
        ("tflite_f32", True), ("coreml_f16", False),
    ]  # fmt: skip
    assert not list((tmp_path / "bundle").glob("coreml*"))


def test_device_uses_the_other_variants_and_refuses_this_one(converted: Converted) -> None:
    assert Classifier.open(converted[1]).variant.name == "tflite_f32"
    with pytest.raises(BackendNotInstalledError, match="No interpreter here reads coreml files"):
        Classifier.open(converted[1], "coreml_f16")


def test_check_judges_the_others_and_repeats_that_it_cannot_judge_this_one(
    converted: Converted, generated: Path
) -> None:
    entries = check(
        Bundle.open(converted[1]), read_data(generated), "test", Margins(), reference=None,
        bootstrap=0,
    )  # fmt: skip
    assert {entry.name: entry.verdict for entry in entries}["coreml_f16"] == "cannot judge"
    assert entries[0].metrics["test"]
