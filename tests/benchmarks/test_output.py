"""Where figures go is tried before minutes of measuring."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.output import refuse_unwritable, write
from edge_runtime.errors import UsageError


@pytest.mark.parametrize("place", ["/dev/null", "new.json", "link.json"])
def test_what_can_be_written_is_let_pass(place: str, tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    file = tmp_path / place
    refuse_unwritable(file, "--json")
    write(file, "--json", "{}")
    assert file.is_char_device() or file.read_text() == "{}"


@pytest.mark.parametrize("place", ["none/new.json", "link.json", "."])
def test_what_cannot_be_written_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "none" / "real.json")
    with pytest.raises(UsageError, match=r"--json .* name a file"):
        refuse_unwritable(tmp_path / place, "--json")
