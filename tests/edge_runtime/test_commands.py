from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_runtime import Classifier
from edge_runtime.commands import classify, main
from edge_runtime.commands.classify import find_images
from edge_runtime.errors import ImageDamagedError, UsageError
from edge_runtime.image import decode
from tests.conftest import Command
from tests.edge_runtime.changing import set_verdicts
from tests.edge_runtime.making import encode, noise

DISCLAIMER = "Research software, not a medical device."


@pytest.fixture
def folder(images: list[Path], tmp_path: Path) -> Path:
    """A folder of five images in two levels, with files beside them that are no images."""
    place = tmp_path / "folder"
    (place / "deeper").mkdir(parents=True)
    for name, file in zip(
        ("c.jpg", "a.jpg", "b.JPG", "deeper/a.jpg", "deeper/z.jpg"), images, strict=False
    ):
        shutil.copy(file, place / name)
    (place / "notes.txt").write_text("not an image")
    (place / ".hidden.jpg").write_text("not an image")
    (place / "named.jpg").mkdir()
    return place


IN_ORDER = ["a.jpg", "b.JPG", "c.jpg", "deeper/a.jpg", "deeper/z.jpg"]


def assert_one_line(text: str) -> None:
    """Standard error holds one sentence and no traceback."""
    assert "Traceback" not in text
    assert text.count("\n") == 1, text
    assert text.startswith("dermedge")
    assert text.endswith(".\n")


# ---------------------------------------------------------------- classify


def test_links_to_folders_are_followed_once(
    dermedge: Command, bundle: Path, folder: Path, images: list[Path], tmp_path: Path
):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(images[0], other / "x.jpg")
    (other / "back").symlink_to(folder)
    (folder / "linked").symlink_to(other)
    done = dermedge("classify", folder, "--model", bundle, "--json")
    files = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    assert files == [str(folder / name) for name in [*IN_ORDER, "linked/x.jpg"]]


def test_folder_that_cannot_be_read_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, folder: Path
):
    """Nothing is closed to root, who may run the tests, so the system's answer is stood in for."""
    real = os.scandir

    def closed(path: str) -> Any:
        if Path(path).name == "deeper":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(UsageError, match="deeper cannot be read"):
        list(find_images([str(folder)]))


def test_one_image_as_text(dermedge: Command, bundle: Path, images: list[Path]):
    done = dermedge("classify", images[0], "--model", bundle, check=0)
    result = Classifier.open(bundle).classify(images[0])
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{images[0]}: {result.decision.upper()}  melanoma ")
    assert f"melanoma {result.melanoma_probability:.3f}" in lines[0]
    assert [line.strip() for line in lines[1:]] == list(result.reasons)
    assert done.stderr == ""


def test_one_image_is_answered_by_the_interpreter_that_was_tested(
    bundle: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    """A second one would cost memory, and nobody would have tested it."""
    loaded = []
    load = Classifier._load
    monkeypatch.setattr(Classifier, "_load", lambda self, n: loaded.append(n) or load(self, n))
    assert main(["classify", str(images[0]), "--model", str(bundle), "--threads", "2"]) == 0
    assert loaded == [2]
    assert main(["classify", *map(str, images[:3]), "--model", str(bundle), "--threads", "2"]) == 0
    assert loaded[:2] == [2, 2]
    assert set(loaded[2:]) == {1}
    capsys.readouterr()


def test_one_image_as_json(dermedge: Command, bundle: Path, images: list[Path]):
    done = dermedge("classify", images[0], "--model", bundle, "--json", check=0)
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    expected = Classifier.open(bundle).classify(images[0]).to_dict()
    del told["timing_ms"], expected["timing_ms"]
    assert told == json.loads(json.dumps(expected))
    assert done.stderr == ""


def test_folder_as_json_in_the_order_of_its_paths(dermedge: Command, bundle: Path, folder: Path):
    done = dermedge("classify", folder, "--model", bundle, "--json", check=0)
    files = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    assert files == [str(folder / name) for name in IN_ORDER]
    assert done.stderr.startswith("5 images: ")
    assert done.stderr.endswith(f"{DISCLAIMER}\n")


def test_named_files_keep_their_order_and_one_bad_one_stops_nothing(
    dermedge: Command, bundle: Path, images: list[Path], tmp_path: Path
):
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(images[0].read_bytes()[:600])
    named = [images[5], cut, images[2], tmp_path / "none.jpg", images[9]]
    done = dermedge("classify", *named, "--model", bundle, "--json", check=1)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["file"] for answer in told] == [str(file) for file in named]
    assert [answer.get("error", {}).get("type") for answer in told] == [
        None, "ImageDamagedError", None, "ImageNotFoundError", None,
    ]  # fmt: skip
    assert "cut.jpg is a truncated JPEG" in told[1]["error"]["message"]
    assert "5 images: 2 failed, " in done.stderr
    assert "Traceback" not in done.stderr


