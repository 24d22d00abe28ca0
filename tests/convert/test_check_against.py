"""Two bundles on the same images: the regression test between releases."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from convert.checking import check, check_against
from convert.checking.decisions import decisions
from convert.checking.execution import Execution, held_out
from convert.checking.release import Release
from convert.gate.judge import Margins
from edge_runtime._files import sha256
from edge_runtime.bundle import Bundle
from edge_runtime.commands import main
from edge_runtime.decision import decide
from edge_runtime.errors import ClassError, GateError, LeakError, VariantError
from tests.convert.sabotage import noisy_onnx, refuse_a_share, swap_model
from tests.train.evaluation.simulated import POINTS, seven_classes
from train.data.table import Dataset, read_data

if TYPE_CHECKING:
    from tests.conftest import Command

WIDE = Margins(auc=0.02, sensitivity=0.1)
"""The test part holds 48 melanoma lesions: enough for 0.1, too few for the usual 0.05."""


def compared(
    new: Path, old: Path, data: Dataset, *names: str, split: str = "test", margins: Margins = WIDE,
    bootstrap: int = 50,
) -> Release:  # fmt: skip
    return check_against(
        Bundle.open(new), Bundle.open(old), data, split, margins, variants=names or None,
        bootstrap=bootstrap,
    )  # fmt: skip


def rewrite(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a bundle's manifest."""
    record = json.loads((bundle / "manifest.json").read_text("utf-8"))
    change(record)
    (bundle / "manifest.json").write_text(json.dumps(record), encoding="utf-8")


def rewrite_file(bundle: Path, name: str, text: str) -> None:
    """Change one of a bundle's other files, and make the manifest agree with it."""
    (bundle / name).write_text(text, encoding="utf-8")

    def agree(record: dict[str, Any]) -> None:
        (entry,) = (one for one in record["other_files"] if one["file"] == name)
        entry["sha256"] = sha256(text.encode())

    rewrite(bundle, agree)


def without_checks(record: dict[str, Any]) -> None:
    """A manifest as before there were checks."""
    del record["checks"]


def keep(bundle: Path, *names: str) -> None:
    """Leave only these variants in a bundle."""

    def change(record: dict[str, Any]) -> None:
        record["variants"] = [one for one in record["variants"] if one["name"] in names]

    rewrite(bundle, change)


@pytest.fixture(scope="module")
def data(generated: Path) -> Dataset:
    return read_data(generated)


# The verdict


