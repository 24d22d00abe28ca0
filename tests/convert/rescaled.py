"""Runs whose model computes the same in floats and breaks in 8 bits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_runtime._files import sha256
from train.run import MODEL_FILE, RUN_FILE, RunFolder


def rescaled_run(run: RunFolder, out: Path, change: Callable[[Any], None]) -> RunFolder:
    """A copy of a run whose model has been changed in place by ``change``."""
    shutil.copytree(run.folder, out)
    model = run.model()
    change(model)
    model.save(out / MODEL_FILE)
    record = json.loads((out / RUN_FILE).read_text("utf-8"))
    record["files"][MODEL_FILE] = sha256((out / MODEL_FILE).read_bytes())
    (out / RUN_FILE).write_text(json.dumps(record), encoding="utf-8")
    return RunFolder.open(out)