def test_csv_is_a_table_with_failures_in_it(
    dermedge: Command, bundle: Path, images: list[Path], tmp_path: Path
):
    named = [images[0], tmp_path / "none, at all.jpg", images[1]]
    done = dermedge("classify", *named, "--model", bundle, "--csv", check=1)
    rows = list(csv.DictReader(io.StringIO(done.stdout), strict=True))
    assert [row["file"] for row in rows] == [str(file) for file in named]
    assert list(rows[0]) == [
        "file", "label", "decision", "melanoma_probability", "malignant_probability",
        "p_bkl", "p_mel", "p_nv", "variant", "sha256", "reasons", "error",
    ]  # fmt: skip
    for row, file in ((rows[0], images[0]), (rows[2], images[1])):
        result = Classifier.open(bundle).classify(file)
        assert row["label"] == result.label
        assert row["decision"] == result.decision
        assert float(row["p_mel"]) == float(row["melanoma_probability"])
        assert float(row["p_nv"]) == result.probabilities["nv"]
        assert row["sha256"] == result.model.sha256
        assert row["error"] == ""
    assert "There is no file" in rows[1].pop("error")
    rows[1].pop("file")
    assert set(rows[1].values()) == {""}
    assert None not in rows[1]


def test_failed_image_as_text_is_told_on_standard_error(
    dermedge: Command, bundle: Path, tmp_path: Path
):
    done = dermedge("classify", tmp_path / "none.jpg", "--model", bundle, check=1)
    assert done.stdout == ""
    assert f"There is no file {tmp_path / 'none.jpg'}" in done.stderr
    assert "1 failed" in done.stderr


def test_damaged_image_brings_no_warnings_of_the_decoder(
    dermedge: Command, bundle: Path, tmp_path: Path
):
    content = encode(noise(60, 80), "TIFF", compression="tiff_lzw")
    (tmp_path / "cut.tif").write_bytes(content[:5000])
    with pytest.warns(UserWarning, match="Corrupt EXIF"), pytest.raises(ImageDamagedError):
        decode(content[:5000])
    done = dermedge("classify", tmp_path / "cut.tif", "--model", bundle, check=1)
    first, last = done.stderr.splitlines()
    assert first.startswith(f"{tmp_path / 'cut.tif'}: cut.tif is a damaged TIFF image")
    assert last.endswith(DISCLAIMER)


def test_image_with_the_wrong_ending_is_classified_with_a_note(
    dermedge: Command, bundle: Path, tmp_path: Path
):
    shutil.copy(bundle / "golden" / "0.png", tmp_path / "golden.jpg")
    done = dermedge("classify", tmp_path / "golden.jpg", "--model", bundle, check=0)
    assert "its content is PNG" in done.stdout


def test_model_may_be_named_by_the_environment(dermedge: Command, bundle: Path, images: list[Path]):
    done = dermedge("classify", images[0], "--json", check=0, DERMEDGE_MODEL=str(bundle))
    assert json.loads(done.stdout)["model"]["name"] == "test"