def test_identical_release_passes_and_changes_nothing(
    bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    keep(own_bundle, "tflite_int8", "onnx_f32")
    release = compared(own_bundle, bundle, data)
    assert [one.entry.name for one in release.compared] == ["tflite_int8", "onnx_f32"]
    for one in release.compared:
        assert one.entry.verdict == "pass"
        assert one.entry.difference["test"]["melanoma_auc"].high == 0.0
        assert one.newly_missed == ()
        assert one.newly_refused == ()
        assert set(one.decisions) == {
            "melanoma_sensitivity", "malignant_sensitivity", "specificity", "melanoma_answered",
            "malignant_answered", "answered",
        }  # fmt: skip
        for change in one.decisions.values():
            assert change.before == change.after
            assert (change.newly_wrong, change.newly_right) == (0, 0)
    assert release.only_new == ()
    held = [variant.name for variant in Bundle.open(bundle).manifest.variants]
    assert list(release.only_old) == [
        name for name in held if name not in ("tflite_int8", "onnx_f32")
    ]


def test_worse_release_fails_and_its_correction_passes(
    bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    swap_model(own_bundle, "onnx_f32", noisy_onnx)
    (worse,) = compared(own_bundle, bundle, data, "onnx_f32").compared
    assert worse.entry.verdict == "fail"
    assert worse.entry.difference["test"]["melanoma_auc"].value > 0.02
    # The worse one refers every image, so what refers fewer finds a little less at its thresholds.
    wider = Margins(auc=0.02, sensitivity=0.4)
    (better,) = compared(bundle, own_bundle, data, "onnx_f32", margins=wider).compared
    assert better.entry.verdict == "pass"
    for name, change in better.decisions.items():
        assert change.difference.value == -worse.decisions[name].difference.value
        assert change.newly_right == worse.decisions[name].newly_wrong


def test_figures_are_those_of_the_new_release_against_the_old_one(
    bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    swap_model(own_bundle, "tflite_int8", lambda model: (bundle / "tflite_f16.tflite").read_bytes())
    (one,) = compared(own_bundle, bundle, data, "tflite_int8").compared
    f16, int8 = check(
        Bundle.open(bundle), data, "test", WIDE, reference=None,
        variants=("tflite_f16", "tflite_int8"), bootstrap=50,
    )  # fmt: skip
    assert one.entry.metrics["test"]["melanoma_auc"] == f16.metrics["test"]["melanoma_auc"]
    loss = int8.metrics["test"]["melanoma_auc"].value - f16.metrics["test"]["melanoma_auc"].value
    assert one.entry.difference["test"]["melanoma_auc"].value == pytest.approx(loss)


def test_threshold_that_finds_fewer_melanomas_fails_though_the_model_is_the_same(
    bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    def careless(record: dict[str, Any]) -> None:
        for variant in record["variants"]:
            for point in variant["operating_points"].values():
                point["threshold"] = 0.999

    rewrite(own_bundle, careless)
    for bootstrap in (0, 50):
        (one,) = compared(own_bundle, bundle, data, "onnx_f32", bootstrap=bootstrap).compared
        change = one.decisions["melanoma_sensitivity"]
        assert one.entry.difference["test"]["melanoma_auc"].value == 0.0
        assert one.entry.verdict == "fail"
        assert one.entry.reason.startswith(
            f"at its own thresholds it refers {change.newly_wrong} melanoma images fewer and 0 "
            f"more than the old release, of {change.images} (sensitivity "
        )
        assert change.newly_wrong > 0.8 * change.images
        assert len(one.newly_missed) == change.newly_wrong
        assert one.decisions["specificity"].newly_right > 0


@pytest.mark.parametrize("bootstrap", [0, 50])
def test_loss_at_its_own_thresholds_that_cannot_be_excluded_does_not_pass(
    bootstrap: int, bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    opened = Bundle.open(bundle)
    variant = opened.manifest.variant("onnx_f32")
    answers = Execution(opened, held_out(data, "test", {})).of(variant)
    referred = np.sort(
        answers.scores("melanoma")[
            answers.positive("melanoma") & answers.referred(variant.operating_points)
        ]
    )

    def higher(record: dict[str, Any]) -> None:
        (entry,) = (one for one in record["variants"] if one["name"] == "onnx_f32")
        entry["operating_points"]["melanoma"]["threshold"] = float(referred[3:5].mean())
        entry["operating_points"]["malignant"]["threshold"] = 1.0

    rewrite(own_bundle, higher)
    (one,) = compared(own_bundle, bundle, data, "onnx_f32", bootstrap=bootstrap).compared
    change = one.decisions["melanoma_sensitivity"]
    assert (change.newly_wrong, change.newly_right) == (4, 0)
    assert 4 / change.images < WIDE.sensitivity
    assert one.entry.verdict == "cannot judge"
    assert one.entry.reason.startswith("at its own thresholds it refers 4 melanoma images fewer")
    assert re.search(
        r"sensitivity loss 0\.0\d+, at most 0\.1\d+ \(margin 0\.1\); about \d+ melanoma",
        one.entry.reason,
    )


def test_release_that_refuses_half_of_the_melanomas_fails_though_its_model_is_the_same(
    bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    refuse_a_share(own_bundle, data, 0.5)
    (one,) = compared(own_bundle, bundle, data, "onnx_f32").compared
    sensitivity, answered = (
        one.decisions[f"melanoma_{name}"] for name in ("sensitivity", "answered")
    )
    assert sensitivity.before == sensitivity.after
    assert answered.after == pytest.approx(0.5, abs=0.05)
    assert answered.newly_wrong >= 0.4 * answered.images
    assert one.entry.verdict == "fail"
    assert one.entry.reason.startswith(
        f"its checks refuse {answered.newly_wrong} melanoma images more and 0 fewer than the old "
        f"release's, of {answered.images} (answered "
    )
    assert len(one.newly_refused) == one.decisions["malignant_answered"].newly_wrong
    (back,) = compared(bundle, own_bundle, data, "onnx_f32").compared
    assert back.entry.verdict == "pass"
    assert back.newly_refused == ()
    assert back.decisions["melanoma_answered"].newly_right == answered.newly_wrong


def test_bundle_without_checks_refuses_nothing(
    bundle: Path, own_bundle: Path, tmp_path: Path, data: Dataset
) -> None:
    rewrite(own_bundle, without_checks)
    (neither,) = compared(own_bundle, own_bundle, data, "onnx_f32").compared
    assert neither.entry.verdict == "pass"
    assert "answered" not in neither.decisions
    strict = Path(shutil.copytree(bundle, tmp_path / "strict"))
    refuse_a_share(strict, data, 0.5)
    (introduced,) = compared(strict, own_bundle, data, "onnx_f32").compared
    assert introduced.entry.verdict == "fail"
    assert introduced.decisions["answered"].before == 1.0


def test_too_few_melanomas_cannot_be_judged(bundle: Path, data: Dataset) -> None:
    (one,) = compared(bundle, bundle, data, "onnx_f32", margins=Margins()).compared
    assert one.entry.verdict == "cannot judge"
    assert "melanoma lesions would decide it, here are 48" in one.entry.reason


# Bundles of different build


def in_other_order(bundle: Path) -> None:
    """Turn the classes of a bundle's ONNX model round; the other variants go."""
    import onnx

    def turned(content: bytes) -> bytes:
        model = onnx.load_from_string(content)
        (output,) = model.graph.output
        for node in model.graph.node:
            for place, name in enumerate(node.output):
                if name == output.name:
                    node.output[place] = "in_the_old_order"
        order = onnx.numpy_helper.from_array(np.array([2, 1, 0]), "order")
        model.graph.initializer.append(order)
        model.graph.node.append(
            onnx.helper.make_node("Gather", ["in_the_old_order", "order"], [output.name], axis=1)
        )
        return bytes(model.SerializeToString())

    def relabelled(record: dict[str, Any]) -> None:
        record["labels"].reverse()

    swap_model(bundle, "onnx_f32", turned)
    keep(bundle, "onnx_f32")
    rewrite(bundle, relabelled)
    codes = [
        label["code"] for label in json.loads((bundle / "manifest.json").read_text())["labels"]
    ]
    rewrite_file(bundle, "labels.txt", "".join(f"{code}\n" for code in codes))


def test_labels_are_matched_by_code_and_not_by_place(
    bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    in_other_order(own_bundle)
    assert Bundle.open(own_bundle).manifest.codes == Bundle.open(bundle).manifest.codes[::-1]
    for new, old in ((own_bundle, bundle), (bundle, own_bundle)):
        (one,) = compared(new, old, data, "onnx_f32").compared
        assert one.entry.verdict == "pass"
        assert one.entry.difference["test"]["largest_probability_difference"].value < 1e-6
        assert one.entry.metrics["test"]["accuracy"].value > 0.7


def of_twice_the_size(bundle: Path) -> None:
    """Let a bundle's ONNX model take larger images, of which it leaves every other pixel out."""
    import onnx

    def enlarged(content: bytes) -> bytes:
        model = onnx.load_from_string(content)
        (taken,) = model.graph.input
        for node in model.graph.node:
            for place, name in enumerate(node.input):
                if name == taken.name:
                    node.input[place] = "every_other_pixel"
        bounds = {"starts": [0, 0], "ends": [1000, 1000], "axes": [1, 2], "steps": [2, 2]}
        for name, values in bounds.items():
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values), name))
        left_out = onnx.helper.make_node("Slice", [taken.name, *bounds], ["every_other_pixel"])
        model.graph.node.insert(0, left_out)
        for axis in (1, 2):
            taken.type.tensor_type.shape.dim[axis].dim_value *= 2
        return bytes(model.SerializeToString())

    swap_model(bundle, "onnx_f32", enlarged)
    keep(bundle, "onnx_f32")
    rewrite(bundle, lambda record: record["input"].update(size=2 * record["input"]["size"]))


def test_models_of_different_input_sizes_are_compared(
    bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    of_twice_the_size(own_bundle)
    assert Bundle.open(own_bundle).manifest.input != Bundle.open(bundle).manifest.input
    (one,) = compared(own_bundle, bundle, data).compared
    assert one.entry.name == "onnx_f32"
    assert 0 < abs(one.entry.difference["test"]["melanoma_auc"].value) < 0.05
    assert one.entry.difference["test"]["agreement"].value > 0.8


# Bundles and data that do not fit


def test_different_label_sets_are_refused_by_name(
    bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    def renamed(record: dict[str, Any]) -> None:
        record["labels"][0]["code"] = "df"

    codes = ["df", *Bundle.open(bundle).manifest.codes[1:]]
    rewrite(own_bundle, renamed)
    rewrite_file(own_bundle, "labels.txt", "".join(f"{code}\n" for code in codes))
    said = (
        r"only the new bundle \(test 0\.1\.0\) knows df; only the old bundle \(test 0\.1\.0\) "
        r"knows bkl; compare releases with"
    )
    with pytest.raises(ClassError, match=said):
        compared(own_bundle, bundle, data)


def test_classes_of_different_malignancy_are_refused_by_name(
    bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    def changed(record: dict[str, Any]) -> None:
        record["labels"][0]["malignant"] = True

    rewrite(own_bundle, changed)
    with pytest.raises(ClassError, match=r"bkl is malignant to the new bundle \(test 0\.1\.0\)"):
        compared(own_bundle, bundle, data)


@pytest.mark.parametrize("which", ["new", "old"])
def test_images_that_either_model_was_trained_on_are_refused(
    which: str, bundle: Path, own_bundle: Path, data: Dataset
) -> None:
    seen = sha256(data.of_split("test")[0].file.read_bytes())[:16]
    rewrite_file(own_bundle, "trained_on.txt", f"{seen}\n")
    new, old = (own_bundle, bundle) if which == "new" else (bundle, own_bundle)
    with pytest.raises(LeakError, match=rf"1 of .* that the {which} bundle \(test 0\.1\.0\) was"):
        compared(new, old, data, "onnx_f32")


def test_bundles_without_a_variant_in_common_are_refused(
    bundle: Path, own_bundle: Path, tmp_path: Path, data: Dataset
) -> None:
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    keep(own_bundle, "onnx_f32")
    keep(other, "tflite_f32")
    with pytest.raises(VariantError, match="There is no variant that both bundles hold: the new"):
        compared(own_bundle, other, data)
    with pytest.raises(VariantError, match="no variant tflite_f32 to compare in the new bundle"):
        compared(own_bundle, bundle, data, "tflite_f32")
    with pytest.raises(VariantError, match="no variant tflite_f32 to compare in the old bundle"):
        compared(bundle, own_bundle, data, "tflite_f32")


def test_data_without_melanoma_is_refused(bundle: Path, data: Dataset) -> None:
    benign = data.with_records(record for record in data.records if record.label != "mel")
    with pytest.raises(GateError, match="hold no melanoma"):
        compared(bundle, bundle, benign, "onnx_f32")


# Decisions


def test_an_image_is_referred_where_the_device_refers_it() -> None:
    answers = seven_classes(200)
    referred = answers.referred(POINTS)
    targets = {target: answers.scores(target) for target in answers.targets}
    for row in range(200):
        decision, _ = decide({target: targets[target][row] for target in targets}, POINTS)
        assert referred[row] == (decision == "refer")
    assert 0 < referred.sum() < 200


def test_changes_are_counted_on_the_images_they_are_shares_of() -> None:
    answers = seven_classes(300)
    melanoma, benign = answers.positive("melanoma"), ~answers.positive("malignant")
    before = answers.positive("malignant").copy()
    after = before.copy()
    after[np.flatnonzero(melanoma)[:3]] = False
    after[np.flatnonzero(benign)[:5]] = True
    found = decisions(answers, before, after, bootstrap=200, seed=0)
    assert found["melanoma_sensitivity"].before == 1.0
    assert found["melanoma_sensitivity"].after == pytest.approx(1 - 3 / melanoma.sum())
    assert (found["malignant_sensitivity"].newly_wrong, found["specificity"].newly_wrong) == (3, 5)
    for change in found.values():
        assert change.newly_right == 0
        assert change.difference.low < change.difference.value < change.difference.high <= 0


# As a user types it


def test_command_prints_two_tables_and_what_is_not_compared(
    bundle: Path, own_bundle: Path, generated: Path, inside: Command
) -> None:
    keep(own_bundle, "onnx_f32", "tflite_f16")
    words = ["check", own_bundle, "--against", bundle, "--data", generated, "--bootstrap", 100,
             "--auc-margin", 0.02, "--sensitivity-margin", 0.1]  # fmt: skip
    text = inside(*words, check=0).stdout
    assert re.search(r"^onnx_f32 +0\.\d{3} \[.*\] +0\.0000 \(0\.0000\) .* pass$", text, re.M)
    assert re.search(r"^onnx_f32 +melanoma sensitivity +\d+ .* 0 +0$", text, re.M)
    assert re.search(r"^ +melanoma answered +\d+ .* 0 +0$", text, re.M)
    assert "Answered: the bundle's own checks say neither `retake` nor `uncertain`." in text
    assert text.startswith("new: test 0.1.0, old: test 0.1.0\n")
    assert "only in the old bundle, not compared: tflite_int8, tflite_f32" in text
    tables = [line for line in text.splitlines() if ": " not in line]
    assert max(map(len, tables)) <= 100


def test_command_ends_with_status_1_and_json_when_a_release_is_worse(
    bundle: Path, own_bundle: Path, generated: Path, inside: Command
) -> None:
    swap_model(own_bundle, "onnx_f32", noisy_onnx)
    rewrite(own_bundle, lambda record: record.update(version="0.2.0"))
    done = inside(
        "check", own_bundle, "--against", bundle, "--data", generated, "--bootstrap", 0,
        "--variant", "onnx_f32", "--json", check=1,
    )  # fmt: skip
    printed = json.loads(done.stdout)
    assert (printed["new"]["version"], printed["old"]["version"]) == ("0.2.0", "0.1.0")
    assert printed["new"]["sha256"] == Bundle.open(own_bundle).sha256
    (entry,) = printed["variants"]
    assert entry["verdict"] == "fail"
    change = entry["decisions"]["malignant_sensitivity"]
    assert change["difference"]["value"] == pytest.approx(change["after"] - change["before"])
    assert len(entry["newly_missed"]) == change["newly_wrong"]


def test_release_is_not_compared_with_a_run(
    bundle: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", bundle, "--data", generated, "--against", bundle, "--reference", "run"]
    assert main([str(word) for word in words]) == 2
    assert "leave --predictions and --reference out" in capsys.readouterr().err
