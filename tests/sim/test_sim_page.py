"""The page on simulation says what is so: its code runs, and prints what it shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "simulate.md"


def test_page_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    try:
        for number, (language, block) in enumerate(blocks):
            if language == "python":
                exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    finally:
        names["RE"].close()
    shown = [
        block for language, block in blocks if language == "text" and "failed on purpose" in block
    ]
    assert shown == [capsys.readouterr().out]