def test_variant_backend_and_threads_may_be_named(
    dermedge: Command, bundle: Path, images: list[Path]
):
    done = dermedge(
        "classify", images[0], images[1], "--json", "--model", bundle, "--variant", "onnx_f32",
        "--backend", "onnxruntime", "--threads", 1, check=0,
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {answer["model"]["variant"] for answer in told} == {"onnx_f32"}


def test_limit_in_megapixels_is_the_users(dermedge: Command, bundle: Path, images: list[Path]):
    done = dermedge(
        "classify", images[0], "--model", bundle, "--max-megapixels", "0.005", "--json", check=1
    )
    assert json.loads(done.stdout)["error"]["type"] == "ImageTooLargeError"


def test_bundle_in_the_present_folder_may_be_called_a_dot(dermedge: Command, own_bundle: Path):
    done = dermedge("classify", "golden", "--model", ".", "--json", cwd=own_bundle, check=0)
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [
        "golden/0.png", "golden/1.png",
    ]  # fmt: skip
    (own_bundle / "golden" / "0.png").write_bytes(b"x")
    done = dermedge("classify", "golden", "--model", ".", cwd=own_bundle, check=2)
    assert_one_line(done.stderr)
    assert "golden/0.png of the bundle own_bundle was altered" in done.stderr


def test_file_whose_name_is_not_text_is_told_as_it_is(
    dermedge: Command, bundle: Path, images: list[Path], tmp_path: Path
):
    name = os.fsdecode(b"\xff\xfe.jpg")
    try:
        shutil.copy(images[0], tmp_path / name)
    except OSError:
        pytest.skip("this file system takes only names that are text")
    for form in ("--json", "--csv", None):
        words = ["classify", tmp_path, "--model", bundle, *([form] if form else [])]
        done = dermedge(*words, check=0, PYTHONIOENCODING="utf-8:strict")
        assert "fe.jpg" in done.stdout
        if form == "--json":
            assert json.loads(done.stdout)["file"] == str(tmp_path / name)


# ---------------------------------------------------------------- which bundle


def test_without_a_bundle_the_reference_model_of_the_checkout_answers(
    bundle: Path, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.delenv(classify.MODEL_VARIABLE, raising=False)
    monkeypatch.setattr(classify, "REFERENCE_MODEL", bundle)
    assert main(["classify", str(images[0]), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == f"No bundle was named: {bundle} answers.\n"
    model = json.loads(printed.out)["model"]
    assert model["sha256"] == Classifier.open(bundle).variant.sha256
    assert main(["classify", str(images[0]), "--model", ""]) == 2  # an empty variable of a shell
    assert "No bundle was named; add `--model BUNDLE`" in capsys.readouterr().err
    monkeypatch.setattr(classify, "REFERENCE_MODEL", tmp_path / "none")
    assert main(["classify", str(images[0])]) == 2
    assert "No bundle was named; add `--model BUNDLE`" in capsys.readouterr().err


# ---------------------------------------------------------------- what cannot be done


def wrong_calls(bundle: Path, image: Path, empty: Path) -> dict[str, tuple[list[object], str]]:
    """Wrong calls: the words and what the sentence says."""
    good = ["classify", image, "--model", bundle]
    return {
        "no image": (["classify", "--model", bundle], "IMAGE_OR_FOLDER"),
        "no bundle": (["classify", image, "--model", empty], "readable manifest.json"),
        "empty folder": (["classify", empty, "--model", bundle], "holds no image (.apng .bmp"),
        "unknown flag": ([*good, "--jsno"], "unrecognized arguments: --jsno"),
        "two forms": ([*good, "--json", "--csv"], "not allowed with"),
        "unknown variant": ([*good, "--variant", "tflite_int4"], "no variant tflite_int4"),
        "unknown backend": ([*good, "--backend", "coreml"], "no backend coreml"),
        "wrong backend": (
            [*good, "--variant", "onnx_f32", "--backend", "litert"], "does not read onnx files",
        ),
        "no threads": ([*good, "--threads", "0"], "threads is 0"),
        "threads of text": ([*good, "--threads", "two"], "invalid int value: 'two'"),
        "no pixels": ([*good, "--max-megapixels", "0"], "--max-megapixels is 0"),
        "negative pixels": ([*good, "--max-megapixels=-5"], "--max-megapixels is -5"),
        "pixels not a number": ([*good, "--max-megapixels", "nan"], "--max-megapixels is nan"),
        "endless pixels": ([*good, "--max-megapixels", "inf"], "--max-megapixels is inf"),
        "too many pixels": ([*good, "--max-megapixels", "1e305"], "--max-megapixels is 1e+305"),
        "info of nothing": (["info", empty], "readable manifest.json"),
        "info without a word": (["info"], "BUNDLE"),
    }  # fmt: skip


CALLS = list(wrong_calls(Path(), Path(), Path()))


@pytest.mark.parametrize("call", CALLS)
def test_wrong_call_is_one_sentence_and_status_2(
    dermedge: Command, bundle: Path, images: list[Path], tmp_path: Path, call: str
):
    words, sentence = wrong_calls(bundle, images[0], tmp_path)[call]
    done = dermedge(*words, check=2, DERMEDGE_MODEL="")
    assert done.stdout == ""
    assert_one_line(done.stderr)
    assert sentence in done.stderr


def test_altered_bundle_is_one_sentence_and_status_2(
    dermedge: Command, own_bundle: Path, images: list[Path]
):
    (own_bundle / "labels.txt").write_text("mel\n")
    done = dermedge("classify", images[0], "--model", own_bundle, check=2)
    assert_one_line(done.stderr)
    assert "labels.txt of the bundle own_bundle was altered" in done.stderr


def test_bundle_without_a_passing_variant_is_refused_unless_one_is_named(
    dermedge: Command, own_bundle: Path, images: list[Path]
):
    set_verdicts(own_bundle)
    done = dermedge("classify", images[0], "--model", own_bundle, check=2)
    assert_one_line(done.stderr)
    assert "No variant of this bundle has passed the gate" in done.stderr
    dermedge("classify", images[0], "--model", own_bundle, "--variant", "tflite_f32", check=0)


# ---------------------------------------------------------------- pipes


def run_into_a_closed_pipe(*words: object) -> subprocess.CompletedProcess[str]:
    """The command with nobody reading its standard output, buffered as users have it."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    try:
        return subprocess.run(
            [str(Path(sys.executable).parent / "dermedge"), *map(str, words)],
            stdout=writer, stderr=subprocess.PIPE, text=True, env=environment, timeout=120,
        )  # fmt: skip
    finally:
        os.close(writer)


@pytest.mark.parametrize("form", ["--json", "--csv", "text", "info", "--help", "classify --help"])
def test_reader_that_has_gone_is_no_error(form: str, bundle: Path, images: list[Path]):
    calls: dict[str, list[object]] = {
        "info": ["info", bundle], "--help": ["--help"], "classify --help": ["classify", "--help"],
        "text": ["classify", images[0], "--model", bundle],
    }  # fmt: skip
    done = run_into_a_closed_pipe(
        *calls.get(form, ["classify", images[0], "--model", bundle, form])
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_first_line_may_be_all_that_is_read(bundle: Path, images: list[Path]):
    command = Path(sys.executable).parent / "dermedge"
    with subprocess.Popen(
        [command, "classify", images[0].parent, "--model", bundle, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["file"] == str(images[0])
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
