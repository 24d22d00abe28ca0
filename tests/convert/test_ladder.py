"""A variant that breaks is repaired by the layers that break it, or replaced."""

from __future__ import annotations

import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import train.architectures as train_architectures
from convert.conversion import convert
from convert.making import making
from convert.outcome import Conversion, Options, Outcome
from convert.trial import Bench, Trial, outcome_of, tried
from convert.variants import Converted, Exported, VariantKind, chosen
from edge_runtime import Classifier
from edge_runtime.bundle import Bundle
from edge_runtime.errors import ConversionError, ModelMismatchError, RunError
from tests.convert.hard_swish import ARCHITECTURE, LINEAR, with_unequal_channels
from tests.convert.rescaled import rescaled_run
from train.data.table import read_data
from train.run import RunFolder

INT8 = Options(variants=chosen("tflite_int8"), calibration_images=60, bootstrap=0)
CULPRITS = ("stage2", "stage3")


def unequal(model: object) -> None:
    """Channels of one ReLU that differ a thousandfold, and a next layer that puts it right."""
    norm, reader = model.get_layer("stage2_bn"), model.get_layer("stage3_conv")  # type: ignore[attr-defined]
    factor = 10 ** np.random.default_rng(0).uniform(-2, 2, norm.gamma.shape[0]).astype(np.float32)
    norm.gamma.assign(norm.gamma * factor)
    norm.beta.assign(norm.beta * factor)
    reader.kernel.assign(reader.kernel / factor[None, None, :, None])


