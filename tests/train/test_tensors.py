"""The cache of input tensors: made once, by the device's own code, and never served wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train.data.tensors as module
from edge_runtime._files import sha256
from edge_runtime.errors import UnreadableImagesError
from edge_runtime.preprocess import InputRule, load_input
from train.data.tensors import digest_files, load_tensors

RULE = InputRule(16)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of this test's own, which is never left with half a file."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("DERMEDGE_CACHE", str(folder))
    yield folder
    assert [path.name for path in folder.glob("*") if path.suffix != ".npy"] == []


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Images of several formats and shapes: more than one process takes at a time."""
    rng = np.random.default_rng(0)
    found = []
    for index in range(70):
        suffix, mode = ((".png", "RGB"), (".jpg", "RGB"), (".bmp", "L"))[index % 3]
        height, width = rng.integers(17, 60, 2)
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        path = tmp_path / f"{index:02d}{suffix}"
        Image.fromarray(pixels).convert(mode).save(path)
        found.append(path)
    return found


def test_digest_is_the_sha256_of_the_files_content(files: list[Path]) -> None:
    assert digest_files(files) == [sha256(file.read_bytes()) for file in files]


def test_tensors_are_the_devices_own_in_the_order_of_the_files(files: list[Path]) -> None:
    tensors = load_tensors(files, digest_files(files), RULE)
    assert (tensors.shape, tensors.dtype) == ((70, 16, 16, 3), np.uint8)
    np.testing.assert_array_equal(tensors, [load_input(file, RULE) for file in files])
    assert not tensors.flags.writeable

    turned = files[::-1]
    np.testing.assert_array_equal(load_tensors(turned, digest_files(turned), RULE), tensors[::-1])


def test_progress_reaches_the_number_of_files(files: list[Path]) -> None:
    seen: list[tuple[int, int]] = []
    load_tensors(files, digest_files(files), RULE, lambda done, total: seen.append((done, total)))
    assert [total for _, total in seen] == [70] * len(seen)
    assert sorted(done for done, _ in seen) == [done for done, _ in seen]
    assert seen[-1] == (70, 70)


def test_second_call_reads_the_cache_and_no_image(files: list[Path], cache: Path) -> None:
    digests = digest_files(files)
    first = np.array(load_tensors(files, digests, RULE))
    (cached,) = cache.iterdir()
    written = cached.stat().st_mtime_ns
    for file in files:
        file.unlink()
    np.testing.assert_array_equal(load_tensors(files, digests, RULE), first)
    assert (list(cache.iterdir()), cached.stat().st_mtime_ns) == ([cached], written)


def test_changed_image_is_not_served_from_the_old_cache(files: list[Path], cache: Path) -> None:
    before = np.array(load_tensors(files, digest_files(files), RULE))
    Image.new("RGB", (40, 30), "red").save(files[5])
    after = load_tensors(files, digest_files(files), RULE)
    assert (after[5] != before[5]).any()
    np.testing.assert_array_equal(np.delete(after, 5, 0), np.delete(before, 5, 0))
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("rule", [InputRule(17), InputRule(16, jpeg_draft=0)])
def test_another_input_rule_has_a_cache_of_its_own(
    rule: InputRule, files: list[Path], cache: Path
) -> None:
    digests = digest_files(files[:2])
    load_tensors(files[:2], digests, RULE)
    assert load_tensors(files[:2], digests, rule).shape == (2, *rule.shape)
    assert len(list(cache.iterdir())) == 2


def test_images_that_cannot_be_decoded_are_named_and_nothing_is_cached(
    files: list[Path], cache: Path
) -> None:
    files[3].write_text("not an image")
    files[66].write_bytes(files[66].read_bytes()[:60])
    with pytest.raises(UnreadableImagesError, match=r"^2 of 70 images .*03\.png.*66\.png") as told:
        load_tensors(files, digest_files(files), RULE)
    assert "..." not in str(told.value)
    assert list(cache.iterdir()) == []


def test_many_bad_images_are_counted_and_the_first_are_named(files: list[Path]) -> None:
    for file in files[:5]:
        file.write_text("not an image")
    with pytest.raises(
        UnreadableImagesError, match=r"^5 of 70 .*00\.png.*02\.bmp.* \.\.\. "
    ) as told:
        load_tensors(files, digest_files(files), RULE)
    assert files[4].name not in str(told.value)


def test_missing_and_empty_files_are_named_before_anything_is_decoded(files: list[Path]) -> None:
    files[1].unlink()
    with pytest.raises(UnreadableImagesError, match=r"^1 of 70 images cannot be used: .*01\.jpg"):
        digest_files(files)


@pytest.mark.parametrize("reason", [KeyboardInterrupt, MemoryError])
def test_interrupted_fill_leaves_no_file(
    reason: type[BaseException], files: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 8)
    partial: list[str] = []

    def interrupt(done: int, total: int) -> None:
        partial.extend(path.name for path in cache.iterdir())
        if done > 16:
            raise reason

    with pytest.raises(reason):
        load_tensors(files, digest_files(files), RULE, interrupt)
    assert all(name.endswith(".partial") for name in partial)
    assert len(partial) == 3
    assert list(cache.iterdir()) == []
