"""A batch that memory cannot hold is refused before it is tried."""

from __future__ import annotations

import pytest

from edge_runtime.errors import TrainingError
from train.architectures import build
from train.config import TrainConfig
from train.memory import available_bytes, check_fits, step_bytes


def test_estimate_grows_with_the_batch_and_with_the_image() -> None:
    small = build("plain_cnn", input_size=32, classes=2).model
    large = build("plain_cnn", input_size=64, classes=2).model
    assert step_bytes(small, 64) == 2 * step_bytes(small, 32)
    assert 3 < step_bytes(large, 32) / step_bytes(small, 32) < 4.5


def test_batch_over_memory_is_refused_with_one_that_fits() -> None:
    available = available_bytes()
    if available is None:
        pytest.skip("this system does not tell how much memory is free")
    model = build("plain_cnn", input_size=512, classes=2).model
    most = available // step_bytes(model, 1)
    config = TrainConfig(arch="plain_cnn", input_size=512, batch_size=1)
    check_fits(model, config)
    if 2 * most > 4096:
        pytest.skip("the largest batch that may be asked for fits into this machine")
    with pytest.raises(TrainingError, match=r"GiB of memory are free; lower --batch-size to \d+"):
        check_fits(model, TrainConfig(input_size=512, batch_size=2 * most))
