"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from freewheel.core._whole_file import whole_file
from small_disk import largest_file


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_text("before")
    with (
        largest_file(3),
        pytest.raises(OSError, match=r"kept\.json cannot be written: File too large"),
        whole_file(path) as part,
    ):
        part.write_text("afterwards")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_two_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    with whole_file(path) as one:
        one.write_text("one")
        with whole_file(path) as other:
            other.write_text("other")
        assert path.read_text() == "other"
    assert path.read_text() == "one"


def test_what_raises_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"

    def write() -> None:
        with whole_file(path) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert not list(tmp_path.iterdir())