@pytest.fixture(scope="module")
def broken(run_folder: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return rescaled_run(run_folder, tmp_path_factory.mktemp("broken") / "run", unequal)


@pytest.fixture(scope="module")
def repaired(broken: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    return convert(broken, tmp_path_factory.mktemp("repaired") / "bundle", INT8)


def only(conversion: Conversion) -> Outcome:
    (outcome,) = conversion.outcomes
    return outcome


def test_same_answers_in_floats_break_in_8_bits(broken: RunFolder, run_folder: RunFolder) -> None:
    image = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    before, after = (np.asarray(run.model()(image)) for run in (run_folder, broken))
    np.testing.assert_allclose(before, after, atol=1e-4)


def test_layers_that_cause_the_loss_stay_in_float(repaired: Conversion) -> None:
    outcome = only(repaired)
    assert outcome.entry is not None
    assert outcome.rungs[0].verdict == "fail"
    assert not outcome.rungs[0].float_layers
    assert (outcome.entry.verdict, outcome.kept) == ("pass", True)
    assert outcome.rungs[-1].verdict == "pass"
    named = " ".join(outcome.entry.float_layers)
    assert any(culprit in named for culprit in CULPRITS), named
    assert len(outcome.entry.float_layers) < len(outcome.layer_errors) / 2
    (plain, *_), last = outcome.rungs, outcome.rungs[-1]
    assert len(last.model) < 1.5 * len(plain.model)  # most of the weights are still in 8 bits


def refused(*_: object) -> None:
    raise AssertionError("converted in this process")


@pytest.mark.slow
def test_repair_is_the_same_when_a_process_of_its_own_makes_the_files(
    broken: RunFolder, repaired: Conversion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convert.making._WORTH_A_PROCESS", 0)
    monkeypatch.setattr(Converted, "__init__", refused)  # not in this process
    both = replace(INT8, variants=chosen("tflite_f32,tflite_int8"))
    _, outcome = convert(broken, tmp_path / "bundle", both).outcomes
    assert [rung.float_layers for rung in outcome.rungs] == [
        rung.float_layers for rung in only(repaired).rungs
    ]
    assert outcome.model == only(repaired).model
    assert outcome.layer_errors == only(repaired).layer_errors


def test_every_try_is_timed(repaired: Conversion) -> None:
    outcome = only(repaired)
    assert all(rung.median_ms > 0 for rung in outcome.rungs)
    assert outcome.median_ms == outcome.rungs[-1].median_ms


@pytest.fixture
def kinds() -> tuple[VariantKind, ...]:
    return chosen("tflite_f32,tflite_int8")


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    """Nothing that could be converted: these tests end before."""
    return Exported(None, tmp_path / "none", 32, np.zeros((1, 32, 32, 3), np.uint8), ("mel", "nv"))


def test_process_that_was_killed_is_said(
    run_folder: RunFolder, exported: Exported, kinds: tuple[VariantKind, ...]
) -> None:
    with making(exported, run_folder, kinds, 10_000) as make:
        (process,) = multiprocessing.active_children()
        process.kill()
        for kind in (kinds[0], *chosen("onnx_f32")):  # one that was begun, and one that was not
            with pytest.raises(ConversionError, match="ended before it was done"):
                make(kind)


def test_error_in_the_process_comes_out_as_itself(
    exported: Exported, kinds: tuple[VariantKind, ...], tmp_path: Path, run_folder: RunFolder
) -> None:
    gone = RunFolder(tmp_path / "gone", run_folder.run)
    with (
        making(exported, gone, kinds, 10_000) as make,
        pytest.raises(RunError, match="holds no readable run"),
    ):
        make(kinds[0])


def test_nobody_waits_for_the_process_when_all_else_has_failed(
    run_folder: RunFolder, exported: Exported, kinds: tuple[VariantKind, ...]
) -> None:
    processes = []

    def fail() -> None:
        with making(exported, run_folder, kinds, 10_000):
            processes.extend(multiprocessing.active_children())
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        fail()
    assert [process.exitcode for process in processes] == [-signal.SIGTERM]


def test_reason_names_what_the_plain_form_lost(repaired: Conversion) -> None:
    outcome = only(repaired)
    assert outcome.entry is not None
    assert outcome.rungs[0].reason in outcome.entry.reason
    assert f"{len(outcome.entry.float_layers)} of" in outcome.entry.reason


def test_effects_point_at_the_culprits(repaired: Conversion) -> None:
    first, *_, last = only(repaired).layer_errors
    assert any(culprit in first.layer for culprit in CULPRITS), first
    assert first.effect is not None
    assert last.effect is not None
    assert first.effect > 100 * abs(last.effect)


def test_repaired_file_is_what_the_device_runs(repaired: Conversion, images: list[Path]) -> None:
    assert repaired.bundle is not None
    manifest = Bundle.open(repaired.bundle).manifest
    assert manifest.variant("tflite_int8").float_layers
    answered = Classifier.open(repaired.bundle, variant="tflite_int8").classify(images[0])
    assert sum(answered.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_good_variant_needs_one_rung(run_folder: RunFolder, tmp_path: Path) -> None:
    outcome = only(convert(run_folder, tmp_path / "bundle", INT8))
    assert [rung.verdict for rung in outcome.rungs] == ["pass"]
    assert outcome.entry is not None
    assert outcome.entry.float_layers == ()
    assert outcome.layer_errors
    assert all(one.effect is None for one in outcome.layer_errors)


def test_without_the_ladder_the_broken_file_is_only_refused(
    broken: RunFolder, tmp_path: Path
) -> None:
    conversion = convert(broken, tmp_path / "bundle", replace(INT8, ladder=False))
    assert [rung.verdict for rung in only(conversion).rungs] == ["fail"]
    assert conversion.bundle is None


def test_repair_that_the_interpreter_refuses_leaves_the_plain_form(
    broken: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses_floats(
        kind: VariantKind, content: bytes, bench: Bench, float_layers: tuple[str, ...] = ()
    ) -> Trial:
        if float_layers:
            raise ModelMismatchError("The interpreter cannot load the file.")
        return tried(kind, content, bench)

    monkeypatch.setattr("convert.ladder.tried", refuses_floats)
    kept = replace(INT8, allow_failing=True)
    first, *fallbacks = convert(broken, tmp_path / "bundle", kept).outcomes
    assert [(rung.verdict, rung.float_layers) for rung in first.rungs] == [("fail", ())]
    assert first.kept
    assert first.layer_errors[0].effect is not None
    assert [one.kind.name for one in fallbacks] == ["tflite_int16x8", "tflite_f16"]


def test_repair_that_answers_no_numbers_on_test_leaves_the_plain_form(
    broken: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses_floats(kind: VariantKind, trial: Trial, bench: Bench) -> Outcome:
        if trial.float_layers:
            raise ModelMismatchError("The file answers no numbers.")
        return outcome_of(kind, trial, bench)

    monkeypatch.setattr("convert.ladder.outcome_of", refuses_floats)
    first, *_ = convert(broken, tmp_path / "bundle", replace(INT8, allow_failing=True)).outcomes
    assert first.entry is not None
    assert (first.entry.verdict, first.entry.float_layers, first.kept) == ("fail", (), True)
    assert first.rungs[-1].verdict == "pass"  # told, and not taken


def test_without_float_layers_the_fallbacks_are_made_in_turn(
    broken: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convert.ladder.SHARES", ())
    conversion = convert(broken, tmp_path / "bundle", INT8)
    assert [(one.kind.name, one.kept, one.because) for one in conversion.outcomes] == [
        ("tflite_int8", False, ""),
        ("tflite_int16x8", False, "tflite_int8 did not pass"),  # ranges 10,000 times apart
        ("tflite_f16", True, "tflite_int16x8 did not pass"),
    ]


@pytest.fixture
def hard_swish(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """MobileNetV3's blocks, trained on generated images, their channels made unequal."""
    from train.config import TrainConfig
    from train.training import train

    registry = {**train_architectures.ARCHITECTURES, ARCHITECTURE.name: ARCHITECTURE}
    monkeypatch.setattr(train_architectures, "ARCHITECTURES", registry)
    config = TrainConfig(
        arch=ARCHITECTURE.name, input_size=48, epochs=6, learning_rate=3e-3, augmentation=0.3,
        bootstrap=100,
    )  # fmt: skip
    trained = train(read_data(generated), config, tmp_path / "trained")
    return rescaled_run(
        trained, tmp_path / "unequal", lambda model: with_unequal_channels(model, decades=3)
    )


@pytest.mark.slow
def test_hard_swish_with_squeeze_and_excitation_is_repaired(
    hard_swish: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = only(convert(hard_swish, tmp_path / "mixed", INT8))
    assert outcome.rungs[0].verdict == "fail"
    assert outcome.kept
    culprits = [name for blocks, readers in LINEAR.items() for name in (*blocks, *readers)]
    for layer in outcome.rungs[1].float_layers:
        assert any(name in layer for name in culprits), layer

    monkeypatch.setattr("convert.ladder.SHARES", ())
    outcomes = {one.kind.name: one for one in convert(hard_swish, tmp_path / "f16", INT8).outcomes}
    assert "HARD_SWISH" in outcomes["tflite_int16x8"].reason
    assert outcomes["tflite_f16"].kept
    assert outcomes["tflite_f16"].because == "tflite_int16x8 did not pass"
