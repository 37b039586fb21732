"""What is left out of bluesky's own suite is written down, with reasons, and is still there."""

from __future__ import annotations

from pathlib import Path

import bluesky.tests
import pytest

HERE = Path(__file__).parent
BLUESKY_TESTS = Path(bluesky.tests.__file__).parent


def entries() -> list[tuple[str, str]]:
    found, reason = [], ""
    for line in (HERE / "deselected.txt").read_text().splitlines():
        if line.startswith("#"):
            reason = line.lstrip("# ").strip()
        elif line.strip():
            found.append((line.strip(), reason))
    return found


@pytest.mark.parametrize(("entry", "reason"), entries())
def test_what_is_left_out_exists_and_has_a_reason(entry: str, reason: str) -> None:
    name, _, function = entry.partition("::")
    source = (BLUESKY_TESTS / name).read_text()
    assert reason
    assert not function or f"def {function.partition('[')[0]}(" in source


def test_no_test_of_pausing_or_stopping_is_left_out_but_for_sigint() -> None:
    for entry, reason in entries():
        if entry.startswith(("test_run_engine.py", "test_examples.py")):
            assert "SIGINT" in reason
            assert "::" in entry
