"""What a device really answered, judged: lines that `dermedge classify --json` wrote."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convert.checking import check, check_predictions
from convert.checking.device import Answered
from convert.gate.judge import Margins
from edge_runtime.bundle import Bundle
from edge_runtime.commands import main
from edge_runtime.errors import (
    ClassError,
    DataError,
    DataNotFoundError,
    GateError,
    LeakError,
    VariantError,
)
from tests.convert.sabotage import refuse_a_share
from train.data.table import Dataset, Record, read_data

if TYPE_CHECKING:
    from tests.conftest import Command

WIDE = Margins(auc=0.02, sensitivity=0.1)
"""The test part holds 48 melanoma lesions: enough for 0.1, too few for the usual 0.05."""

Lines = list[dict[str, Any]]


def judged(
    bundle: Path, data: Dataset, file: Path, *names: str, split: str = "test",
    allow_missing: bool = False, margins: Margins = WIDE,
) -> dict[str, Answered]:  # fmt: skip
    found = check_predictions(
        Bundle.open(bundle), data, split, margins, file, reference=None, variants=names or None,
        allow_missing=allow_missing, bootstrap=50,
    )  # fmt: skip
    return {one.entry.name: one for one in found}


@pytest.fixture(scope="module")
def data(generated: Path) -> Dataset:
    return read_data(generated)


@pytest.fixture(scope="module")
def printed(bundle: Path, images: Sequence[Path], dermedge: Command) -> str:
    """What another process printed about all images, by int8."""
    return dermedge(
        "classify", images[0].parent, "--model", bundle, "--variant", "tflite_int8", "--json",
        check=0,
    ).stdout  # fmt: skip


@pytest.fixture
def answered(printed: str) -> Lines:
    """The same, parsed; a test may change it."""
    return [json.loads(line) for line in printed.splitlines()]


@pytest.fixture
def board(tmp_path: Path) -> Callable[[Lines], Path]:
    """Write lines as they came from a board."""

    def write(lines: Lines) -> Path:
        file = tmp_path / "board.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return file

    return write


def of_split(answered: Lines, data: Dataset, split: str = "test") -> Lines:
    names = {record.file.name for record in data.of_split(split)}
    return [line for line in answered if Path(line["file"]).name in names]


def melanomas(lines: Lines, data: Dataset) -> Lines:
    names = {record.file.name for record in data.records if record.label == "mel"}
    return [line for line in lines if Path(line["file"]).name in names]


def refusal(line: Mapping[str, Any]) -> dict[str, Any]:
    return {"file": line["file"], "error": {"type": "ImageDamagedError", "message": "truncated"}}


# The same answers as here


def test_device_that_answers_as_the_workstation_gets_the_same_figures_and_verdict(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    found = judged(bundle, data, board(answered))["tflite_int8"]
    (here,) = check(
        Bundle.open(bundle), data, "test", WIDE, reference=None, variants=["tflite_int8"],
        bootstrap=50,
    )  # fmt: skip
    assert found.entry == here
    assert found.unanswered.ids == ()
    outside = len(answered) - len(data.of_split("test"))
    assert f"note: {outside} lines are of images outside the split" in capsys.readouterr().err


def test_every_variant_in_the_file_is_judged(
    bundle: Path, data: Dataset, answered: Lines, generated: Path, dermedge: Command,
    board: Callable[[Lines], Path],
) -> None:  # fmt: skip
    files = [record.file for record in data.of_split("test")]
    done = dermedge("classify", *files, "--model", bundle, "--variant", "onnx_f32", "--json")
    both = answered + [json.loads(line) for line in done.stdout.splitlines()]
    assert set(judged(bundle, data, board(both))) == {"tflite_int8", "onnx_f32"}
    assert set(judged(bundle, data, board(both), "onnx_f32")) == {"onnx_f32"}


def test_variant_that_nothing_here_executes_is_judged_by_what_a_device_answered(
    own_bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    record = json.loads((own_bundle / "manifest.json").read_text("utf-8"))
    (int8,) = (one for one in record["variants"] if one["name"] == "tflite_int8")
    record["variants"].append(int8 | {"name": "coreml_f16", "format": "coreml"})
    (own_bundle / "manifest.json").write_text(json.dumps(record), encoding="utf-8")
    for line in answered:
        line["model"]["variant"] = "coreml_f16"
    entry = judged(own_bundle, data, board(answered))["coreml_f16"].entry
    assert entry.verdict == "pass"


def test_device_that_answers_wrongly_fails(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    # As an interpreter that is older than the file might: a class in another's place.
    swapped = [
        line | {"probabilities": {**line["probabilities"], "mel": p["bkl"], "bkl": p["mel"]}}
        for line in answered
        if (p := line["probabilities"])
    ]
    entry = judged(bundle, data, board(swapped))["tflite_int8"].entry
    assert entry.verdict == "fail"
    assert entry.difference["test"]["agreement"].value < 0.9


# Images without an answer


def test_image_that_the_device_refuses_does_not_vanish(
    bundle: Path, data: Dataset, dermedge: Command, tmp_path: Path
) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    records = data.of_split("test")
    for record in records:
        shutil.copy(record.file, photographs)
    truncated = next(record for record in records if record.label == "mel").file.name
    absent = next(record for record in records if record.label == "nv").file.name
    content = (photographs / truncated).read_bytes()
    (photographs / truncated).write_bytes(content[: len(content) // 2])
    (photographs / absent).unlink()
    done = dermedge(
        "classify", photographs, "--model", bundle, "--variant", "tflite_int8", "--json", check=1
    )
    (tmp_path / "board.jsonl").write_text(done.stdout, encoding="utf-8")

    found = judged(bundle, data, tmp_path / "board.jsonl")["tflite_int8"]
    said = (
        f"2 of {len(records)} images without an answer (1 refused by the device, 1 not in the "
        "file), 1 of them melanoma; on the others: AUC loss "
    )
    assert found.entry.verdict == "cannot judge"
    assert found.entry.reason.startswith(said)
    ids = {Path(name).stem for name in (truncated, absent)}
    assert set(found.unanswered.ids) == ids
    assert (found.unanswered.positives, found.unanswered.refused) == (1, 1)

    allowed = judged(bundle, data, tmp_path / "board.jsonl", allow_missing=True)["tflite_int8"]
    assert allowed.entry.verdict == "pass"
    assert allowed.entry.reason == found.entry.reason


def test_missing_answers_excuse_no_failure(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    lines = of_split(answered, data)[1:]
    for line in melanomas(lines, data)[::2]:
        p = line["probabilities"]
        line["probabilities"] = p | {"mel": p["nv"], "nv": p["mel"]}
    for allowed in (False, True):
        found = judged(bundle, data, board(lines), allow_missing=allowed)["tflite_int8"]
        assert found.entry.verdict == "fail"
        assert found.entry.reason.startswith("1 of ")


def test_device_that_refuses_every_melanoma_cannot_be_judged(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    lines = of_split(answered, data)
    refused = melanomas(lines, data)
    kept = [line if line not in refused else refusal(line) for line in lines]
    found = judged(bundle, data, board(kept), allow_missing=True)["tflite_int8"]
    count = len(refused)
    assert found.entry.verdict == "cannot judge"
    assert found.entry.reason == (
        f"{count} of {len(lines)} images without an answer ({count} refused by the device, 0 not "
        f"in the file), {count} of them melanoma; on the others: the answered images hold no "
        "melanoma"
    )


def test_image_that_was_answered_in_the_end_has_its_answer(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    lines = of_split(answered, data)
    again = [refusal(lines[0]), *lines, lines[1]]  # refused and then read; read twice alike
    found = judged(bundle, data, board(again))["tflite_int8"]
    assert found.unanswered.ids == ()
    assert found.entry.verdict == "pass"


# Answers that are no decision


@pytest.mark.parametrize("decision", ["retake", "uncertain"])
def test_device_that_refuses_every_melanoma_by_its_checks_fails(
    decision: str, bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    lines = of_split(answered, data)
    sought = melanomas(lines, data)
    here = [line for line in lines if line["decision"] in ("retake", "uncertain")]
    expected_ids = {Path(line["file"]).stem for line in sought if line not in here}
    ordered = [line | {"decision": decision} if line in sought else line for line in lines]
    for allowed in (False, True):
        found = judged(bundle, data, board(ordered), allow_missing=allowed)["tflite_int8"]
        assert found.entry.verdict == "fail"
        assert f"{len(sought)} of them melanoma; here on {len(here)}, " in found.entry.reason
        assert re.search(r": answer loss \d\.\d+, at most \d\.\d+ \(", found.entry.reason)
    counted = found.undecided
    assert (counted.of, counted.positives, counted.here) == (len(lines), len(sought), len(here))
    assert getattr(counted, decision) >= len(sought)
    assert set(counted.only_there) == expected_ids


def test_device_that_refuses_what_is_refused_here_passes_and_says_how_many(
    own_bundle: Path, data: Dataset, dermedge: Command, tmp_path: Path
) -> None:
    refuse_a_share(own_bundle, data, 0.2)
    files = [record.file for record in data.of_split("test")]
    done = dermedge("classify", *files, "--model", own_bundle, "--variant", "tflite_int8", "--json")
    (tmp_path / "board.jsonl").write_text(done.stdout, encoding="utf-8")
    found = judged(own_bundle, data, tmp_path / "board.jsonl")["tflite_int8"]
    assert found.entry.verdict == "pass"
    counted = found.undecided
    assert counted.here == counted.retake + counted.uncertain
    sought = sum(record.label == "mel" for record in data.of_split("test"))
    assert counted.positives == counted.positives_here >= int(0.2 * sought)
    assert counted.only_there == ()


def test_few_melanomas_more_that_are_refused_cannot_be_excluded_to_be_many(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    lines = of_split(answered, data)
    decided = [line for line in lines if line["decision"] in ("refer", "routine")]
    some = melanomas(decided, data)[::10][:4]
    changed = [line | {"decision": "retake"} if line in some else line for line in lines]
    found = judged(bundle, data, board(changed))["tflite_int8"]
    assert found.entry.verdict == "cannot judge"
    assert found.entry.reason.startswith("no decision on ")
    assert "melanoma lesions would decide it" in found.entry.reason
    assert len(found.undecided.only_there) == 4


# Lines that are not to be trusted


def test_two_different_answers_about_one_image_are_refused(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    first, second = of_split(answered, data)[:2]
    image = Path(first["file"]).stem
    said = rf"Lines 1 and 3 of board\.jsonl give different answers of tflite_int8 about {image}; "
    decided = "routine" if first["decision"] == "retake" else "retake"
    for other in (second | {"file": first["file"]}, first | {"decision": decided}):
        with pytest.raises(DataError, match=said):
            judged(bundle, data, board([first, second, other]))


def test_answers_of_another_model_are_refused_naming_both(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    lines = of_split(answered, data)[:3]
    own = lines[0]["model"]["sha256"]
    lines[2]["model"] = lines[2]["model"] | {"sha256": "0" * 64}
    with pytest.raises(DataError, match=rf"Line 3 of .*000000000000\.\.\..*{own[:12]}\.\.\."):
        judged(bundle, data, board(lines))
    lines[2]["model"] = lines[2]["model"] | {"name": "other", "sha256": own}
    with pytest.raises(
        DataError, match=r"of the bundle other 0\.1\.0, .* of this bundle, test 0\.1\.0; name"
    ):
        judged(bundle, data, board(lines))
    lines[2]["model"] = lines[2]["model"] | {"name": "test", "variant": "tflite_int4"}
    with pytest.raises(DataError, match="by the variant tflite_int4, the bundle holds tflite_int8"):
        judged(bundle, data, board(lines))


def saying(bkl: object, mel: object = 1, nv: object = 0) -> dict[str, Any]:
    return {"probabilities": {"bkl": bkl, "mel": mel, "nv": nv}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda line: line | {"probabilities": {"mel": 1.0}}, "has probabilities of mel, expected"),
        (lambda line: line | saying(0.5, 0.6, 0.1), "add up to 1.2"),
        (lambda line: line | saying(float("nan")), "says nan of bkl"),
        (lambda line: line | saying(-0.5, 1, 0.5), "says -0.5 of bkl"),
        (lambda line: line | saying("0"), "says '0' of bkl"),
        (lambda line: line | saying(False), "says False of bkl"),
        (lambda line: {key: line[key] for key in ("file", "model")}, "neither probabilities nor"),
        (lambda line: line | {"decision": None}, "says the decision None, expected one of refer"),
        (lambda line: line | {"decision": "perhaps"}, "says the decision 'perhaps', expected one"),
        (lambda line: line | {"file": None}, "names no file"),
        (lambda line: line | {"model": "tflite_int8"}, "does not say which model answered"),
        (lambda line: [line], "holds a list, expected an object"),
    ],
)
def test_line_that_is_no_answer_is_refused_with_its_number(
    change: Callable[[dict[str, Any]], Any], said: str, bundle: Path, data: Dataset,
    answered: Lines, board: Callable[[Lines], Path],
) -> None:  # fmt: skip
    lines = of_split(answered, data)[:2]
    with pytest.raises(DataError, match=rf"^Line 2 of board\.jsonl .*{said}"):
        judged(bundle, data, board([lines[0], change(lines[1])]))


def test_file_that_was_cut_off_is_refused_with_the_line(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    file = board(of_split(answered, data)[:4])
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"^Line 4 of board\.jsonl is not JSON \(.*\); copy the"):
        judged(bundle, data, file)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty_file_is_refused(content: str, bundle: Path, data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "board.jsonl").write_text(content)
    with pytest.raises(DataError, match=r"board\.jsonl is empty, expected a line an image"):
        judged(bundle, data, tmp_path / "board.jsonl")


def test_absent_file_is_refused(bundle: Path, data: Dataset, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(DataNotFoundError, match="cannot be read"):
            judged(bundle, data, path)


def test_file_without_an_answer_on_the_split_is_refused(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    elsewhere = board(of_split(answered, data, "train"))
    with pytest.raises(DataError, match="has no answer about any image of the split 'test'"):
        judged(bundle, data, elsewhere)
    stranger = of_split(answered, data)[0] | {"file": "holiday.jpg"}
    with pytest.raises(DataError, match="has no answer about any image"):
        judged(bundle, data, board([stranger]))
    assert "images that the data does not have (first: holiday.jpg)" in capsys.readouterr().err


def test_named_variant_without_an_answer_is_refused(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    with pytest.raises(DataError, match=r"no answer of onnx_f32 about .* those of tflite_int8"):
        judged(bundle, data, board(answered), "tflite_int8", "onnx_f32")
    with pytest.raises(VariantError, match="holds no variant tflite_int4"):
        judged(bundle, data, board(answered), "tflite_int4")


# Data that do not fit


def test_images_that_the_model_was_trained_on_are_refused(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    with pytest.raises(LeakError, match="trained"):
        judged(bundle, data, board(answered), split="train")


def test_data_of_other_classes_or_without_melanoma_are_refused(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path]
) -> None:
    benign = data.with_records(record for record in data.records if record.label != "mel")
    with pytest.raises(GateError, match="hold no melanoma"):
        judged(bundle, benign, board(answered))
    other = data.with_records(
        Record(record.image_id, record.file, "df", split=record.split) for record in data.records
    )
    with pytest.raises(ClassError, match="has the class 'df'"):
        judged(bundle, other, board(answered))


# Which image a file is


def test_name_that_several_images_have_is_refused(
    bundle: Path, data: Dataset, answered: Lines, board: Callable[[Lines], Path], tmp_path: Path
) -> None:
    for label in ("mel", "nv"):
        (tmp_path / "data" / label).mkdir(parents=True)
        records = [one for one in data.of_split("test") if one.label == label]
        for number, record in enumerate(records[:3]):
            shutil.copy(record.file, tmp_path / "data" / label / f"{number}.jpg")
    line = answered[0] | {"file": "0.jpg"}
    said = r"Line 1 of board\.jsonl is of 0\.jpg, which may be any of 2 images \(mel/0\.jpg, nv/0"
    with pytest.raises(DataError, match=said):
        judged(bundle, read_data(tmp_path / "data"), board([line]))


# As a user types it


def test_command_prints_json_and_ends_with_status_1_while_answers_are_missing(
    bundle: Path, generated: Path, data: Dataset, answered: Lines,
    board: Callable[[Lines], Path], inside: Command,
) -> None:  # fmt: skip
    lines = of_split(answered, data)
    words = ["check", bundle, "--data", generated, "--predictions", board(lines[1:]), "--json",
             "--bootstrap", 0, "--auc-margin", 0.02, "--sensitivity-margin", 0.1]  # fmt: skip
    (entry,) = json.loads(inside(*words, check=1).stdout)["variants"]
    assert (entry["name"], entry["verdict"]) == ("tflite_int8", "cannot judge")
    assert entry["unanswered"] == {
        "target": "melanoma",
        "of": len(lines),
        "ids": [Path(lines[0]["file"]).stem],
        "positives": len(melanomas(lines[:1], data)),
        "refused": 0,
    }
    refused = [line for line in lines[1:] if line["decision"] in ("retake", "uncertain")]
    counted = entry["undecided"]
    assert counted["target"] == "melanoma"
    assert counted["of"] == len(lines) - 1
    assert counted["retake"] + counted["uncertain"] == counted["here"] == len(refused)
    assert counted["positives"] == counted["positives_here"] == len(melanomas(refused, data))
    assert counted["only_there"] == []
    words.remove("--json")
    text = inside(*words, "--allow-missing", check=0).stdout
    assert re.search(r"^tflite_int8: pass; 1 of \d+ images without an answer", text, re.M)
    said = rf"^tflite_int8: no decision on {len(refused)} of {len(lines) - 1} answered images \("
    assert re.search(said, text, re.M)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--allow-missing"], "--allow-missing says how to judge --predictions"),
        (["--predictions", "nowhere.jsonl"], "nowhere.jsonl cannot be read"),
        (["--predictions", "x.jsonl", "--against", "y"], "leave --predictions and --reference out"),
    ],
)
def test_wrong_call_ends_with_status_2_and_one_sentence(
    words: list[str], said: str, bundle: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(bundle), "--data", str(generated), *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert said in printed.err
